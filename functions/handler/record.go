package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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
	Replay       string          // the replay of the archive that the event comes from; empty for none

	notification *Notification // what the record is one of, for the middlewares of Notifications

	duplicate bool
	err       error // why no event could be found in the message

	queueARN string // where the message came from
	receipt  string // the handle of this receive
	body     string
	// What the message has of Penstock's own attributes goes with it wherever it
	// is sent.
	attributes map[string]string
	retries    *retries

	took      time.Duration // how long the function took
	outcome   string        // once its outcome record is written
	elsewhere bool          // SQS has accepted it in the DLQ, or afresh in its queue

	causeOnce sync.Once
	cause     context.Context // carries the values of events.WithCause, and of Carry
	begun     atomic.Bool     // there is a cause
	caused    []string        // by the event's notifications, which have causes of their own
}

// EventKey names the handling of the event by this subscription, whatever the
// number of deliveries: function/subscription/id. That of a notification goes on
// with /template, and that of a replay which means to handle events anew ends in
// /replay; see [ReprocessSuffix].
func (r *Record) EventKey() string {
	if r.notification != nil {
		return r.notification.EventKey()
	}
	return eventKey(r.Function, r.Subscription, r.Metadata.ID, "", r.Replay)
}

// ReprocessSuffix ends the name of a replay whose events are to be handled anew,
// although they were handled before. EventBridge gives a replayed event the name
// of its replay; with such a name it becomes a part of the event key, so that
// what goes by the event key does not know the event yet. In any other replay an
// event that was handled is a duplicate.
const ReprocessSuffix = "_again"

// eventKey composes an event key; template and replay may be empty.
func eventKey(function, subscription, id, template, replay string) string {
	key := function + "/" + subscription + "/" + id
	if template != "" {
		key += "/" + template
	}
	if strings.HasSuffix(replay, ReprocessSuffix) {
		key += "/" + replay
	}
	return key
}

// MarkDuplicate has the record's outcome be duplicate instead of handled. It is
// for a middleware that acknowledges an event because it was handled before.
func (r *Record) MarkDuplicate() { r.duplicate = true }

func (r *Record) itemID() string { return r.MessageID }

// Context returns ctx for what concerns the record's event alone, as
// [Message.Context] does for the function.
func (r *Record) Context(ctx context.Context) context.Context {
	return &recordContext{ctx, r}
}

// begin makes the record's cause, when it is first asked for: most events cause
// none. There is one for all contexts of the record, since it counts what the
// event caused, and the count is part of the ids of those events: counting anew
// would give two events one id.
func (r *Record) begin() {
	r.causeOnce.Do(func() {
		r.cause = events.WithCause(context.Background(), r.Metadata, r.EventKey())
		r.begun.Store(true)
	})
}

// effects are the events that were made while the event was handled, as the
// outcome record has them.
func (r *Record) effects() []string {
	if !r.begun.Load() {
		return r.caused
	}
	made, more := events.Effects(r.cause)
	effects := slices.Clip(r.caused)
	for _, e := range made {
		effects = append(effects, e.Type.String()+" "+e.ID)
	}
	if more > 0 {
		effects = append(effects, fmt.Sprintf("and %d more", more))
	}
	return effects
}

// Carry has every context for handling the record's event carry what wrap adds
// to it: the one that a function of [Each] gets, and with [Batch] those of
// [Message.Context]. It is for a middleware, before it calls the next. wrap gets
// a context with the values that the event has so far, and only the values of
// what it returns count.
func (r *Record) Carry(wrap func(context.Context) context.Context) {
	r.begin()
	r.cause = wrap(r.cause)
}

// recordContext is a context that also carries a record, its cause, and what
// middlewares have it carry.
type recordContext struct {
	context.Context
	record *Record
}

type recordKey struct{}

func (c *recordContext) Value(key any) any {
	switch key {
	case recordKey{}:
		return c.record
	case invocationKey{}:
		return c.Context.Value(key)
	}
	c.record.begin()
	if v := c.record.cause.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// appendAttrs appends what every log line about the record says of it. Where no
// event could be found, what belongs to the event is empty.
func (r *Record) appendAttrs(attrs []slog.Attr) []slog.Attr {
	var key, eventType string
	if r.Metadata.ID != "" {
		key = r.EventKey()
	}
	if r.Type != (events.Type{}) {
		eventType = r.Type.String()
	}
	return append(attrs,
		slog.String("eventKey", key),
		slog.String("id", r.Metadata.ID),
		slog.String("type", eventType),
		slog.String("subscription", r.Subscription),
		slog.String("messageId", r.MessageID),
		slog.Int("attempt", r.ReceiveCount),
		slog.String("correlationId", r.Metadata.CorrelationID),
	)
}
