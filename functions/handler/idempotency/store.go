package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store keeps marks: for each key nothing, a lock until a time, or that it was
// handled. Package storetest has the tests that every Store passes. It is safe
// for concurrent use, by several programs.
type Store interface {
	// Lock locks a key that has no mark, or one that has ended: a lock that was
	// not released, or a mark whose time is over. It is atomic: of several that
	// lock a key at once, one succeeds. It returns [ErrHandled] for a key that
	// was handled, a *[HeldError] for one that is locked, and any other error if
	// the store does not answer. The same lock again succeeds, since a client
	// repeats a call whose answer it has not got.
	Lock(ctx context.Context, l Lock) error

	// Complete marks a locked key as handled until a time. It does so even if the
	// lock has ended, and another holds the key: it was handled.
	Complete(ctx context.Context, l Lock, until time.Time) error

	// Release ends a lock. It does nothing to a key that the owner has not locked,
	// or no longer.
	Release(ctx context.Context, l Lock) error
}

// Lock is a key that an owner has until a time.
type Lock struct {
	Key   string    // at most 2,048 bytes
	Owner string    // one attempt to handle the key, unlike all others
	Now   time.Time // by which other locks and marks have ended, or not
	Until time.Time // a Store may round it up to the second
}

// ErrHandled says that a key was handled.
var ErrHandled = errors.New("it was handled before")

// HeldError says that another attempt has locked a key.
type HeldError struct {
	Until time.Time // when that lock ends at the latest
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another attempt is handling it until %s at the latest", e.Until.UTC().Format(time.RFC3339))
}
