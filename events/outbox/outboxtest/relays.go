package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

func severalRelays(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	for _, row := range rows(20) {
		commit(t, s, row, 20)
	}
	stop := start(t, s, to, 4)
	for _, row := range rows(40)[20:] {
		commit(t, s, row, 20)
	}
	to.until(t, "the outbox to be empty", func() bool { return backlog(t, s) == 0 })
	stop()
	reconcile(t, s, to, 20, !b.Exclusive)
}

// stuck is a bus that does not answer until it is released.
type stuck struct {
	inner             *bus
	reached, released chan struct{}
}

func (s stuck) PutEntries(ctx context.Context, entries []events.Entry) error {
	close(s.reached)
	<-s.released
	return s.inner.PutEntries(ctx, entries)
}

func stuckRelay(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	commit(t, s, "in the stuck call", 1)
	line := stuck{to, make(chan struct{}), make(chan struct{})}
	release := sync.OnceFunc(func() { close(line.released) })
	t.Cleanup(release)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	run := s.Relay(line)
	go func() {
		defer close(stopped)
		run(ctx)
	}()
	<-line.reached
	cancel() // so that it takes nothing more
	commit(t, s, "behind it", 1)
	stop := start(t, s, to, 1)
	to.until(t, "the event behind it", func() bool { return to.received(t)["behind it"].events == 1 })
	stop()
	release()
	<-stopped
	drain(t, s, to)
	reconcile(t, s, to, 1, !b.Exclusive)
}

// relayStepsFail has a step of a relay fail, another of the next relay, and so
// on, until one has nothing left to fail.
func relayStepsFail(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	for n := 1; n <= 40; n++ {
		row := fmt.Sprint("step ", n)
		commit(t, s, row, 2)
		steps := countdown(n)
		s.Intercept(steps.fail)
		stop := start(t, s, to, 1)
		to.until(t, "the step to fail, or all to be sent", func() bool {
			return steps.reached() || to.received(t)[row].events == 2
		})
		stop()
		s.Intercept(nil)
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, true)
}

func relayIsStopped(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	for n := 1; n <= 40; n++ {
		row := fmt.Sprint("step ", n)
		commit(t, s, row, 2)
		ctx, cancel := context.WithCancel(t.Context())
		steps := countdown(n)
		s.Intercept(func() error {
			if steps.fail() != nil {
				cancel()
			}
			return nil
		})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			s.Relay(to)(ctx)
		}()
		to.until(t, "the relay to be stopped, or all to be sent", func() bool {
			return steps.reached() || to.received(t)[row].events == 2
		})
		cancel()
		<-stopped
		s.Intercept(nil)
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
}

// removalFails breaks every step that comes after the bus has accepted the
// event.
func removalFails(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	commit(t, s, "sent", 1)
	s.Intercept(func() error {
		to.mu.Lock()
		defer to.mu.Unlock()
		if len(to.accepted) > 0 {
			return errBroken
		}
		return nil
	})
	stop := start(t, s, to, 1)
	to.until(t, "the event", func() bool { return to.received(t)["sent"].events == 1 })
	stop()
	s.Intercept(nil)
	if n := backlog(t, s); n != 1 {
		t.Fatalf("%d events wait", n)
	}
	drain(t, s, to)
	reconcile(t, s, to, 1, true)
	if got := to.received(t)["sent"]; got.repeats == 0 {
		t.Error("the event whose removal failed was not sent again")
	}
}

func setsAside(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	refuses := true
	to.answer = func(e events.Entry) string {
		if refuses && strings.Contains(string(e.Detail), `"bad"`) {
			return "MalformedDetail"
		}
		return ""
	}
	commit(t, s, "bad", 1)
	for _, row := range rows(5) {
		commit(t, s, row, 1)
	}
	drain(t, s, to)
	for _, row := range rows(5) {
		if to.received(t)[row].events != 1 {
			t.Errorf("%s was held up", row)
		}
	}

	var aside []outbox.SetAside
	for a, err := range s.ListSetAside(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		aside = append(aside, a)
	}
	if len(aside) != 1 || !strings.Contains(aside[0].Reason, "MalformedDetail") || !strings.Contains(aside[0].Reason, "says the bus") ||
		aside[0].At.IsZero() || len(aside[0].Entries) != 1 || !strings.Contains(string(aside[0].Entries[0].Detail), `"bad"`) ||
		!strings.HasPrefix(aside[0].Key, Related{}.EventType().String()+"#") {
		t.Fatalf("set aside is %+v", aside)
	}
	if got, err := s.Backlog(t.Context()); err != nil || got.Size != 0 || got.SetAside != 1 {
		t.Errorf("the backlog is %+v, %v", got, err)
	}

	if err := s.PutBack(t.Context(), "outboxtest/RELATED.v2#none"); err == nil || !strings.Contains(err.Error(), "RELATED.v2#none") {
		t.Errorf("putting back what is not there: %v", err)
	}
	refuses = false
	if err := s.PutBack(t.Context(), aside[0].Key); err != nil {
		t.Fatal(err)
	}
	drain(t, s, to)
	reconcile(t, s, to, 1, !b.Exclusive)
	if got, err := s.Backlog(t.Context()); err != nil || got.SetAside != 0 {
		t.Errorf("after it was put back the backlog is %+v, %v", got, err)
	}
}

func busIsDown(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	attempts := 0
	to.down = func() error {
		if attempts++; attempts <= 3 {
			return errors.New("no route to the bus")
		}
		return nil
	}
	for _, row := range rows(30) {
		commit(t, s, row, 1)
	}
	drain(t, s, to)
	reconcile(t, s, to, 1, !b.Exclusive)
}

func busThrottles(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	n := 0
	to.answer = func(events.Entry) string {
		if n++; n%3 == 0 {
			return "ThrottlingException"
		}
		return ""
	}
	for _, row := range rows(20) {
		commit(t, s, row, 5)
	}
	drain(t, s, to)
	// A backend whose messages hold several events sends all of one again.
	reconcile(t, s, to, 5, true)
	if got, err := s.Backlog(t.Context()); err != nil || got.SetAside != 0 {
		t.Errorf("the backlog is %+v, %v", got, err)
	}
}
