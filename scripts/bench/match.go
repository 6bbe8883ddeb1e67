package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events/pattern"
)

// matchedBytes is how long the events are.
const matchedBytes = 1024

// matching measures from an event's bytes to the rules that it matches, on one
// core and in its time.
func matching(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, c := range []struct {
		rules int
		goal  string
	}{{100, "≥ 200000"}, {1000, ""}} {
		var rules []*pattern.Pattern
		for i := range c.rules {
			rule, err := pattern.Parse([]byte(busRule(i)))
			if err != nil {
				return err
			}
			rules = append(rules, rule)
		}
		set := pattern.NewSet(rules...)
		var events [][]byte
		for i := range c.rules / 2 { // of every type
			event := matchedEvent(i)
			if err := agree(set, rules, event); err != nil {
				return err
			}
			events = append(events, event)
		}
		rates, err := b.scale.rates(ctx, side{watch: computing, work: func(context.Context) (int, error) {
			const units = 1000
			for i := range units {
				if _, err := set.Match(events[i%len(events)]); err != nil {
					return 0, err
				}
			}
			return units, nil
		}})
		if err != nil {
			return err
		}
		b.report.add(result{Name: fmt.Sprintf("match_%d", c.rules), Value: rates[0], Unit: "1/s", Goal: c.goal})
	}
	return nil
}

// agree checks that the set finds what each pattern finds alone.
func agree(set *pattern.Set, rules []*pattern.Pattern, event []byte) error {
	var want []int
	for i, r := range rules {
		matches, err := r.Match(event)
		if err != nil {
			return err
		}
		if matches {
			want = append(want, i)
		}
	}
	got, err := set.Match(event)
	if err != nil {
		return err
	}
	if len(got) == 0 || !slices.Equal(got, want) {
		return fmt.Errorf("the rules %v match the event %s, and alone the rules %v do (some have to)", got, event, want)
	}
	return nil
}

// busRule is one of the rules of a bus that many functions subscribe to: there
// are two for each event type, of which one takes every event of the type, and
// the other has a filter.
func busRule(i int) string {
	source, name := eventType(i / 2)
	of := fmt.Sprintf(`"source": [%q], "detail-type": [%q]`, source, name)
	if i%2 == 0 {
		return `{` + of + `}`
	}
	filter := []string{
		`{"amount": [{"numeric": [">", 200, "<=", 1000]}]}`,
		`{"customer": {"country": ["CH", "AT"]}}`,
		`{"reference": [{"prefix": "INV-2026-"}]}`,
		`{"cancelledBy": [{"exists": false}], "channel": [{"anything-but": ["ATM"]}]}`,
		`{"$or": [{"amount": [{"numeric": [">=", 5000]}]}, {"lines": {"article": ["A-3"]}}]}`,
	}[i/2%5]
	return `{` + of + `, "detail": {"data": ` + filter + `}}`
}

// eventType names the types of five modules in turn.
func eventType(i int) (source, name string) {
	return []string{"savings", "trading", "storage", "billing", "shop"}[i%5], fmt.Sprintf("SOMETHING_HAPPENED_%d", i)
}

// matchedEvent is an event of a type, as the bus has it.
func matchedEvent(i int) []byte {
	source, name := eventType(i)
	const id = "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"
	metadata := fmt.Sprintf(`{"id":%q,"correlationId":%q,"userId":"user-4711","organisationId":"organisation-12","occurredAt":%q,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}`,
		id, id, time.Unix(1_800_000_000, 0).UTC().Format(time.RFC3339Nano))
	data := `{"amount":250.75,"currency":"EUR","channel":"ATM","reference":"INV-2026-004711","customer":{"name":"M\u00fcller & Co","country":"CH","city":"Basel"},` +
		`"lines":[{"article":"A-1","quantity":2,"price":100.25},{"article":"A-3","quantity":1,"price":50.25}],"tags":["retail","branch"],"approved":true,"note":%q}`
	event := `{"version":"0","id":"` + id + `","detail-type":"` + name + `","source":"` + source + `","account":"000000000000","time":"2027-01-15T08:00:00Z","region":"us-east-1","resources":[],"detail":{"metadata":` +
		metadata + `,"data":` + data + `}}`
	return fmt.Appendf(nil, event, strings.Repeat("n", matchedBytes-len(event)))
}
