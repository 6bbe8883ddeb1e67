// Package storetest has the tests that every idempotency.Store passes.
package storetest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/functions/handler/idempotency"
)

// Run tests a store. It may keep what was there before: every test has keys of
// its own, which begin with prefix.
func Run(t *testing.T, store idempotency.Store, prefix string) {
	for name, test := range map[string]func(*testing.T, suite){
		"a key is locked by one of many":                         oneOfMany,
		"a lock keeps others away until it ends":                 lockEnds,
		"the same lock succeeds again":                           repeated,
		"a handled key is handled until its mark ends":           handled,
		"a key is handled even if its lock has passed on":        handledLate,
		"a released key is free":                                 released,
		"a lock that has passed on is not released by the first": releasedLate,
		"keys are not mixed up":                                  keys,
		"a context that has ended fails every call":              ended,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			// Whole seconds: a store may know no others.
			test(t, suite{store, prefix + uuid.NewString(), time.Now().Truncate(time.Second)})
		})
	}
}

type suite struct {
	store idempotency.Store
	key   string
	now   time.Time
}

const length = time.Minute // of a lock

// lock is a lock of the suite's key that begins so long after now.
func (s suite) lock(owner string, after time.Duration) idempotency.Lock {
	now := s.now.Add(after)
	return idempotency.Lock{Key: s.key, Owner: owner, Now: now, Until: now.Add(length)}
}

func (s suite) free(t *testing.T, l idempotency.Lock) {
	t.Helper()
	if err := s.store.Lock(t.Context(), l); err != nil {
		t.Errorf("%s cannot lock the key: %v", l.Owner, err)
	}
}

func (s suite) held(t *testing.T, l idempotency.Lock, until time.Time) {
	t.Helper()
	var held *idempotency.HeldError
	if err := s.store.Lock(t.Context(), l); !errors.As(err, &held) {
		t.Errorf("%s: got %v, want the key to be held", l.Owner, err)
	} else if !held.Until.Equal(until) {
		t.Errorf("%s: the key is held until %v, want %v", l.Owner, held.Until, until)
	}
}

func (s suite) handled(t *testing.T, l idempotency.Lock) {
	t.Helper()
	if err := s.store.Lock(t.Context(), l); !errors.Is(err, idempotency.ErrHandled) {
		t.Errorf("%s: got %v, want the key to be handled", l.Owner, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func oneOfMany(t *testing.T, s suite) {
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		got  int
	)
	for range 20 {
		wait.Go(func() {
			err := s.store.Lock(t.Context(), s.lock(uuid.NewString(), 0))
			var held *idempotency.HeldError
			if err != nil && !errors.As(err, &held) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got++
			}
		})
	}
	wait.Wait()
	if got != 1 {
		t.Errorf("%d have locked the key, want 1", got)
	}
}

func lockEnds(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	s.held(t, s.lock("b", 0), s.now.Add(length))
	s.held(t, s.lock("b", length-time.Second), s.now.Add(length))
	s.free(t, s.lock("b", length))
	s.held(t, s.lock("c", length), s.now.Add(2*length))
}

func repeated(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	s.free(t, s.lock("a", 0))
	s.held(t, s.lock("b", 0), s.now.Add(length))
}

func handled(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	must(t, s.store.Complete(t.Context(), s.lock("a", 0), s.now.Add(time.Hour)))
	s.handled(t, s.lock("b", 0))
	s.handled(t, s.lock("a", 0))
	s.handled(t, s.lock("b", time.Hour-time.Second))
	s.free(t, s.lock("b", time.Hour))
}

func handledLate(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	s.free(t, s.lock("b", length))
	must(t, s.store.Complete(t.Context(), s.lock("a", 0), s.now.Add(time.Hour)))
	must(t, s.store.Release(t.Context(), s.lock("b", length)))
	s.handled(t, s.lock("c", length))
}

func released(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	must(t, s.store.Release(t.Context(), s.lock("a", 0)))
	s.free(t, s.lock("b", 0))
	must(t, s.store.Release(t.Context(), s.lock("b", 0)))
	must(t, s.store.Release(t.Context(), s.lock("b", 0)))
	s.free(t, s.lock("c", 0))
}

func releasedLate(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	s.free(t, s.lock("b", length))
	must(t, s.store.Release(t.Context(), s.lock("a", 0)))
	s.held(t, s.lock("c", length), s.now.Add(2*length))
}

func keys(t *testing.T, s suite) {
	s.free(t, s.lock("a", 0))
	other := s
	other.key += "/other"
	other.free(t, other.lock("b", 0))
	must(t, other.store.Complete(t.Context(), other.lock("b", 0), s.now.Add(time.Hour)))
	s.held(t, s.lock("c", 0), s.now.Add(length))
	other.handled(t, other.lock("c", 0))
}

func ended(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := s.lock("a", 0)
	for what, err := range map[string]error{
		"Lock":     s.store.Lock(ctx, l),
		"Complete": s.store.Complete(ctx, l, s.now.Add(time.Hour)),
		"Release":  s.store.Release(ctx, l),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
