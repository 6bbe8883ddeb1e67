package events

import (
	"encoding/json"
	"fmt"
	"time"
)

// Metadata is what Penstock knows of an event besides its data. Empty fields
// other than ID, CorrelationID and OccurredAt are left out on the wire.
type Metadata struct {
	// ID names this event for ever: a redelivery has the same. A UUIDv7.
	ID string `json:"id"`
	// CorrelationID is shared by everything that one cause at the edge set
	// off. It is the event's own id where the context carries none.
	CorrelationID string `json:"correlationId"`
	// CausationID is the id of the event that was being handled when this one
	// was made.
	CausationID string `json:"causationId,omitempty"`
	// Depth is how many events caused one another before this one: 0 for an
	// event that no other caused. The handler runtime refuses what goes on for
	// too long.
	Depth int `json:"depth,omitempty"`
	// UserID and OrganisationID say on whose behalf it happened.
	UserID         string `json:"userId,omitempty"`
	OrganisationID string `json:"organisationId,omitempty"`
	// OccurredAt is when the event was stamped, in UTC. There is no order of
	// delivery: compare this.
	OccurredAt time.Time `json:"occurredAt"`
	// Traceparent carries a W3C trace on ("Trace Context").
	Traceparent string `json:"traceparent,omitempty"`
	// Code is the number of an event type that has one, see [Coded].
	Code int `json:"code,omitempty"`
}

// Envelope is a stamped event. It is itself an Event: publishing one keeps its
// metadata, so that a retry by the caller is the same event.
type Envelope struct {
	Metadata
	Event
}

// Entry is an event encoded for the bus. Detail is the JSON object
// {"metadata": …, "data": …}.
type Entry struct {
	ID     string // Metadata.ID
	Type   Type
	Detail []byte
}

// MaxEntryBytes is the most that one event may measure: 1 MiB less 64 KiB. A
// PutEvents entry may come near 1 MB, but the message that EventBridge makes
// of it must fit SQS's 1 MiB with everything EventBridge adds ("Amazon SQS
// message quotas").
const MaxEntryBytes = 1<<20 - 64<<10

// Entry encodes a stamped event. It fails for data that JSON cannot express,
// for an invalid type, for an Envelope that Stamp has not made (it has no id),
// and for an event of more than MaxEntryBytes.
func (e Envelope) Entry() (Entry, error) { return e.entry(nil) }

// entry is Entry that has the event's data checked first, if v is not nil.
func (e Envelope) entry(v Validator) (Entry, error) {
	t := e.EventType()
	if err := t.Validate(); err != nil {
		return Entry{}, err
	}
	if e.ID == "" {
		return Entry{}, fmt.Errorf("event %s has no id: make envelopes with Stamp", t)
	}
	data := any(e.Event)
	if v != nil {
		text, err := json.Marshal(e.Event)
		if err != nil {
			return Entry{}, fmt.Errorf("event %s %s: %w", t, e.ID, err)
		}
		if err := v.Validate(t, text); err != nil {
			return Entry{}, &InvalidError{t, e.ID, err}
		}
		data = json.RawMessage(text)
	}
	detail, err := json.Marshal(struct {
		Metadata Metadata `json:"metadata"`
		Data     any      `json:"data"`
	}{e.Metadata, data})
	if err != nil {
		return Entry{}, fmt.Errorf("event %s %s: %w", t, e.ID, err)
	}
	entry := Entry{ID: e.ID, Type: t, Detail: detail}
	if n := entry.Size(); n > MaxEntryBytes {
		return Entry{}, fmt.Errorf("event %s %s is %d bytes, and the bus takes at most %d: publish a reference to the data instead", t, e.ID, n, MaxEntryBytes)
	}
	return entry, nil
}

// Size is what EventBridge counts ("Calculating Amazon EventBridge PutEvents
// event entry size"); Time and Resources are never set.
func (e Entry) Size() int { return len(e.Type.Source) + len(e.Type.Name) + len(e.Detail) }
