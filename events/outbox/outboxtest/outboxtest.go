// Package outboxtest holds the tests that every outbox passes: those of
// Penstock, and any other that is built on the contract of package outbox.
//
//	func TestConformance(t *testing.T) {
//		outboxtest.Run(t, outboxtest.Backend{Open: open, Exclusive: true})
//	}
//
// What they hold a backend to: an event reaches the bus if and only if its
// transaction committed, whatever fails on the way; it may reach it more than
// once, with the same id and the same detail, and does so only if something
// failed.
package outboxtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Backend is an outbox under test.
type Backend struct {
	// Open makes an empty store for one test, which closes it by t.Cleanup.
	Open func(t testing.TB) Store
	// Exclusive says that relays that work at the same time never send the same
	// event, as long as none fails. Without it they may, as where a sweep goes
	// over what a stream is about to deliver.
	Exclusive bool
}

// Store is an outbox, and the database of an application that uses it. It is
// safe for concurrent use.
type Store interface {
	// InTx runs fn in a session, as the backend's own InTx does. fn does not
	// write the same row in two transactions.
	InTx(ctx context.Context, fn func(Session) error) error
	// Rows returns the rows that sessions have written and committed.
	Rows(ctx context.Context) ([]string, error)
	// Relay makes a relay as another process would have it. run moves events to
	// bus until ctx ends and then finishes what it has under way. It looks for
	// events, and tries again what failed, at least every 100 ms.
	Relay(bus outbox.Bus) (run func(ctx context.Context))
	outbox.Shelf
	Backlog(ctx context.Context) (outbox.Backlog, error)
	// Intercept has hook called at each step of sessions and relays: before
	// something is sent to the database, and before its answer is read. An error
	// of hook fails the step, as a broken connection would. nil ends it.
	Intercept(hook func() error)
}

// Session is a session, and the application's own writes in its transaction.
type Session interface {
	events.AfterCommit
	Once(ctx context.Context, eventKey string) error
	// Write adds a row to the transaction.
	Write(ctx context.Context, row string) error
}

// Happened is the event that the tests publish.
type Happened struct {
	Row     string `json:"row"`
	Padding string `json:"padding,omitempty"`
}

// EventType implements events.Event.
func (Happened) EventType() events.Type { return events.Type{Source: "outboxtest", Name: "HAPPENED"} }

// Schema implements events.Event.
func (Happened) Schema() events.Event { return Happened{"row", "padding"} }

// Related is another event type.
type Related struct {
	Row string `json:"row"`
}

// EventType implements events.Event.
func (Related) EventType() events.Type { return events.Type{Source: "outboxtest", Name: "RELATED.v2"} }

// Schema implements events.Event.
func (Related) Schema() events.Event { return Related{"row"} }

// errBroken is what an intercepted step fails with.
var errBroken = errors.New("outboxtest: the connection broke")

// Run runs the tests.
func Run(t *testing.T, b Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"an event leaves once its transaction has committed": commits,
		"nothing leaves of a transaction that rolled back":   rollsBack,
		"a panic rolls back":                                       panics,
		"a large batch leaves whole":                               largeBatch,
		"sessions work at the same time":                           concurrentSessions,
		"relays share the work":                                    severalRelays,
		"a relay that is stuck holds no other up":                  stuckRelay,
		"a session that a step fails is committed whole or not":    sessionStepsFail,
		"a session that is cancelled is committed whole or not":    sessionIsCancelled,
		"a relay that a step fails loses nothing":                  relayStepsFail,
		"a relay that is stopped loses and repeats nothing":        relayIsStopped,
		"a repeat commits nothing":                                 repeat,
		"of repeats at the same time one commits":                  concurrentRepeats,
		"a mark that rolled back is no mark":                       markRollsBack,
		"a session ends with its transaction":                      sessionDone,
		"what can never be sent is set aside":                      setsAside,
		"a bus that cannot be reached is waited for":               busIsDown,
		"a bus that throttles gets everything in the end":          busThrottles,
		"an event above the ceiling is refused at the call":        tooLarge,
		"a message is sent again if its removal failed, unchanged": removalFails,
	} {
		t.Run(name, func(t *testing.T) { test(t, b) })
	}
}

// write writes a row and publishes n events about it.
func write(ctx context.Context, s Session, row string, n int) error {
	if err := s.Write(ctx, row); err != nil {
		return err
	}
	batch := []events.Event{Related{row}}
	for range n - 1 {
		batch = append(batch, Happened{Row: row})
	}
	if n == 1 {
		return s.PublishAfterCommit(ctx, batch[0])
	}
	return s.PublishBatchAfterCommit(ctx, batch)
}

// commit commits a row with n events.
func commit(t *testing.T, s Store, row string, n int) {
	t.Helper()
	if err := s.InTx(t.Context(), func(session Session) error { return write(t.Context(), session, row, n) }); err != nil {
		t.Fatal(err)
	}
}

// rows names n rows.
func rows(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("row ", i)
	}
	return out
}
