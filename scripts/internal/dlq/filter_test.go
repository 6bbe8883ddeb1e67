package dlq_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

func parsed(t *testing.T, text string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAFilterPicksWhatMeetsAllOfIt(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	m := &dlq.Message{ID: "m-1", Body: event("e-1", 5), SentAt: at, Type: events.Type{Source: "savings", Name: "SAVINGS_WITHDRAWAL"}}
	m.Metadata.ID = "e-1"
	const reason = "account ACC-1001 is closed"
	for _, c := range []struct {
		filter dlq.Filter
		want   bool
	}{
		{dlq.Filter{}, true},
		{dlq.Filter{IDs: []string{"x", "e-1"}}, true},
		{dlq.Filter{IDs: []string{"m-1"}}, true},
		{dlq.Filter{IDs: []string{"x", ""}}, false},
		{dlq.Filter{Types: []string{"savings/SAVINGS_WITHDRAWAL"}}, true},
		{dlq.Filter{Types: []string{"x/Y", "SAVINGS_WITHDRAWAL"}}, true},
		{dlq.Filter{Types: []string{"SAVINGS"}}, false},
		{dlq.Filter{Before: at}, false},
		{dlq.Filter{Before: at.Add(1)}, true},
		{dlq.Filter{After: at}, false},
		{dlq.Filter{After: at.Add(-1)}, true},
		{dlq.Filter{Reason: "is closed"}, true},
		{dlq.Filter{Reason: "account * is closed"}, true},
		{dlq.Filter{Reason: "* closed"}, true},
		{dlq.Filter{Reason: "account *"}, true},
		{dlq.Filter{Reason: "* is *"}, true},
		{dlq.Filter{Reason: "is *"}, false},
		{dlq.Filter{Reason: "Account *"}, false},
		{dlq.Filter{Pattern: parsed(t, `{"detail":{"data":{"amount":[{"numeric":[">",4]}]}}}`)}, true},
		{dlq.Filter{Pattern: parsed(t, `{"detail":{"data":{"amount":[{"numeric":[">",5]}]}}}`)}, false},
		{dlq.Filter{IDs: []string{"e-1"}, Reason: "open"}, false},
	} {
		if got := c.filter.Match(m, reason); got != c.want {
			t.Errorf("%+v picks it: %v", c.filter, got)
		}
	}
	if f := (dlq.Filter{Reason: "*"}); f.Match(m, "") || f.All() {
		t.Error("a reason that is not known is no reason")
	}
	garbage := &dlq.Message{Body: "garbage"}
	if f := (dlq.Filter{Pattern: parsed(t, `{"source":[{"prefix":""}]}`)}); f.Match(garbage, "") {
		t.Error("what is no event matches no pattern")
	}
}

// FuzzReason: * in a filter's reason is any text, as a regular expression has it.
func FuzzReason(f *testing.F) {
	f.Add("a * c", "a b c")
	f.Add("**", "")
	f.Add("ab*ba", "aba")
	f.Fuzz(func(t *testing.T, wanted, reason string) {
		if wanted == "" || !utf8.ValidString(wanted) || !utf8.ValidString(reason) {
			return
		}
		parts := strings.Split(wanted, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := reason != "" && (strings.Contains(reason, wanted) || len(parts) > 1 && regexp.MustCompile(`(?s)^`+strings.Join(parts, `.*`)+`$`).MatchString(reason))
		if got := (&dlq.Filter{Reason: wanted}).Match(&dlq.Message{}, reason); got != want {
			t.Errorf("%q picks %q: %v", wanted, reason, got)
		}
	})
}

func TestGroupsAreOfReasonsThatDifferInIDsAndAmountsOnly(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var failures []dlq.Failure
	for i, reason := range []string{
		"account ACC-1001 is closed", "account ACC-1002 is closed",
		`no such currency "XXX"`, `no such currency "YYY"`, `no such currency "XXX"`,
		"core banking answered 503", "core banking answered 500",
		"withdrawal 01976e5a-8c00-7000-8000-000000000001: amount -12.50: must be positive",
		"", "",
	} {
		failures = append(failures, dlq.Failure{Queue: dlq.Failed, Type: "savings/SAVINGS_WITHDRAWAL", Reason: reason, SentAt: at.Add(time.Duration(i) * time.Second), Redrives: i % 2})
	}
	failures = append(failures, dlq.Failure{Queue: dlq.Undelivered, Reason: "NO_PERMISSIONS", SentAt: at})
	var got []string
	for _, g := range dlq.Groups(failures) {
		got = append(got, fmt.Sprintf("%s %d %d %s %v", g.Queue, g.Count, g.Redriven, g.Reason, g.Newest.Sub(g.Oldest)))
		n := 0
		for _, f := range failures {
			if filter := (dlq.Filter{Reason: g.Reason}); f.Queue == g.Queue && f.Reason != "" && filter.Match(&dlq.Message{}, f.Reason) {
				n++
			}
		}
		if g.Reason != "" && n != g.Count {
			t.Errorf("as a filter, %q picks %d of %d", g.Reason, n, g.Count)
		}
	}
	want := []string{
		`dlq 3 1 no such currency "*" 2s`,
		`dlq 2 1  1s`,
		`dlq 2 1 account * is closed 1s`,
		`dlq 1 0 core banking answered 500 0s`,
		`dlq 1 1 core banking answered 503 0s`,
		`dlq 1 1 withdrawal 01976e5a-8c00-7000-8000-000000000001: amount -12.50: must be positive 0s`,
		`rule-dlq 1 0 NO_PERMISSIONS 0s`,
	}
	if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}
