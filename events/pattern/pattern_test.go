package pattern_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events/pattern"
)

// A goldenCase is a block of a file under testdata: a pattern, and the events that it matches and does not match; or a
// pattern and the error of parsing it.
type goldenCase struct {
	page    string // of AWS's documentation, by its title
	name    string // the comment above it, or above the nearest one before it that has one
	where   string // file:line
	pattern string
	events  []goldenEvent
	err     string
}

type goldenEvent struct {
	json string
	want bool
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden cases: %d files, error %v", len(files), err)
	}
	var cases []goldenCase
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		page, name, line := "", "", 0
		for text := range strings.Lines(string(data)) {
			line++
			text = strings.TrimSuffix(text, "\n")
			where := file + ":" + strconv.Itoa(line)
			if comment, ok := strings.CutPrefix(text, "# "); ok {
				name = comment
				continue
			}
			if text == "" {
				continue
			}
			key, rest, _ := strings.Cut(text, ": ")
			switch key {
			case "page":
				page = rest
				continue
			case "pattern":
				cases = append(cases, goldenCase{page: page, name: name, where: where, pattern: rest})
				continue
			}
			if len(cases) == 0 {
				t.Fatalf("%s: a pattern comes first", where)
			}
			last := &cases[len(cases)-1]
			switch key {
			case "match", "no match":
				last.events = append(last.events, goldenEvent{rest, key == "match"})
			case "error":
				last.err = rest
			default:
				t.Fatalf("%s: want page, pattern, match, no match or error, not %q", where, key)
			}
		}
	}
	return cases
}

