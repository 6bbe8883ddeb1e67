package outboxtest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// bus takes events, and remembers them.
type bus struct {
	// answer, if there is one, returns EventBridge's error code for an entry;
	// empty accepts it.
	answer func(e events.Entry) (code string)
	// down, if there is one, is why the bus cannot be reached.
	down func() error

	mu       sync.Mutex
	accepted []events.Entry
	changed  chan struct{} // closed at the next change
}

func newBus() *bus { return &bus{changed: make(chan struct{})} }

func (b *bus) PutEntries(_ context.Context, entries []events.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() {
		close(b.changed)
		b.changed = make(chan struct{})
	}()
	if b.down != nil {
		if err := b.down(); err != nil {
			return err
		}
	}
	var failed []events.FailedEntry
	for _, e := range entries {
		if b.answer != nil {
			if code := b.answer(e); code != "" {
				failed = append(failed, events.FailedEntry{ID: e.ID, Type: e.Type, Code: code, Err: errors.New("says the bus")})
				continue
			}
		}
		b.accepted = append(b.accepted, e)
	}
	if failed != nil {
		return &events.PublishError{Failed: failed}
	}
	return nil
}

// received is what the bus has accepted of one row.
type received struct {
	events  int // different ones
	repeats int // of those
}

func (b *bus) received(t *testing.T) map[string]received {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]received{}
	seen := map[string]string{}
	for _, e := range b.accepted {
		var detail struct {
			Metadata struct{ ID string }
			Data     struct{ Row string }
		}
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			t.Fatalf("the bus got %q: %v", e.Detail, err)
		}
		if detail.Metadata.ID != e.ID {
			t.Errorf("event %s carries the id %s", e.ID, detail.Metadata.ID)
		}
		r := out[detail.Data.Row]
		if before, repeated := seen[e.ID]; !repeated {
			r.events++
			seen[e.ID] = string(e.Detail)
		} else {
			r.repeats++
			if before != string(e.Detail) {
				t.Errorf("event %s came again as %s, before as %s", e.ID, e.Detail, before)
			}
		}
		out[detail.Data.Row] = r
	}
	return out
}

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// until waits for the bus to have what is wanted.
func (b *bus) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		b.mu.Lock()
		changed := b.changed
		b.mu.Unlock()
		if done() {
			return
		}
		// The queue may change without the bus: look now and then too.
		again := time.NewTimer(20 * time.Millisecond)
		select {
		case <-changed:
		case <-again.C:
		case <-limit.C:
			t.Fatalf("waited %v for %s", patience, what)
		}
		again.Stop()
	}
}

// start runs relays until the returned function is called.
func start(t *testing.T, s Store, to *bus, n int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range n {
		run := s.Relay(to)
		running.Go(func() { run(ctx) })
	}
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// drain runs a relay until nothing waits.
func drain(t *testing.T, s Store, to *bus) {
	t.Helper()
	stop := start(t, s, to, 1)
	to.until(t, "the outbox to be empty", func() bool { return backlog(t, s) == 0 })
	stop()
}

func backlog(t *testing.T, s Store) int {
	t.Helper()
	b, err := s.Backlog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b.Size
}

// reconcile compares the committed rows with what the bus has: every committed
// row with its n events, no other. mayRepeat allows what something that failed
// excuses.
func reconcile(t *testing.T, s Store, from *bus, n int, mayRepeat bool) {
	t.Helper()
	committed, err := s.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := from.received(t)
	for _, row := range committed {
		if got[row].events != n {
			t.Errorf("lost: %q committed with %d events, and the bus has %d", row, n, got[row].events)
		}
		if got[row].repeats > 0 && !mayRepeat {
			t.Errorf("%q: %d events came again", row, got[row].repeats)
		}
		delete(got, row)
	}
	for row, r := range got {
		t.Errorf("phantom: %q was not committed, and the bus has %d events of it", row, r.events)
	}
}
