package trace

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

var made = time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)

// id is the id of the n-th event.
func id(n int) string {
	return events.DeriveID(made, fmt.Sprint(n), savings.FeeCharged{}.EventType(), 0)
}

// searching is a trace of what its lines tell, in a project whose subscriptions fees/in
// and fees/large, with a filter, receive savings/FEE_CHARGED.
func searching(t *testing.T, lines ...string) *search {
	t.Helper()
	subscription := func(name, filter string) subscriptions.Subscription {
		m := &manifest.Subscription{Name: name, Event: "savings/FEE_CHARGED", Filter: []byte(filter)}
		if filter == "" {
			m.Filter = nil
		}
		return subscriptions.Subscription{Function: "fees", Name: name, Manifest: m, Rule: name}
	}
	env := &subscriptions.Environment{
		Target:   &cli.Target{Names: names.New("shop", "prod")},
		Declared: []subscriptions.Subscription{subscription("in", ""), subscription("large", `{"data":{"amount":[9]}}`)},
	}
	s := &search{
		Tracer: &Tracer{subs: env}, now: made.Add(time.Hour), id: id(0),
		outcomes: map[string][]outcome{}, lines: map[string][]line{}, causes: map[string]outcome{}, bodies: map[string]body{}, dead: map[deadKey]*InDLQ{}, waits: map[string]string{},
		rules: map[string]*pattern.Pattern{},
	}
	for _, sub := range env.Declared {
		p, err := pattern.Parse(sub.Manifest.Pattern())
		if err != nil {
			t.Fatal(err)
		}
		s.rules[sub.Rule] = p
	}
	for _, l := range lines {
		s.take(types.FilteredLogEvent{Message: aws.String(l)})
	}
	return s
}

// record is an outcome record of the n-th event, which caused others.
func record(n int, outcome string, second int, caused ...int) string {
	var effects []string
	for _, c := range caused {
		effects = append(effects, "savings/FEE_CHARGED "+id(c))
	}
	return fmt.Sprintf(`{"time":%q,"msg":"outcome","function":"fees","eventKey":"fees/in/%s","id":%q,"type":"savings/FEE_CHARGED","subscription":"in","attempt":%d,"correlationId":%q,"outcome":%q,"caused":%q}`,
		made.Add(time.Duration(second)*time.Second).Format(time.RFC3339), id(n), id(n), second, id(0), outcome, strings.Join(effects, ", "))
}

// draw is a tree of events, each with the outcomes of fees/in.
func draw(e *Event) string {
	var parts []string
	for _, r := range e.Subscriptions {
		if r.Subscription == "fees/in" {
			for _, a := range r.Attempts {
				parts = append(parts, a.Outcome)
			}
		}
	}
	text := strings.Join(parts, ",")
	if len(e.Caused) > 0 {
		var caused []string
		for _, c := range e.Caused {
			caused = append(caused, draw(c))
		}
		text += "(" + strings.Join(caused, " ") + ")"
	}
	return text
}

func TestATreeIsWhatTheOutcomesSayOfEachOther(t *testing.T) {
	for _, c := range []struct {
		what  string
		lines []string
		want  string
	}{
		{"attempts in order, whatever the log's", []string{record(0, "handled", 3), record(0, "failed", 2)}, "failed,handled"},
		{"a record that was found twice", []string{record(0, "handled", 1), record(0, "handled", 1)}, "handled"},
		{"down to the leaves", []string{record(0, "handled", 1, 1), record(1, "handled", 2, 2), record(2, "permanent", 3)}, "handled(handled(permanent))"},
		{"one that every attempt makes", []string{record(0, "failed", 1, 1), record(0, "handled", 2, 1)}, "failed,handled()"},
		{"a loop", []string{record(0, "handled", 1, 1), record(1, "handled", 2, 0)}, "handled(handled(handled))"},
		{"lines that are no records", []string{"START RequestId: x", "{", `{"msg":"outcome"}`, record(0, "handled", 1)}, "handled"},
	} {
		if got := draw(searching(t, c.lines...).build(id(0), map[string]bool{}, 0)); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestWhereALoopIsCutIsSaid(t *testing.T) {
	e := searching(t, record(0, "handled", 1, 0)).build(id(0), map[string]bool{}, 0)
	if unknown := e.Caused[0].Unknown; len(unknown) != 1 || !strings.Contains(unknown[0], "goes round in a loop") {
		t.Errorf("said: %q", unknown)
	}
}

func TestAnEventIsPublishedIfItsCauseWasHandled(t *testing.T) {
	for outcome, want := range map[string]string{"handled": "by fees/in, which handled " + id(0), "failed": "perhaps, by fees/in, which handled " + id(0) + ": failed"} {
		s := searching(t, record(0, outcome, 1, 1))
		if got := s.published(s.build(id(1), map[string]bool{}, 0)); got != want {
			t.Errorf("%s: %q, want %q", outcome, got, want)
		}
	}
}

func TestWhetherAFilterMatchesIsToldByTheEventAlone(t *testing.T) {
	for _, c := range []struct{ event, in, large string }{
		{"", NoOutcome, Possible},
		{`{"amount":9}`, NoOutcome, NoOutcome},
		{`{"amount":8}`, NoOutcome, NotMatched},
	} {
		s := searching(t, record(0, "handled", 1, 1))
		if c.event != "" {
			s.see(fmt.Sprintf(`{"source":"savings","detail-type":"FEE_CHARGED","detail":{"metadata":{"id":%q},"data":%s}}`, id(1), c.event))
		}
		states := map[string]string{}
		for _, r := range s.build(id(1), map[string]bool{}, 0).Subscriptions {
			states[r.Subscription] = r.State
		}
		if states["fees/in"] != c.in || states["fees/large"] != c.large {
			t.Errorf("event %q: %v", c.event, states)
		}
	}
}

func TestWhatAReplayHandledAnewIsSaid(t *testing.T) {
	text := strings.Replace(record(0, "handled", 1), "fees/in/"+id(0), "fees/in/"+id(0)+"/shop-prod-replay-abcdef_again", 1)
	e := searching(t, text).build(id(0), map[string]bool{}, 0)
	if got := e.Subscriptions[0].Attempts[0].Replay; got != "shop-prod-replay-abcdef_again" {
		t.Errorf("replay %q", got)
	}
}

func TestAnIDTellsWhenItsEventWasMade(t *testing.T) {
	if at, err := madeAt(id(0), made.Add(time.Hour)); err != nil || !at.Equal(made) {
		t.Errorf("%v, want %v; %v", at, made, err)
	}
	for _, wrong := range []string{"", "42", strings.ToUpper(id(0)), "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"} {
		var misuse cli.Misuse
		if _, err := madeAt(wrong, made); !errors.As(err, &misuse) {
			t.Errorf("%q: %v, want a misuse", wrong, err)
		}
	}
	if _, err := madeAt(id(0), made.Add(-time.Hour)); err == nil {
		t.Error("an event that is still to come has a trace")
	}
}
