package events

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Validator knows what the data of an event type may be; *schema.Set of
// package events/schema is one, made of the files under schemas/. It is safe
// for concurrent use.
type Validator interface {
	// Validate returns how data, one JSON value, violates the schema of its
	// type, nil if it does not. A type that is not known is an error.
	Validate(t Type, data []byte) error
}

// InvalidError is an event that was refused, before anything was sent or
// written, because its data violates the schema of its type.
type InvalidError struct {
	Type Type
	ID   string
	Err  error // what the Validator found: the paths that are wrong
}

func (e *InvalidError) Error() string {
	// What a schema.Set finds begins with the type, too.
	found := strings.TrimPrefix(e.Err.Error(), fmt.Sprintf("event %s: ", e.Type))
	return fmt.Sprintf("event %s %s is refused: %s", e.Type, e.ID, found)
}

// Unwrap returns what the Validator found.
func (e *InvalidError) Unwrap() error { return e.Err }

// Stamper stamps and encodes events, as every publisher does. The zero value
// is what [Stamp] and [StampAll] use. It is safe for concurrent use if its
// fields are.
type Stamper struct {
	// Validator, if there is one, sees the data of every event that is
	// encoded; what it finds fault with is an *[InvalidError].
	Validator Validator
	// Now is the time that events are stamped with; nil is time.Now.
	Now func() time.Time
	// NewID makes the ids of events that have no cause (see [WithCause]), which
	// must never be the same twice; nil makes a UUIDv7. It is for tests.
	NewID func() string
}

// Stamp gives an event its metadata: a new id and the present time, and what
// ctx carries ([WithOrigin], [WithCause]). An Envelope is returned as it is.
func (s Stamper) Stamp(ctx context.Context, e Event) Envelope {
	if stamped, ok := e.(Envelope); ok {
		return stamped
	}
	now, newID := s.Now, s.NewID
	if now == nil {
		now = time.Now
	}
	if newID == nil {
		newID = newUUID
	}
	m := Metadata{OccurredAt: now().UTC(), Code: codeOf(e)}
	origin := OriginFrom(ctx)
	m.CorrelationID = origin.CorrelationID
	m.UserID = origin.UserID
	m.OrganisationID = origin.OrganisationID
	m.Traceparent = origin.Traceparent
	if c := causeFrom(ctx); c != nil {
		m.CausationID = c.id
		m.Depth = c.depth + 1
		m.ID = c.derive(e.EventType())
	} else {
		m.ID = newID()
	}
	if m.CorrelationID == "" {
		m.CorrelationID = m.ID
	}
	return Envelope{m, e}
}

// StampAll stamps and encodes a batch. The error names the first event that
// cannot be published; then nothing of the batch is returned.
func (s Stamper) StampAll(ctx context.Context, batch []Event) ([]Entry, error) {
	entries := make([]Entry, len(batch))
	for i, e := range batch {
		var err error
		if entries[i], err = s.Stamp(ctx, e).entry(s.Validator); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Stamp is [Stamper.Stamp] of the zero Stamper.
func Stamp(ctx context.Context, e Event) Envelope { return Stamper{}.Stamp(ctx, e) }

// StampAll is [Stamper.StampAll] of the zero Stamper.
func StampAll(ctx context.Context, batch []Event) ([]Entry, error) {
	return Stamper{}.StampAll(ctx, batch)
}
