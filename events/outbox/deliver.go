package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
)

// Bus is where a relay sends: *eventbus.Publisher.
type Bus interface {
	// PutEntries returns once the bus has accepted every entry; its error is an
	// *[events.PublishError] that names each that it has not. Any other error
	// means that none is known to have been.
	PutEntries(ctx context.Context, entries []events.Entry) error
}

// Outcome is what became of messages that were sent.
type Outcome struct {
	// Sent are the keys of the messages that the bus has accepted whole.
	Sent []string
	// Failed are the keys of those to be sent again, whole, with the ids that
	// their events have.
	Failed []string
	// Refused are those that can never be sent as they are. What the bus may
	// take of such a message, it has taken.
	Refused []Refusal
	// Err says why a message failed or was refused; nil if all were sent.
	Err error
}

// Refusal is a message that can never be sent as it is.
type Refusal struct {
	Message
	Reason string // in words, for the person who looks at it
}

// Deliver sends messages to the bus and says what became of each. A message is
// refused if an event of it is above [events.MaxEntryBytes], which is not even
// sent, or if the bus refuses one for good ([events.FailedEntry.Retryable])
// while it refuses none for the moment.
func Deliver(ctx context.Context, bus Bus, messages []Message) Outcome {
	var (
		entries []events.Entry
		failed  = map[string]events.FailedEntry{} // by event id
		err     error
	)
	for _, m := range messages {
		for _, e := range m.Entries {
			if size := len(e.Type.Source) + len(e.Type.Name) + len(e.Detail); size > events.MaxEntryBytes {
				f := events.FailedEntry{ID: e.ID, Type: e.Type, Code: "TooLarge",
					Err: fmt.Errorf("%d bytes, and the bus takes at most %d", size, events.MaxEntryBytes)}
				failed[e.ID] = f
				err = errors.Join(err, &events.PublishError{Failed: []events.FailedEntry{f}})
				continue
			}
			entries = append(entries, e)
		}
	}
	if len(entries) > 0 {
		if sendErr := bus.PutEntries(ctx, entries); sendErr != nil {
			err = errors.Join(err, sendErr)
			var publish *events.PublishError
			if !errors.As(sendErr, &publish) {
				return Outcome{Failed: keys(messages), Err: err}
			}
			for _, f := range publish.Failed {
				failed[f.ID] = f
			}
		}
	}
	out := Outcome{Err: err}
	for _, m := range messages {
		switch again, reason := m.verdict(failed); {
		case again:
			out.Failed = append(out.Failed, m.Key)
		case reason != "":
			out.Refused = append(out.Refused, Refusal{m, reason})
		default:
			out.Sent = append(out.Sent, m.Key)
		}
	}
	return out
}

// verdict says whether a message is to be sent again, and if not, why it can
// never be; the reason is empty if it was sent.
func (m Message) verdict(failed map[string]events.FailedEntry) (again bool, reason string) {
	for _, e := range m.Entries {
		f, ok := failed[e.ID]
		switch {
		case ok && f.Retryable():
			return true, ""
		case ok && reason == "":
			reason = fmt.Sprintf("event %s: %s: %v", f.ID, f.Code, f.Err)
		}
	}
	return false, reason
}

func keys(messages []Message) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = m.Key
	}
	return out
}
