package eventstest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
)

// RequirePublished returns the events of type T that p has captured and every
// match accepts, in the order of publication: as a subscriber would decode
// them. If there is none it ends the test, and shows what was published
// instead.
func RequirePublished[T events.Event](t testing.TB, p *Publisher, matches ...func(T) bool) []T {
	t.Helper()
	found, ofType := find(t, p, matches)
	switch {
	case len(found) > 0:
	case ofType > 0:
		t.Fatalf("eventstest: none of the %d %s that were published is one to match; %s", ofType, typeOf[T](), p.describe())
	default:
		t.Fatalf("eventstest: no %s was published; %s", typeOf[T](), p.describe())
	}
	return found
}

// RequireNone ends the test if p has captured an event of type T that every
// match accepts.
func RequireNone[T events.Event](t testing.TB, p *Publisher, matches ...func(T) bool) {
	t.Helper()
	if found, _ := find(t, p, matches); len(found) > 0 {
		t.Fatalf("eventstest: %d %s published, want none; %s", len(found), typeOf[T](), p.describe())
	}
}

func typeOf[T events.Event]() events.Type {
	var zero T
	return zero.EventType()
}

// find decodes the events of type T, and returns those that match.
func find[T events.Event](t testing.TB, p *Publisher, matches []func(T) bool) (found []T, ofType int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
next:
	for _, c := range p.captured {
		if c.envelope.EventType() != typeOf[T]() {
			continue
		}
		ofType++
		var e T
		if err := json.Unmarshal(c.data, &e); err != nil {
			t.Fatalf("eventstest: the data of %s %s is not that of a %T: %v", c.envelope.EventType(), c.envelope.ID, e, err)
		}
		for _, match := range matches {
			if !match(e) {
				continue next
			}
		}
		found = append(found, e)
	}
	return found, ofType
}

// describe tells what was published and refused, for the message of a test that
// fails.
func (p *Publisher) describe() string {
	const (
		shown    = 10
		maxBytes = 300
	)
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	if len(p.captured) == 0 {
		b.WriteString("nothing was published")
	} else {
		fmt.Fprintf(&b, "published (%d):", len(p.captured))
	}
	for i, c := range p.captured {
		if i == shown {
			fmt.Fprintf(&b, "\n  and %d more", len(p.captured)-shown)
			break
		}
		data := string(c.data)
		if len(data) > maxBytes {
			data = strings.ToValidUTF8(data[:maxBytes], "") + "…"
		}
		fmt.Fprintf(&b, "\n  %s %s", c.envelope.EventType(), data)
	}
	for _, err := range p.refused {
		fmt.Fprintf(&b, "\nrefused: %v", err)
	}
	return b.String()
}
