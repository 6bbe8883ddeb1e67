package pattern_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events/pattern"
)

func TestASetNamesThePatternsThatMatchInTheirOrder(t *testing.T) {
	set := pattern.NewSet(
		parse(t, `{"source": ["savings"]}`),
		parse(t, `{"source": ["trading"]}`),
		parse(t, `{"$or": [{"source": ["savings"]}, {"detail": {"amount": [{"numeric": [">", 0]}]}}]}`),
		parse(t, `{"detail": {"closed": [{"exists": false}]}}`),
		parse(t, `{"source": ["savings"], "detail": {"amount": [5, 7]}}`),
		parse(t, `{"source": ["savings"]}`),
	)
	for event, want := range map[string]string{
		`{"source": "savings", "detail": {"amount": 7}}`:    "[0 2 3 4 5]",
		`{"source": ["trading", "savings"], "detail": {}}`:  "[0 1 2 3 5]",
		`{"detail": {"amount": 1, "closed": "yesterday"}}`:  "[2]",
		`{"source": "storage", "detail": {"closed": null}}`: "[]",
	} {
		got, err := set.Match([]byte(event))
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: got %v (error %v), want %s", event, got, err, want)
		}
	}
	var none pattern.Set
	if got, err := none.Match([]byte(`{"a": 1}`)); err != nil || len(got) != 0 {
		t.Errorf("a set of no patterns: got %v (error %v)", got, err)
	}
}

var setFields = []string{"a", "b", "c", "a.b", ""}

// drawSetPattern draws the object of a pattern.
func drawSetPattern(t *rapid.T, depth int) map[string]any {
	p := map[string]any{}
	for range rapid.IntRange(1, 3).Draw(t, "fields") {
		name := rapid.SampledFrom(setFields).Draw(t, "name")
		switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case kind == 0 && depth > 0:
			p[name] = drawSetPattern(t, depth-1)
		case kind == 1 && depth > 0:
			p["$or"] = []any{drawSetPattern(t, depth-1), drawSetPattern(t, depth-1)}
		default:
			p[name] = rapid.SliceOfN(rapid.SampledFrom([]any{
				"x", "x", "y", "xy", "10.0.0.1", 0, 1, 1.5, 12345678901, true, false, nil,
				map[string]any{"exists": true}, map[string]any{"exists": false},
				map[string]any{"prefix": "x"}, map[string]any{"prefix": map[string]any{"equals-ignore-case": "X"}},
				map[string]any{"suffix": "y"}, map[string]any{"suffix": map[string]any{"equals-ignore-case": "Y"}},
				map[string]any{"equals-ignore-case": "XY"}, map[string]any{"wildcard": "x*"},
				map[string]any{"numeric": []any{">", 0}}, map[string]any{"numeric": []any{">=", 0, "<", 1.5}},
				map[string]any{"anything-but": "x"}, map[string]any{"anything-but": []any{0, 1}},
				map[string]any{"anything-but": map[string]any{"prefix": "x"}}, map[string]any{"cidr": "10.0.0.0/8"},
			}), 1, 3).Draw(t, "entries")
		}
	}
	return p
}

// drawSetEvent draws a value of an event; at the root it is an object.
func drawSetEvent(t *rapid.T, depth int, root bool) any {
	kind := 0
	if !root {
		kind = rapid.IntRange(0, 5).Draw(t, "kind")
	}
	switch {
	case kind == 0 && depth > 0:
		o := map[string]any{}
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			o[rapid.SampledFrom(setFields).Draw(t, "name")] = drawSetEvent(t, depth-1, false)
		}
		return o
	case kind == 1 && depth > 0:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			list = append(list, drawSetEvent(t, depth-1, false))
		}
		return list
	}
	return rapid.SampledFrom([]any{"x", "y", "xy", "XY", "", "10.0.0.1", "10.0.0.2", 0, 1, 1.5, 12345678901, true, false, nil}).Draw(t, "value")
}

func TestASetMatchesWhatEachOfItsPatternsMatchesAlone(t *testing.T) {
	matches := 0
	rapid.Check(t, func(t *rapid.T) {
		var patterns []*pattern.Pattern
		for range rapid.IntRange(0, 12).Draw(t, "patterns") {
			text, err := json.Marshal(drawSetPattern(t, 3))
			if err != nil {
				t.Fatal(err)
			}
			if p, err := pattern.Parse(text); err == nil { // else a path is tested twice
				patterns = append(patterns, p)
			}
		}
		set := pattern.NewSet(patterns...)
		for range 5 { // one after the other, for what one event might leave behind
			event, err := json.Marshal(drawSetEvent(t, 4, true))
			if err != nil {
				t.Fatal(err)
			}
			want := []int{}
			for i, p := range patterns {
				if ok, err := p.Match(event); err != nil {
					t.Fatal(err)
				} else if ok {
					want = append(want, i)
				}
			}
			matches += len(want)
			if got, err := set.Match(event); err != nil || !slices.Equal(got, want) {
				t.Fatalf("event %s: the set matches %v (error %v), its patterns alone %v, of\n%v", event, got, err, want, patterns)
			}
		}
	})
	if matches == 0 {
		t.Error("nothing matched")
	}
	t.Logf("%d matches", matches)
}

