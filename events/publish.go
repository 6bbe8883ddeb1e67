package events

import "context"

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
