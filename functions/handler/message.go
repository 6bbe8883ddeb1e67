package handler

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler/internal/fastjson"
)

// Message is one event as a function receives it.
type Message[T events.Event] struct {
	Event        T
	Metadata     events.Metadata // id, correlation, user, time
	Function     string          // the receiving function's short name
	Subscription string
	MessageID    string // SQS's id, which a redelivery keeps
	// ReceiveCount is how many times the message was received, this time
	// included; 0 if the queue did not say.
	ReceiveCount int
	SentAt       time.Time // when EventBridge put the event into the queue
	Replay       string    // the replay of the archive that the event comes from; empty for none

	record *Record // nil for a message that was not received
}

// EventKey names the handling of the event by this subscription, whatever the
// number of deliveries: function/subscription/id, and /replay for one that means
// to handle events anew (see [ReprocessSuffix]). Deduplicate by it.
func (m *Message[T]) EventKey() string {
	return eventKey(m.Function, m.Subscription, m.Metadata.ID, "", m.Replay)
}

// Context returns ctx for handling this event: what is published with it names
// the event as its cause and continues its correlation (see
// [events.WithCause]), and its [Logger] names the event. The context that a
// function of [Each] gets is already so; one of [Batch] calls this for each
// message.
func (m *Message[T]) Context(ctx context.Context) context.Context {
	if m.record == nil {
		return events.WithCause(ctx, m.Metadata, m.EventKey())
	}
	return m.record.Context(ctx)
}

func (m *Message[T]) itemID() string { return m.MessageID }

// Decode makes the message of a record. Each and Batch do it for the function;
// it is for a middleware that has to know the event. An error of data that is not
// T's is permanent.
func Decode[T events.Event](r *Record) (*Message[T], error) {
	m := &Message[T]{
		Metadata:     r.Metadata,
		Function:     r.Function,
		Subscription: r.Subscription,
		MessageID:    r.MessageID,
		ReceiveCount: r.ReceiveCount,
		SentAt:       r.SentAt,
		Replay:       r.Replay,
		record:       r,
	}
	if err := fastjson.Unmarshal(r.Data, &m.Event); err != nil {
		return nil, Permanent(fmt.Errorf("the data is not that of %s: %w", r.Type, err))
	}
	return m, nil
}
