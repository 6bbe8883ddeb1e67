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

// backend is a bus and a store.
type backend struct {
	sendErr, removeErr error

	sent, removed []string
}

func (b *backend) PutEntries(_ context.Context, entries []events.Entry) error {
	for _, e := range entries {
		b.sent = append(b.sent, e.ID)
	}
	return b.sendErr
}

func (b *backend) Remove(_ context.Context, keys []string) error {
	b.removed = append(b.removed, keys...)
	return b.removeErr
}

func refused(ids ...string) error {
	var err events.PublishError
	for _, id := range ids {
		err.Failed = append(err.Failed, events.FailedEntry{ID: id, Code: "MalformedDetail", Err: errors.New("no JSON")})
	}
	return &err
}

func TestSendRemovesWhatTheBusHasAccepted(t *testing.T) {
	messages := []outbox.Message{
		{Key: "m1", Entries: []events.Entry{{ID: "1a"}, {ID: "1b"}}},
		{Key: "m2", Entries: []events.Entry{{ID: "2a"}, {ID: "2b"}}},
		{Key: "m3", Entries: []events.Entry{{ID: "3a"}}},
	}
	all := []string{"m1", "m2", "m3"}
	for what, c := range map[string]struct {
		backend
		removes []string
		failed  []string
		err     string
	}{
		"all goes well":                     {backend{}, all, nil, ""},
		"one event is refused":              {backend{sendErr: refused("2b")}, []string{"m1", "m3"}, []string{"m2"}, "MalformedDetail"},
		"every message has a refused event": {backend{sendErr: refused("1a", "2a", "3a")}, nil, all, "3 events were not published"},
		"the bus cannot be reached":         {backend{sendErr: errors.New("no route")}, nil, all, "outbox: no route"},
		"nothing can be removed":            {backend{removeErr: errors.New("denied")}, all, all, "outbox: removing what was sent: denied"},
		"refused and cannot be removed":     {backend{sendErr: refused("2b"), removeErr: errors.New("denied")}, []string{"m1", "m3"}, all, "denied"},
	} {
		t.Run(what, func(t *testing.T) {
			b := &c.backend
			failed, err := (&outbox.Relay{Bus: b, Store: b}).Send(t.Context(), messages)
			if !slices.Equal(failed, c.failed) {
				t.Errorf("failed %v, want %v", failed, c.failed)
			}
			if !slices.Equal(b.removed, c.removes) {
				t.Errorf("removed %v, want %v", b.removed, c.removes)
			}
			if !slices.Equal(b.sent, []string{"1a", "1b", "2a", "2b", "3a"}) {
				t.Errorf("sent %v", b.sent)
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got error %v, want one with %q", err, c.err)
			}
			if c.sendErr != nil && !errors.Is(err, c.sendErr) || c.removeErr != nil && !errors.Is(err, c.removeErr) {
				t.Errorf("%v does not tell its cause", err)
			}
		})
	}
}
