package handler

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Record is an event as the queue delivered it: its data is not decoded yet.
// Middlewares see records; a function sees a [Message].
type Record struct {
	Function     string // the receiving function's short name
	Subscription string
	MessageID    string // SQS's id, which a redelivery keeps
	// ReceiveCount is how many times the message was received, this time
	// included; 0 if the queue did not say.
	ReceiveCount int
	SentAt       time.Time // when EventBridge put the event into the queue
	Type         events.Type
	Metadata     events.Metadata
	Data         json.RawMessage // the event's own JSON

	err error // why no event could be found in the message

	queueARN string // where the message came from
	body     string
	took     time.Duration // how long the function took

	causeOnce sync.Once
	cause     context.Context // carries the values of events.WithCause
}

// EventKey names the handling of the event by this subscription, whatever the
// number of deliveries: function/subscription/id.
func (r *Record) EventKey() string { return eventKey(r.Function, r.Subscription, r.Metadata.ID) }

func eventKey(function, subscription, id string) string {
	return function + "/" + subscription + "/" + id
}

func (r *Record) itemID() string { return r.MessageID }

// context returns ctx for handling the record's event.
func (r *Record) context(ctx context.Context) context.Context {
	// One cause for all contexts of the record: it counts what the event
	// caused, and the count is part of the ids of those events. Counting anew
	// would give two events one id.
	r.causeOnce.Do(func() {
		r.cause = events.WithCause(context.Background(), r.Metadata, r.EventKey())
	})
	return &recordContext{ctx, r}
}

// recordContext is a context that also carries a record and its cause.
type recordContext struct {
	context.Context
	record *Record
}

type recordKey struct{}

func (c *recordContext) Value(key any) any {
	if key == (recordKey{}) {
		return c.record
	}
	if v := c.record.cause.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// attrs is what every log line about the record says of it. Where no event
// could be found, what belongs to the event is empty.
func (r *Record) attrs() []slog.Attr {
	var key, eventType string
	if r.Metadata.ID != "" {
		key = r.EventKey()
	}
	if r.Type != (events.Type{}) {
		eventType = r.Type.String()
	}
	return append(make([]slog.Attr, 0, 10), // with room for what outcome adds
		slog.String("eventKey", key),
		slog.String("id", r.Metadata.ID),
		slog.String("type", eventType),
		slog.String("subscription", r.Subscription),
		slog.String("messageId", r.MessageID),
		slog.Int("attempt", r.ReceiveCount),
		slog.String("correlationId", r.Metadata.CorrelationID),
	)
}