// A field without a name is told apart from the root by nobody: the set must not differ in that from its patterns.
func TestASetTakesAFieldWithoutANameAsItsPatternsDo(t *testing.T) {
	event := []byte(`{"":[{"b":"y","c":"x"},{},["x"]]}`)
	p, err := pattern.Parse([]byte(`{"":["x"],"c":["x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	alone, err := p.Match(event)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pattern.NewSet(p).Match(event); err != nil || (len(got) == 1) != alone {
		t.Errorf("the set matches %v (error %v), the pattern alone: %v", got, err, alone)
	}
}

func TestASetServesManyGoroutinesWhileAnotherTakesItsPlace(t *testing.T) {
	var rules atomic.Pointer[pattern.Set]
	first, second := ruleSet(t, 20), ruleSet(t, 40)
	rules.Store(first)
	want := map[*pattern.Set]string{}
	for _, s := range []*pattern.Set{first, second} {
		got, err := s.Match(benchEvent(3))
		if err != nil || len(got) == 0 {
			t.Fatal(got, err)
		}
		want[s] = fmt.Sprint(got)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				s := rules.Load()
				if got, err := s.Match(benchEvent(3)); err != nil || fmt.Sprint(got) != want[s] {
					t.Errorf("got %v (error %v), want %s", got, err, want[s])
				}
			}
		})
	}
	rules.Store(second)
	wg.Wait()
}

// rule is one of the rules of a busy bus, as a pattern: every second picks an event type, the others filter what it holds.
// There is a type for every two rules, and a source for every ten.
func rule(i int) string {
	eventType := fmt.Sprintf(`"source": ["module-%d"], "detail-type": ["EVENT_%d"]`, i/10, i/2)
	switch i % 10 {
	case 1:
		return `{` + eventType + `, "detail": {"data": {"amount": [{"numeric": [">", 100]}]}}}`
	case 3:
		return `{` + eventType + `, "detail": {"data": {"account": {"number": [{"prefix": "CH93"}]}}}}`
	case 5:
		return `{` + eventType + `, "detail": {"data": {"fee": [{"exists": true}]}}}`
	case 7:
		return `{` + eventType + `, "detail": {"data": {"$or": [{"currency": ["CHF"]}, {"amount": [{"numeric": [">=", 1000]}]}]}}}`
	case 9: // of every event type
		return fmt.Sprintf(`{"source": [{"prefix": "module-%d"}], "detail": {"data": {"lines": {"sku": ["s-%d"]}}}}`, i/10, i)
	}
	return `{` + eventType + `}`
}

func ruleSet(t testing.TB, n int) *pattern.Set {
	var patterns []*pattern.Pattern
	for i := range n {
		patterns = append(patterns, parse(t, rule(i)))
	}
	return pattern.NewSet(patterns...)
}

// benchEvent is an event of 1 KB, as a target receives it.
func benchEvent(eventType int) []byte {
	event := fmt.Sprintf(`{"version":"0","id":"0b3a8f6e-4a3c-4a53-9d1b-6d8a4a2f9c11","detail-type":"EVENT_%d","source":"module-%d","account":"000000000000",
		"time":"2026-05-04T09:30:00Z","region":"eu-central-1","resources":[],
		"detail":{"metadata":{"id":"0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","correlationId":"0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c","causationId":"0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5d",
		"userId":"u-000000123","organisationId":"o-000000123","occurredAt":"2026-05-04T09:29:59.123Z","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
		"data":{"account":{"number":"CH9300762011623852957","holder":"M\u00fcller & Co","branch":"0076"},"amount":150.25,"currency":"EUR","channel":"branch","bookedAt":"2026-05-04","approved":true,
		"lines":[{"sku":"s-1","count":2,"price":12.5},{"sku":"s-19","count":1,"price":125.25}],"reference":null,"note":"","tags":["retail","branch"]}}}`, eventType, eventType/5)
	event = strings.ReplaceAll(event, "\n\t\t", "")
	return []byte(strings.Replace(event, `"note":""`, `"note":"`+strings.Repeat("n", 1024-len(event))+`"`, 1))
}

// BenchmarkSet matches an event of 1 KB, from its bytes, against many rules.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%d rules", n), func(b *testing.B) {
			set := ruleSet(b, n)
			var events [][]byte
			for i := range 50 {
				events = append(events, benchEvent(i))
			}
			if len(events[7]) != 1024 || !json.Valid(events[7]) || !bytes.Contains(events[7], []byte("EVENT_7")) {
				b.Fatalf("event %s", events[7])
			}
			b.SetBytes(1024)
			b.ReportAllocs()
			matches := 0
			for i := 0; b.Loop(); i++ {
				matched, err := set.Match(events[i%len(events)])
				if err != nil {
					b.Fatal(err)
				}
				matches += len(matched)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(matches)/float64(b.N), "matches/event")
		})
	}
}
