package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// answering is a bus that gives one answer to everything.
type answering struct {
	err  error
	sent []string
}

func (b *answering) PutEntries(_ context.Context, entries []events.Entry) error {
	for _, e := range entries {
		b.sent = append(b.sent, e.ID)
	}
	return b.err
}

// withCode is the error of a bus that has not accepted some events.
func withCode(code string, ids ...string) error {
	var err events.PublishError
	for _, id := range ids {
		err.Failed = append(err.Failed, events.FailedEntry{ID: id, Code: code, Err: errors.New("says the bus")})
	}
	return &err
}

func TestDeliverTellsWhatIsSentWhatFailedAndWhatCanNeverBeSent(t *testing.T) {
	const refused, throttled = "MalformedDetail", "ThrottlingException"
	both := &events.PublishError{}
	for _, err := range []error{withCode(refused, "1a"), withCode(throttled, "1b")} {
		both.Failed = append(both.Failed, err.(*events.PublishError).Failed...)
	}
	messages := []outbox.Message{
		{Key: "m1", Entries: []events.Entry{{ID: "1a"}, {ID: "1b"}}},
		{Key: "m2", Entries: []events.Entry{{ID: "2a"}, {ID: "2b"}}},
		{Key: "m3", Entries: []events.Entry{{ID: "3a"}}},
	}
	for what, c := range map[string]struct {
		bus                   error
		sent, failed, refused string
	}{
		"all goes well":                  {nil, "m1 m2 m3", "", ""},
		"one event is refused":           {withCode(refused, "2b"), "m1 m3", "", "m2"},
		"one event is throttled":         {withCode(throttled, "2b"), "m1 m3", "m2", ""},
		"one of each in a message":       {both, "m2 m3", "m1", ""},
		"the bus cannot be reached":      {errors.New("no route"), "", "m1 m2 m3", ""},
		"every message has a bad event":  {withCode(refused, "1a", "2a", "3a"), "", "", "m1 m2 m3"},
		"a call failed, whatever it was": {withCode("RequestFailed", "3a"), "m1 m2", "m3", ""},
	} {
		t.Run(what, func(t *testing.T) {
			bus := &answering{err: c.bus}
			out := outbox.Deliver(t.Context(), bus, messages)
			var setAside []string
			for _, r := range out.Refused {
				setAside = append(setAside, r.Key)
				if !strings.Contains(r.Reason, refused) || !strings.Contains(r.Reason, "says the bus") {
					t.Errorf("the reason is %q", r.Reason)
				}
			}
			for _, got := range []struct {
				keys []string
				want string
			}{{out.Sent, c.sent}, {out.Failed, c.failed}, {setAside, c.refused}} {
				if strings.Join(got.keys, " ") != got.want {
					t.Errorf("sent %v, failed %v, refused %v; want %q, %q, %q", out.Sent, out.Failed, setAside, c.sent, c.failed, c.refused)
				}
			}
			if !errors.Is(out.Err, c.bus) {
				t.Errorf("%v does not tell its cause", out.Err)
			}
			if !slices.Equal(bus.sent, []string{"1a", "1b", "2a", "2b", "3a"}) {
				t.Errorf("the bus was given %v", bus.sent)
			}
		})
	}
}

func TestAnEventAboveTheCeilingIsRefusedWithoutAskingTheBus(t *testing.T) {
	bus := &answering{}
	out := outbox.Deliver(t.Context(), bus, []outbox.Message{
		{Key: "large", Entries: []events.Entry{{ID: "1", Detail: make([]byte, events.MaxEntryBytes+1)}}},
		{Key: "small", Entries: []events.Entry{{ID: "2"}}},
	})
	if !slices.Equal(out.Sent, []string{"small"}) || len(out.Refused) != 1 || !strings.Contains(out.Refused[0].Reason, "TooLarge") {
		t.Errorf("got %+v", out)
	}
	if !slices.Equal(bus.sent, []string{"2"}) {
		t.Errorf("the bus was given %v", bus.sent)
	}
}
