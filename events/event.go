// Package events is what an application imports to announce what happened.
//
// An event is a Go struct that names its type and gives a sample of itself:
//
//	type Withdrawal struct {
//		AccountID string  `json:"accountId"`
//		Amount    float64 `json:"amount"`
//	}
//
//	func (Withdrawal) EventType() events.Type { return events.Type{Source: "savings", Name: "SAVINGS_WITHDRAWAL"} }
//	func (Withdrawal) Schema() events.Event   { return SampleWithdrawal() }
//
// Most applications publish through a session, which sends an event exactly
// when the transaction that caused it has committed (see [AfterCommit] and the
// packages outboxdynamo, outboxsql and outboxpgx). Package eventbus sends at
// once, for what has no transaction to wait for.
//
// The life of an event: [Stamp] gives it an id, a time and the origin that its
// context carries; the result, an [Envelope], is encoded to an [Entry]; entries
// are packed into PutEvents calls. Delivery is at least once and in no order:
// deduplicate by [Metadata.ID], order by [Metadata.OccurredAt].
package events

import (
	"fmt"
	"regexp"
	"strings"
)

// Event is a fact that a module announces. It is implemented by structs with
// value receivers, whose exported fields are the event's data.
type Event interface {
	// EventType is constant: it gives the same answer on the zero value.
	EventType() Type
	// Schema returns a sample of the receiver's own type that has a value for
	// every field. Schemas are generated from it, and tests use it.
	Schema() Event
}

// Coded is implemented by event types that also have a number, for consumers
// that tell events apart by number. Stamp writes it into [Metadata.Code].
type Coded interface {
	Event
	// EventCode is positive and constant: it gives the same answer on the
	// zero value. No two types of a catalogue have the same.
	EventCode() int
}

// codeOf returns an event's number, 0 if it has none.
func codeOf(e Event) int {
	if coded, ok := e.(Coded); ok {
		return coded.EventCode()
	}
	return 0
}

// Type names an event: the module that announces it, and the event's name. It
// is written "savings/SAVINGS_WITHDRAWAL". On the bus Source is the entry's
// source and Name its detail-type. A breaking change is a new type, whose name
// ends in ".v2".
type Type struct {
	Source string
	Name   string
}

// Both parts become file names, table keys and parts of IAM conditions, and
// EventBridge allows a detail-type 128 characters ("PutEventsRequestEntry").
var (
	validSource = regexp.MustCompile(`^[a-z][a-z0-9]*([.-][a-z0-9]+)*$`)
	validName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.v[0-9]+)?$`)
)

const maxTypePart = 128

// reserved is what Windows takes for a device, whatever follows a dot ("Naming
// Files, Paths, and Namespaces").
var reserved = regexp.MustCompile(`^(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

// String returns "source/NAME".
func (t Type) String() string { return t.Source + "/" + t.Name }

// ParseType reads "source/NAME".
func ParseType(s string) (Type, error) {
	source, name, ok := strings.Cut(s, "/")
	if !ok {
		return Type{}, fmt.Errorf("event type %q: want source/NAME, as in savings/SAVINGS_WITHDRAWAL", s)
	}
	t := Type{source, name}
	return t, t.Validate()
}

// Validate reports what is wrong with a type: a source is lower-case letters
// and digits, with dots or hyphens between; a name is letters, digits and
// underscores, beginning with a letter, and may end in .v2 and so on; each has
// at most 128 characters, and is none of the names that Windows keeps for
// devices, such as con.
func (t Type) Validate() error {
	switch {
	case !validSource.MatchString(t.Source) || len(t.Source) > maxTypePart:
		return fmt.Errorf("event type %q: source %q must be lower-case letters and digits (with . or - between), at most %d", t, t.Source, maxTypePart)
	case t.Source == "aws" || strings.HasPrefix(t.Source, "aws."):
		// "NotAuthorizedForSourceException: the source is reserved".
		return fmt.Errorf("event type %q: a source that begins with aws. is reserved by EventBridge", t)
	case !validName.MatchString(t.Name) || len(t.Name) > maxTypePart:
		return fmt.Errorf("event type %q: name %q must be letters, digits and _ (and may end in .v2), at most %d", t, t.Name, maxTypePart)
	case reserved.MatchString(t.Source) || reserved.MatchString(t.Name):
		return fmt.Errorf("event type %q: con, prn, aux, nul, com0 to com9 and lpt0 to lpt9 cannot be files on Windows", t)
	}
	return nil
}

// MarshalText writes a type as String does.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (t *Type) UnmarshalText(text []byte) (err error) {
	*t, err = ParseType(string(text))
	return err
}
