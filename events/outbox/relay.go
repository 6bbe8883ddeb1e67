package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
)

// Bus is where a relay sends: *events.BusPublisher.
type Bus interface {
	PutEntries(ctx context.Context, entries []events.Entry) error
}

// Store is what a relay needs of a backend: to forget what was sent.
type Store interface {
	// Remove deletes messages by key. A key that is no longer there is not an
	// error: another relay was faster.
	Remove(ctx context.Context, keys []string) error
}

// Relay moves committed messages to the bus and then removes them from their
// store. How messages are found (a stream, a poll) is the backend's business.
// A Relay is safe for concurrent use; both fields must be set.
type Relay struct {
	Bus   Bus
	Store Store
}

// Send publishes messages and removes those that the bus has accepted whole.
// It returns the keys of the others, which stay in the store, to be sent
// again, and why. A message whose removal failed is among them: sending it
// again repeats its events with the ids they have.
func (r *Relay) Send(ctx context.Context, messages []Message) (failed []string, err error) {
	var entries []events.Entry
	for _, m := range messages {
		entries = append(entries, m.Entries...)
	}
	sendErr := r.Bus.PutEntries(ctx, entries)
	refused := map[string]bool{}
	if sendErr != nil {
		var publish *events.PublishError
		if !errors.As(sendErr, &publish) {
			return keys(messages), fmt.Errorf("outbox: %w", sendErr)
		}
		for _, f := range publish.Failed {
			refused[f.ID] = true
		}
	}
	var sent []string
	for _, m := range messages {
		if m.anyIn(refused) {
			failed = append(failed, m.Key)
			continue
		}
		sent = append(sent, m.Key)
	}
	if len(sent) > 0 {
		if err := r.Store.Remove(ctx, sent); err != nil {
			return keys(messages), errors.Join(sendErr, fmt.Errorf("outbox: removing what was sent: %w", err))
		}
	}
	return failed, sendErr
}

func (m Message) anyIn(ids map[string]bool) bool {
	for _, e := range m.Entries {
		if ids[e.ID] {
			return true
		}
	}
	return false
}

func keys(messages []Message) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = m.Key
	}
	return out
}
