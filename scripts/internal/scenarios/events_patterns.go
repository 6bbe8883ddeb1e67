package scenarios

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"
)

// sampleEvent is what the patterns are tried on.
const sampleEvent = `{"version":"0","id":"1","account":"123456789012","source":"shop.orders","time":"2026-01-02T03:04:05Z","region":"us-east-1",` +
	`"resources":["arn:aws:x:1","arn:aws:x:2"],"detail-type":"ORDER_PLACED","detail":{"amount":250,"negative":-1.5,"state":"Open","ip":"10.0.0.7",` +
	`"flag":true,"nothing":null,"empty":"","tags":["new","gift"],"lines":[{"sku":"a","n":1},{"sku":"b","n":2}],"customer":{"name":"Ann","level":3}}}`

// tried are patterns by what they show.
var tried = []struct {
	name     string
	patterns []string
}{
	{"exact values match", []string{
		`{"source":["shop.orders"]}`, `{"source":["shop.returns"]}`, `{"source":["shop.returns","shop.orders"]}`, `{"detail":{"amount":[250]}}`,
		`{"detail":{"amount":[250.0]}}`, `{"detail":{"amount":["250"]}}`, `{"detail":{"flag":[true]}}`, `{"detail":{"flag":["true"]}}`,
		`{"detail":{"customer":{"name":["Ann"],"level":[3]}}}`, `{"detail":{"customer":{"name":["Ann"],"level":[4]}}}`,
	}},
	{"null and empty are not missing", []string{
		`{"detail":{"nothing":[null]}}`, `{"detail":{"missing":[null]}}`, `{"detail":{"empty":[""]}}`, `{"detail":{"nothing":[""]}}`,
	}},
	{"prefix and suffix match", []string{
		`{"source":[{"prefix":"shop."}]}`, `{"source":[{"prefix":"orders"}]}`, `{"detail":{"state":[{"prefix":"op"}]}}`, `{"detail":{"state":[{"suffix":"en"}]}}`,
		`{"detail":{"state":[{"suffix":"EN"}]}}`, `{"detail":{"amount":[{"prefix":"2"}]}}`,
	}},
	{"case may be ignored", []string{
		`{"detail":{"state":[{"equals-ignore-case":"OPEN"}]}}`, `{"detail":{"state":[{"equals-ignore-case":"closed"}]}}`,
		`{"detail":{"state":[{"prefix":{"equals-ignore-case":"op"}}]}}`, `{"detail":{"state":[{"suffix":{"equals-ignore-case":"EN"}}]}}`,
	}},
	{"wildcards match", []string{
		`{"source":[{"wildcard":"shop.*"}]}`, `{"source":[{"wildcard":"*.orders"}]}`, `{"source":[{"wildcard":"s*p.*s"}]}`, `{"source":[{"wildcard":"*returns*"}]}`,
	}},
	{"anything-but matches the rest", []string{
		`{"detail":{"state":[{"anything-but":"Closed"}]}}`, `{"detail":{"state":[{"anything-but":["Open","Closed"]}]}}`, `{"detail":{"amount":[{"anything-but":250}]}}`,
		`{"detail":{"amount":[{"anything-but":[1,2]}]}}`, `{"detail":{"state":[{"anything-but":{"prefix":"Op"}}]}}`, `{"detail":{"state":[{"anything-but":{"suffix":"en"}}]}}`,
		`{"detail":{"state":[{"anything-but":{"equals-ignore-case":"OPEN"}}]}}`, `{"detail":{"state":[{"anything-but":{"wildcard":"*p*"}}]}}`,
		`{"detail":{"missing":[{"anything-but":"x"}]}}`,
	}},
	{"numbers are compared", []string{
		`{"detail":{"amount":[{"numeric":[">",200]}]}}`, `{"detail":{"amount":[{"numeric":[">",250]}]}}`, `{"detail":{"amount":[{"numeric":[">=",250,"<",251]}]}}`,
		`{"detail":{"amount":[{"numeric":["=",250]}]}}`, `{"detail":{"negative":[{"numeric":["<",0]}]}}`, `{"detail":{"state":[{"numeric":[">",0]}]}}`,
	}},
	{"addresses are in a range", []string{`{"detail":{"ip":[{"cidr":"10.0.0.0/24"}]}}`, `{"detail":{"ip":[{"cidr":"10.0.1.0/24"}]}}`}},
	{"fields exist or not", []string{
		`{"detail":{"amount":[{"exists":true}]}}`, `{"detail":{"missing":[{"exists":true}]}}`, `{"detail":{"missing":[{"exists":false}]}}`,
		`{"detail":{"nothing":[{"exists":true}]}}`, `{"detail":{"amount":[{"exists":false}]}}`, `{"detail":{"customer":{"name":[{"exists":true}]}}}`,
	}},
	{"one alternative is enough", []string{
		`{"$or":[{"source":["x"]},{"detail-type":["ORDER_PLACED"]}]}`, `{"$or":[{"source":["x"]},{"detail-type":["y"]}]}`,
		`{"detail":{"$or":[{"amount":[1]},{"state":["Open"]}],"flag":[true]}}`, `{"detail":{"$or":[{"amount":[250]},{"state":["Open"]}],"flag":[false]}}`,
	}},
	{"one element of a list is enough", []string{
		`{"resources":["arn:aws:x:2"]}`, `{"detail":{"tags":["gift"]}}`, `{"detail":{"tags":["old"]}}`, `{"detail":{"tags":[{"anything-but":"new"}]}}`,
		`{"detail":{"lines":{"sku":["a"],"n":[1]}}}`, `{"detail":{"lines":{"sku":["a"],"n":[2]}}}`,
	}},
}

