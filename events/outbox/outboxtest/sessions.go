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

func commits(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	stop := start(t, s, to, 1)
	err := s.InTx(t.Context(), func(session Session) error {
		if err := write(t.Context(), session, "first", 3); err != nil {
			return err
		}
		if got := to.received(t); len(got) > 0 {
			t.Errorf("before the commit the bus has %v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	to.until(t, "the events", func() bool { return to.received(t)["first"].events == 3 })
	stop()
	if n := backlog(t, s); n != 0 {
		t.Errorf("%d events wait after they were sent", n)
	}
	reconcile(t, s, to, 3, !b.Exclusive)
}

func rollsBack(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	failure := errors.New("no")
	err := s.InTx(t.Context(), func(session Session) error {
		if err := write(t.Context(), session, "rolled back", 3); err != nil {
			return err
		}
		return failure
	})
	if err != failure {
		t.Errorf("got %v, want the function's own error", err)
	}
	commit(t, s, "committed", 2)
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
}

func panics(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	var session Session
	func() {
		defer func() {
			if r := recover(); r != "oh" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = s.InTx(t.Context(), func(in Session) error {
			session = in
			if err := write(t.Context(), in, "panicked", 2); err != nil {
				t.Error(err)
			}
			panic("oh")
		})
	}()
	if err := session.PublishAfterCommit(t.Context(), Happened{Row: "late"}); !errors.Is(err, outbox.ErrSessionDone) {
		t.Errorf("after the panic: got %v", err)
	}
	commit(t, s, "committed", 2)
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
}

func largeBatch(t *testing.T, b Backend) {
	const n = 2500
	s, to := b.Open(t), newBus()
	commit(t, s, "large", n)
	if got := backlog(t, s); got != n {
		t.Errorf("the backlog is %d", got)
	}
	drain(t, s, to)
	reconcile(t, s, to, n, !b.Exclusive)
}

func concurrentSessions(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	stop := start(t, s, to, 2)
	var sessions sync.WaitGroup
	rollback := errors.New("no")
	for i := range 8 {
		sessions.Go(func() {
			for j := range 12 {
				err := s.InTx(t.Context(), func(session Session) error {
					if err := write(t.Context(), session, fmt.Sprintf("%d of %d", j, i), 3); err != nil {
						return err
					}
					if (i+j)%3 == 0 {
						return rollback
					}
					return nil
				})
				if err != nil && !errors.Is(err, rollback) {
					t.Error(err)
				}
			}
		})
	}
	sessions.Wait()
	to.until(t, "the outbox to be empty", func() bool { return backlog(t, s) == 0 })
	stop()
	reconcile(t, s, to, 3, !b.Exclusive)
	if committed, err := s.Rows(t.Context()); err != nil || len(committed) != 64 {
		t.Errorf("%d rows committed, %v", len(committed), err)
	}
}

// sessionStepsFail fails the first step of a session, then the second of
// another, and so on.
func sessionStepsFail(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	commit(t, s, "warm", 2) // connections are open, statements prepared
	failed := 0
	for n := 1; ; n++ {
		steps := countdown(n)
		s.Intercept(steps.fail)
		row := fmt.Sprint("step ", n)
		err := s.InTx(t.Context(), func(session Session) error {
			if err := session.Once(t.Context(), row); err != nil {
				return err
			}
			return write(t.Context(), session, row, 2)
		})
		s.Intercept(nil)
		if !steps.reached() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if committed := has(t, s, row); err == nil && !committed {
			t.Errorf("step %d failed, nothing was committed, and there was no error", n)
		}
		failed++
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
	if failed < 2 {
		t.Errorf("Intercept saw %d steps of a session", failed)
	}
}

func sessionIsCancelled(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	commit(t, s, "warm", 2)
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		steps := countdown(n)
		s.Intercept(func() error {
			if steps.fail() != nil {
				cancel()
			}
			return nil
		})
		row := fmt.Sprint("step ", n)
		err := s.InTx(ctx, func(session Session) error {
			if err := session.Once(ctx, row); err != nil {
				return err
			}
			return write(ctx, session, row, 2)
		})
		s.Intercept(nil)
		cancel()
		if committed := has(t, s, row); err == nil && !committed {
			t.Errorf("cancelled at step %d, nothing was committed, and there was no error", n)
		}
		if !steps.reached() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
}

func has(t *testing.T, s Store, row string) bool {
	t.Helper()
	committed, err := s.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range committed {
		if r == row {
			return true
		}
	}
	return false
}

// steps counts down to the one that fails.
type steps struct {
	mu   sync.Mutex
	left int
}

func countdown(n int) *steps { return &steps{left: n} }

func (s *steps) fail() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == 0 {
		return errBroken
	}
	return nil
}

func (s *steps) reached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left <= 0
}

func repeat(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	for i, row := range []string{"the first", "the repeat"} {
		err := s.InTx(t.Context(), func(session Session) error {
			if err := session.Once(t.Context(), "key"); err != nil {
				if i == 0 {
					t.Errorf("the first Once: %v", err)
				}
				return err
			}
			return write(t.Context(), session, row, 2)
		})
		if err != nil {
			t.Errorf("%s: %v", row, err)
		}
	}
	// Nor does one whose function does not look at Once's error.
	err := s.InTx(t.Context(), func(session Session) error {
		onceErr := session.Once(t.Context(), "key")
		if err := session.PublishAfterCommit(t.Context(), Happened{Row: "unlooked"}); onceErr != nil && !errors.Is(err, outbox.ErrRepeat) {
			t.Errorf("publishing in a repeat: got %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
	if committed, err := s.Rows(t.Context()); err != nil || len(committed) != 1 {
		t.Errorf("%v committed, %v", committed, err)
	}
}

func concurrentRepeats(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	var sessions sync.WaitGroup
	for i := range 8 {
		sessions.Go(func() {
			err := s.InTx(t.Context(), func(session Session) error {
				if err := session.Once(t.Context(), "key"); err != nil {
					return err
				}
				return write(t.Context(), session, fmt.Sprint("repeat ", i), 2)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	sessions.Wait()
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
	if committed, err := s.Rows(t.Context()); err != nil || len(committed) != 1 {
		t.Errorf("%v committed, %v", committed, err)
	}
}

func markRollsBack(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	failure := errors.New("no")
	for i, want := range []error{failure, nil} {
		err := s.InTx(t.Context(), func(session Session) error {
			if err := session.Once(t.Context(), "key"); err != nil {
				return err
			}
			if err := write(t.Context(), session, fmt.Sprint("attempt ", i), 2); err != nil {
				return err
			}
			return want
		})
		if err != want {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
	if !has(t, s, "attempt 1") {
		t.Error("the second attempt was not committed")
	}
}

func sessionDone(t *testing.T, b Backend) {
	s := b.Open(t)
	for what, result := range map[string]error{"commit": nil, "rollback": errors.New("no")} {
		var session Session
		err := s.InTx(t.Context(), func(in Session) error {
			session = in
			if err := write(t.Context(), in, what, 1); err != nil {
				return err
			}
			return result
		})
		if err != result {
			t.Errorf("%s: %v", what, err)
		}
		for method, err := range map[string]error{
			"PublishAfterCommit":      session.PublishAfterCommit(t.Context(), Happened{Row: "late"}),
			"PublishBatchAfterCommit": session.PublishBatchAfterCommit(t.Context(), []events.Event{Happened{Row: "late"}}),
			"Once":                    session.Once(t.Context(), "late"),
		} {
			if !errors.Is(err, outbox.ErrSessionDone) {
				t.Errorf("%s after %s: got %v", method, what, err)
			}
		}
	}
}

func tooLarge(t *testing.T, b Backend) {
	s, to := b.Open(t), newBus()
	err := s.InTx(t.Context(), func(session Session) error {
		err := session.PublishAfterCommit(t.Context(), Happened{Row: "large", Padding: strings.Repeat("x", events.MaxEntryBytes)})
		if err == nil || !strings.Contains(err.Error(), "outboxtest/HAPPENED") || !strings.Contains(err.Error(), "reference") {
			t.Errorf("got %v, which does not name the event and the way out", err)
		}
		return write(t.Context(), session, "the rest", 2)
	})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, s, to)
	reconcile(t, s, to, 2, !b.Exclusive)
}
