package events

import (
	"context"
	"fmt"
	"strings"
)

// Publisher sends events to the bus at once. Implementations are safe for
// concurrent use.
type Publisher interface {
	// Publish returns once the bus has accepted the event.
	Publish(ctx context.Context, e Event) error
	// PublishBatch returns once the bus has accepted every event; its error
	// names each that it has not, see [PublishError].
	PublishBatch(ctx context.Context, batch []Event) error
}

// AfterCommit publishes events once the transaction that it belongs to has
// committed, and not at all if it rolls back. Sessions implement it. An event
// that cannot be published (too large, not JSON) is refused at the call, while
// the transaction can still be rolled back.
type AfterCommit interface {
	PublishAfterCommit(ctx context.Context, e Event) error
	PublishBatchAfterCommit(ctx context.Context, batch []Event) error
}

// FailedEntry is an event that the bus has not accepted.
type FailedEntry struct {
	ID   string
	Type Type
	Code string // EventBridge's ErrorCode, or RequestFailed when the call itself failed
	Err  error
}

// Retryable reports whether the same entry may be accepted later.
// EventBridge says so of two codes ("PutEventsResultEntry"); a call that
// failed as a whole may be repeated too.
func (f FailedEntry) Retryable() bool {
	switch f.Code {
	case "InternalFailure", "ThrottlingException", "RequestFailed", "NoAnswer":
		return true
	}
	return false
}

// PublishError names each event of a batch that the bus has not accepted. All
// others of the batch have been.
type PublishError struct {
	Failed []FailedEntry
}

func (e *PublishError) Error() string {
	const shown = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%d events were not published:", len(e.Failed))
	for i, f := range e.Failed {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(e.Failed)-shown)
			break
		}
		fmt.Fprintf(&b, " %s %s (%s: %v);", f.Type, f.ID, f.Code, f.Err)
	}
	return strings.TrimSuffix(b.String(), ";")
}

// Unwrap gives the causes, so that errors.Is finds a context's end.
func (e *PublishError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}
