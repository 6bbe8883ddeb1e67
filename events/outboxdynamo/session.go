package outboxdynamo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Session collects the writes and the events of one transaction, and ends with
// the InTx that made it: then its methods answer [outbox.ErrSessionDone]. It is
// safe for concurrent use; what several goroutines write has no order among
// them.
type Session struct {
	outbox *Outbox

	mu      sync.Mutex
	writes  []types.TransactWriteItem
	entries []events.Entry
	mark    string
	done    bool
}

var _ events.AfterCommit = (*Session)(nil)

// end refuses everything that comes later, such as from a goroutine that fn
// started and did not wait for.
func (s *Session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
}

// Write adds items to the transaction, in order: puts, updates, deletes and
// condition checks. Nothing is sent before fn returns. Its only error is
// [outbox.ErrSessionDone], which code inside of fn need not look at.
func (s *Session) Write(items ...types.TransactWriteItem) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return outbox.ErrSessionDone
	}
	s.writes = append(s.writes, items...)
	return nil
}

// Once makes the transaction happen at most once for the event key: its mark
// is written in the same transaction, and where the mark already stands,
// nothing is. A session takes one mark; the same key again changes nothing. A
// function that Penstock deploys may write marks that begin with its own name
// and a slash, as the event keys of its messages do.
func (s *Session) Once(eventKey string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
		return outbox.ErrSessionDone
	case s.outbox.config.MarksTable == "":
		return errors.New("outboxdynamo: Once needs Config.MarksTable")
	case eventKey == "":
		return errors.New("outboxdynamo: Once needs an event key")
	case s.mark != "" && s.mark != eventKey:
		return fmt.Errorf("outboxdynamo: the session already has the mark %q: use one session for each event", s.mark)
	}
	s.mark = eventKey
	return nil
}

// PublishAfterCommit implements [events.AfterCommit].
func (s *Session) PublishAfterCommit(ctx context.Context, e events.Event) error {
	return s.PublishBatchAfterCommit(ctx, []events.Event{e})
}

// PublishBatchAfterCommit implements [events.AfterCommit].
func (s *Session) PublishBatchAfterCommit(ctx context.Context, batch []events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return outbox.ErrSessionDone
	}
	entries, err := events.Stamper{Validator: s.outbox.config.Validator}.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(e.Detail) > maxMessageBytes {
			return fmt.Errorf("outboxdynamo: event %s %s is %d bytes, and a DynamoDB item takes %d: publish a reference to the data instead", e.Type, e.ID, len(e.Detail), maxMessageBytes)
		}
	}
	s.entries = append(s.entries, entries...)
	return nil
}