// refused are patterns that are not valid.
var refused = []string{
	``, `[]`, `{`, `{"source":"shop"}`, `{"source":[]}`, `{"source":[{"sufix":"x"}]}`, `{"source":[{"prefix":1}]}`, `{"detail":{"a":[{"numeric":[">"]}]}}`,
	`{"detail":{"a":[{"numeric":["!",1]}]}}`, `{"detail":{"a":[{"exists":"yes"}]}}`, `{"detail":{"a":[{"cidr":"10.0.0.0/33"}]}}`, `{"detail":{"a":[{"wildcard":"a**b"}]}}`,
	`{"detail":{"a":[{"anything-but":[]}]}}`, `{"detail":{"a":[["b"]]}}`,
}

// routed notes which of the patterns, as rules, route the sample event.
func (r *run) routed(patterns []string) {
	bus := r.bus()
	queues := map[string]*string{}
	for i, pattern := range patterns {
		queues[pattern] = r.queue(fmt.Sprint("q", i))
		r.route(bus, r.rule(bus, fmt.Sprint("rule", i), pattern), "t", queues[pattern])
	}
	var event struct {
		Source, Detail json.RawMessage
		Resources      []string
	}
	if err := json.Unmarshal([]byte(sampleEvent), &event); err != nil {
		r.fail("the sample event: %w", err)
	}
	e := entry(bus, "shop.orders", "ORDER_PLACED", string(event.Detail))
	e.Resources = event.Resources
	must(r.events.PutEvents(r.ctx, &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{e}}))
	arrived := make([]int, len(patterns))
	var waiting errgroup.Group // those that get nothing wait a second, all the same one
	for i, pattern := range patterns {
		waiting.Go(func() error {
			got, err := r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: queues[pattern], WaitTimeSeconds: 1})
			if err == nil {
				arrived[i] = len(got.Messages)
			}
			return err
		})
	}
	if err := waiting.Wait(); err != nil {
		r.fail("%w", err)
	}
	for i, pattern := range patterns {
		r.note("routed by "+pattern, arrived[i] == 1)
	}
}

func patterns() []Scenario {
	var out []Scenario
	for _, c := range tried {
		out = append(out, Scenario{Name: c.name, play: func(r *run) {
			for _, pattern := range c.patterns {
				got, err := r.events.TestEventPattern(r.ctx, &eventbridge.TestEventPatternInput{Event: str(sampleEvent), EventPattern: &pattern})
				r.seeAs("TestEventPattern "+pattern, got, err)
			}
			r.routed(c.patterns)
		}})
	}
	out = append(out, Scenario{Name: "patterns that are not valid are refused", play: func(r *run) {
		bus := r.bus()
		for _, pattern := range refused {
			got, err := r.events.TestEventPattern(r.ctx, &eventbridge.TestEventPatternInput{Event: str(sampleEvent), EventPattern: &pattern})
			r.seeAs("TestEventPattern "+pattern, got, err)
			rule := str(r.name("rule"))
			put, err := r.events.PutRule(r.ctx, &eventbridge.PutRuleInput{EventBusName: bus, Name: rule, EventPattern: &pattern})
			r.seeAs("PutRule "+pattern, put, err)
			r.removeRule(bus, rule)
		}
	}})
	out = append(out, Scenario{Name: "patterns are tried on whole events", play: func(r *run) {
		for _, event := range []string{`{`, `{"source":"x"}`, `[]`} {
			r.see(r.events.TestEventPattern(r.ctx, &eventbridge.TestEventPatternInput{Event: &event, EventPattern: str(anyPattern)}))
		}
	}})
	return scenarios("events", out...)
}
