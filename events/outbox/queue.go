package outbox

import (
	"context"
	"iter"
	"time"
)

// Queue is a store of committed messages that relays poll. Several relays may
// share one; it is safe for concurrent use.
type Queue interface {
	// Take hands out up to n messages that no other relay has, the oldest
	// first. A claim without messages is no error: there is nothing to send.
	Take(ctx context.Context, n int) (Claim, error)
	// Wait returns when Take may find something, or when ctx ends, and after
	// atMost in any case. It may return early, without a reason. One goroutine
	// at a time calls it.
	Wait(ctx context.Context, atMost time.Duration)
	// Backlog tells how much there is.
	Backlog(ctx context.Context) (Backlog, error)
}

// Claim is messages that one relay has taken. Until Settle, or until the relay
// dies, no other relay gets them; then those that Settle did not remove or set
// aside are there to be taken again.
type Claim interface {
	Messages() []Message
	// Unreadable are what Take found and could not make messages of.
	Unreadable() []Refusal
	// Settle ends the claim: it removes what was sent, and sets refusals aside
	// with their reasons. All of it happens, or, with an error, none. It must be
	// called exactly once for every claim, empty ones too.
	Settle(ctx context.Context, sent []string, refused []Refusal) error
}

// Backlog is how much an outbox holds.
type Backlog struct {
	Size     int           // events that wait, those in a claim too
	Oldest   time.Duration // the age of the oldest of them; 0 if none waits
	SetAside int           // events that were set aside
}

// SetAside is a message that no relay takes, because it can never be sent as it
// is.
type SetAside struct {
	Message           // its Entries are empty if it could not be read
	Reason  string    // what the bus, or the relay, had against it
	At      time.Time // since when
}

// Shelf is where messages are that were set aside: every backend's store or
// queue is one.
type Shelf interface {
	// ListSetAside yields what was set aside. An error is the last thing that
	// it yields.
	ListSetAside(ctx context.Context) iter.Seq2[SetAside, error]
	// PutBack makes a message wait again, once its cause has been mended. A key
	// that is not there is an error.
	PutBack(ctx context.Context, key string) error
}
