// Package outbox is the contract between the two halves of a transactional
// outbox: a session writes events in the same transaction as the rows that
// caused them, and a relay moves committed events to the bus.
//
// The packages outboxdynamo, outboxsql and outboxpgx are the backends. What
// they share is here: the form in which events wait, the errors, and the relay:
// a [Poller] looks for messages itself, in a [Queue]; one that is handed them,
// by a table's stream, rests on [Deliver] too. The package outboxtest holds the
// tests that every backend passes.
//
// The guarantee: an event reaches the bus if and only if its transaction
// committed. It may reach it more than once, always with the same id: the
// relay removes what it sent, and may die between the two.
package outbox

import (
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
)

// ErrSessionDone is what a session answers once its transaction has committed
// or rolled back.
var ErrSessionDone = errors.New("outbox: the session's transaction has ended")

// ErrRepeat is what Once answers where the mark already stands: what the
// transaction is about to do was done before. Roll it back, and take the event
// as handled; the InTx of each backend does.
var ErrRepeat = errors.New("outbox: the mark stands already: this was handled before, so roll the transaction back")

// Message is what one write to an outbox holds: events of a single type, all
// of one transaction. Key names it in its store, and begins with the type (see
// [Key]), so that permission to enqueue can be given by type.
type Message struct {
	Key     string
	Entries []events.Entry
}

// Key is a message's key: the type, "#" and an id, which is that of its first
// event or a UUIDv7 of its own, as in
// savings/FEE_CHARGED#01976e5a-8c00-7000-8000-000000000001.
func Key(t events.Type, id string) string { return t.String() + "#" + id }

// TypeOf reads the event type back from a message's key.
func TypeOf(key string) (events.Type, error) {
	for i := range len(key) {
		if key[i] == '#' {
			return events.ParseType(key[:i])
		}
	}
	return events.Type{}, fmt.Errorf("outbox: key %q does not begin with an event type and #", key)
}

// Group packs a transaction's entries into messages of one type each, whose
// details measure at most maxBytes together, keeping the entries' order within
// a type. An entry above maxBytes gets a message of its own.
func Group(entries []events.Entry, maxBytes int) []Message {
	var messages []Message
	open := map[events.Type]int{} // the message of each type that still has room
	size := map[events.Type]int{}
	for _, e := range entries {
		i, ok := open[e.Type]
		if !ok || size[e.Type]+len(e.Detail) > maxBytes {
			messages = append(messages, Message{Key: Key(e.Type, e.ID)})
			i = len(messages) - 1
			open[e.Type], size[e.Type] = i, 0
		}
		messages[i].Entries = append(messages[i].Entries, e)
		size[e.Type] += len(e.Detail)
	}
	return messages
}
