package scenarios

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// set sets an attribute of a queue, without noting it.
func (r *run) set(url *string, name, value string) {
	must(r.sqs.SetQueueAttributes(r.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{name: value}}))
}

// entry is an event to put.
func entry(bus *string, source, detailType, detail string) types.PutEventsRequestEntry {
	return types.PutEventsRequestEntry{EventBusName: bus, Source: &source, DetailType: &detailType, Detail: &detail}
}

// put notes what putting events answers.
func (r *run) put(entries ...types.PutEventsRequestEntry) {
	r.see(r.events.PutEvents(r.ctx, &eventbridge.PutEventsInput{Entries: append([]types.PutEventsRequestEntry{}, entries...)}))
}

// awaitEvent waits for one event in a queue, and notes it member by member.
func (r *run) awaitEvent(url *string) {
	var body string
	r.until("an event", func() bool {
		got := must(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5}))
		for _, m := range got.Messages {
			body = *m.Body
			must(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}))
		}
		return len(got.Messages) > 0
	})
	var members map[string]any
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		r.fail("an event that is no JSON: %w", err)
	}
	texts := map[string]string{}
	for name, value := range members {
		text, err := json.Marshal(value)
		if err != nil {
			r.fail("member %s of an event: %w", name, err)
		}
		texts[name] = strings.Trim(string(text), `"`)
	}
	r.note("received", texts)
}

func deliveries() []Scenario {
	return scenarios("events",
		Scenario{Name: "an event reaches the queue of the rule that it matches", play: func(r *run) {
			bus, yes, no := r.bus(), r.queue("yes"), r.queue("no")
			r.route(bus, r.rule(bus, "yes", `{"source":["shop"],"detail-type":["ORDER_PLACED"]}`), "t", yes)
			r.route(bus, r.rule(bus, "no", `{"source":["store"]}`), "t", no)
			e := entry(bus, "shop", "ORDER_PLACED", `{"amount": 250, "lines": [1,2]}`)
			e.Resources = []string{"arn:aws:x:1"}
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			e.Time = &at
			r.put(e)
			r.awaitEvent(yes)
			r.note("the other queue", r.depth(no))
		}},
		Scenario{Name: "an event reaches every target of every rule that it matches", play: func(r *run) {
			bus, a, b, c := r.bus(), r.queue("a"), r.queue("b"), r.queue("c")
			one, two := r.rule(bus, "one", `{"source":["shop"]}`), r.rule(bus, "two", `{"detail":{"amount":[{"numeric":[">",100]}]}}`)
			r.route(bus, one, "a", a)
			r.route(bus, one, "b", b)
			r.route(bus, two, "c", c)
			r.put(entry(bus, "shop", "ORDER_PLACED", `{"amount":250}`))
			for _, queue := range []*string{a, b, c} {
				r.until("an event", func() bool { return r.depth(queue) == "1" })
			}
			r.note("each got one", true)
		}},
		Scenario{Name: "a disabled rule delivers nothing", play: func(r *run) {
			bus, off, on := r.bus(), r.queue("off"), r.queue("on")
			rule := r.rule(bus, "off", anyPattern)
			r.route(bus, rule, "t", off)
			r.route(bus, r.rule(bus, "on", anyPattern), "t", on)
			must(r.events.DisableRule(r.ctx, &eventbridge.DisableRuleInput{EventBusName: bus, Name: rule}))
			r.put(entry(bus, "shop", "ORDER_PLACED", `{}`))
			r.awaitEvent(on)
			r.note("the queue of the disabled rule", r.depth(off))
		}},
		Scenario{Name: "events fail one by one", play: func(r *run) {
			bus := r.bus()
			bad := []types.PutEventsRequestEntry{
				entry(bus, "shop", "ORDER_PLACED", `{"a":1}`),
				{EventBusName: bus, DetailType: str("X"), Detail: str(`{}`)},
				{EventBusName: bus, Source: str("shop"), Detail: str(`{}`)},
				{EventBusName: bus, Source: str("shop"), DetailType: str("X")},
				entry(bus, "shop", "X", `not JSON`),
				entry(bus, "shop", "X", `[1]`),
				entry(bus, "aws.shop", "X", `{}`),
				entry(bus, "shop", strings.Repeat("x", 129), `{}`),
			}
			r.put(bad...)
		}},
		Scenario{Name: "calls of PutEvents have their limits", play: func(r *run) {
			bus := r.bus()
			var eleven []types.PutEventsRequestEntry
			for range 11 {
				eleven = append(eleven, entry(bus, "shop", "X", `{}`))
			}
			r.put(eleven...)
			r.put()
			large := func(size int) string { return fmt.Sprintf(`{"x":%q}`, strings.Repeat("x", size)) }
			r.put(entry(bus, "shop", "X", large(1<<20)))
			r.put(entry(bus, "shop", "X", large(600<<10)), entry(bus, "shop", "X", large(600<<10)))
			r.put(entry(bus, "shop", "X", large(900<<10)))
		}},
		Scenario{Name: "events may go to several buses, by name or ARN", play: func(r *run) {
			bus, queue := r.bus(), r.queue("q")
			r.route(bus, r.rule(bus, "rule", anyPattern), "t", queue)
			arn := must(r.events.DescribeEventBus(r.ctx, &eventbridge.DescribeEventBusInput{Name: bus})).Arn
			r.put(entry(arn, "shop", "X", `{"by":"arn"}`), entry(nil, "shop", "X", `{}`))
			r.awaitEvent(queue)
		}},
		Scenario{Name: "an event for a bus that is not there", play: func(r *run) {
			r.put(entry(str(r.name("none")), "shop", "X", `{}`))
		}},
	)
}