func TestGoldenCases(t *testing.T) {
	verdicts := 0
	for _, c := range goldenCases(t) {
		t.Run(c.name, func(t *testing.T) {
			if c.page == "" {
				t.Errorf("%s: no page says so", c.where)
			}
			p, err := pattern.Parse([]byte(c.pattern))
			if c.err != "" {
				verdicts++
				if err == nil || err.Error() != c.err {
					t.Errorf("%s: pattern %s\n got error: %v\nwant error: %s", c.where, c.pattern, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: pattern %s: %v", c.where, c.pattern, err)
			}
			for _, e := range c.events {
				verdicts++
				got, err := p.Match([]byte(e.json))
				if err != nil {
					t.Errorf("%s: event %s: %v", c.where, e.json, err)
				} else if got != e.want {
					t.Errorf("%s: pattern %s, event %s: match is %t, want %t", c.where, c.pattern, e.json, got, e.want)
				}
				if matched, err := pattern.NewSet(p).Match([]byte(e.json)); err != nil {
					t.Errorf("%s: event %s, a set: %v", c.where, e.json, err)
				} else if got := len(matched) == 1; got != e.want {
					t.Errorf("%s: pattern %s, event %s: match in a set is %t, want %t", c.where, c.pattern, e.json, got, e.want)
				}
			}
		})
	}
	t.Logf("%d verdicts", verdicts)
	if verdicts < 300 {
		t.Errorf("%d verdicts are too few for all operators and kinds of values", verdicts)
	}
}

func TestAnEventMustBeAJSONObject(t *testing.T) {
	p := parse(t, `{"a": [1]}`)
	for _, event := range []string{`[{"a": 1}]`, `"a"`, `null`, `{"a": 1} {}`, `{"a": 1`, `{"a": nothing}`, `{"b": [}`, ``} {
		if _, err := pattern.NewSet(p).Match([]byte(event)); err == nil {
			t.Errorf("event %s: no error of a set", event)
		}
	}
	for event, want := range map[string]string{
		`[{"a": 1}]`:     "event: must be a JSON object",
		`"a"`:            "event: must be a JSON object",
		`null`:           "event: must be a JSON object",
		`{"a": 1} {}`:    "event: not JSON: invalid character '{' after top-level value",
		`{"a": 1`:        "event: not JSON: unexpected end of JSON input",
		`{"a": nothing}`: "event: not JSON: invalid character 'o' in literal null (expecting 'u')",
	} {
		if _, err := p.Match([]byte(event)); err == nil || err.Error() != want {
			t.Errorf("event %s: got error %v, want %s", event, err, want)
		}
	}
}

func TestOneDecodedEventServesManyPatternsAtOnce(t *testing.T) {
	event, err := pattern.Decode([]byte(`{"source": "savings", "detail": {"items": [{"id": 1}, {"id": 2, "state": "new"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	patterns := map[string]bool{
		`{"source": ["savings"]}`:                                     true,
		`{"source": ["trading"]}`:                                     false,
		`{"detail": {"items": {"id": [2], "state": ["new"]}}}`:        true,
		`{"detail": {"items": {"id": [1], "state": ["new"]}}}`:        false,
		`{"detail": {"items": {"id": [1], "x": [{"exists":false}]}}}`: true,
	}
	for text, want := range patterns {
		p := parse(t, text)
		for range 4 {
			t.Run(text, func(t *testing.T) {
				t.Parallel()
				if got := p.MatchEvent(event); got != want {
					t.Errorf("match is %t, want %t", got, want)
				}
			})
		}
	}
}

func TestAPatternPrintsAsCompactJSON(t *testing.T) {
	p := parse(t, "{ \"a\":\n\t[ 3.0e2, {\"prefix\": \"x y\"} ] }")
	if got, want := p.String(), `{"a":[3.0e2,{"prefix":"x y"}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Independent arrays, none of whose values settles the verdict, must not multiply: 20 arrays of 10 elements would be 10²⁰
// combinations.
func TestArraysDoNotMultiply(t *testing.T) {
	var patterns, events []string
	for _, name := range strings.Split("abcdefghijklmnopqrst", "") {
		patterns = append(patterns, `"`+name+`": {"x": [1], "y": [2]}`)
		events = append(events, `"`+name+`": [`+strings.Repeat(`{"x": 1, "y": 2},`, 9)+`{"x": 1, "y": 2}]`)
	}
	p := parse(t, "{"+strings.Join(patterns, ",")+`, "z": {"x": [1], "y": [2]}}`)
	for last, want := range map[string]bool{
		`, "z": [{"x": 1}, {"y": 2}]}`:                false,
		`, "z": [{"x": 1}, {"y": 2}, {"x":1,"y":2}]}`: true,
	} {
		got, err := p.Match([]byte("{" + strings.Join(events, ",") + last))
		if err != nil || got != want {
			t.Errorf("with %s: match is %t (error %v), want %t", last, got, err, want)
		}
	}
}

// FuzzMatch checks that no input panics, and what must hold for every pattern: it survives printing, and matching depends
// neither on how an event is spelled nor on how much of it is decoded.
func FuzzMatch(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.pattern, `{}`)
		for _, e := range c.events {
			f.Add(c.pattern, e.json)
		}
	}
	f.Fuzz(func(t *testing.T, text, event string) {
		p, err := pattern.Parse([]byte(text))
		if err != nil {
			return
		}
		again, err := pattern.Parse([]byte(p.String()))
		if err != nil {
			t.Fatalf("%s prints as %s: %v", text, p, err)
		}
		got, err := p.Match([]byte(event))
		if err != nil {
			return
		}
		if other, err := again.Match([]byte(" " + event + "\n")); err != nil || other != got {
			t.Fatalf("pattern %s, event %s: match is %t, then %t (error %v)", text, event, got, other, err)
		}
		// Beside other patterns, a set reads more of the event than this one needs.
		for _, set := range []*pattern.Set{pattern.NewSet(p), pattern.NewSet(parse(t, subscriptionRule), p)} {
			matched, err := set.Match([]byte(event))
			if err != nil || slices.Contains(matched, set.Len()-1) != got {
				t.Fatalf("pattern %s, event %s: match in a set of %d is %t, want %t (error %v)", text, event, set.Len(), !got, got, err)
			}
		}
	})
}

// BenchmarkMatchEvent is a rule as subscriptions have it, against an event of ours.
func BenchmarkMatchEvent(b *testing.B) {
	p := parse(b, subscriptionRule)
	event, err := pattern.Decode([]byte(withdrawal))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !p.MatchEvent(event) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.SetBytes(int64(len(withdrawal)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pattern.Decode([]byte(withdrawal)); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	subscriptionRule = `{"source": ["savings"], "detail-type": ["SAVINGS_WITHDRAWAL"], "detail": {"data": {"amount": [{"numeric": [">", 0]}]}}}`
	withdrawal       = `{"version": "0", "id": "0b3a8f6e-4a3c-4a53-9d1b-6d8a4a2f9c11", "source": "savings", "detail-type": "SAVINGS_WITHDRAWAL",
		"account": "000000000000", "region": "eu-central-1", "time": "2026-05-04T09:30:00Z", "resources": [],
		"detail": {"metadata": {"id": "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "correlationId": "c-1", "causationId": "", "userId": "u-1",
			"organisationId": "o-1", "occurredAt": "2026-05-04T09:29:59.123Z", "traceparent": ""},
			"data": {"accountId": "acc-000123", "amount": 150.25, "currency": "EUR", "channel": "branch"}}}`
)

func parse(t testing.TB, text string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
