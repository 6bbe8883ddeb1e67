package outboxsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/internal/outboxtables"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Session is a transaction that also carries events. It ends with its
// transaction: then its methods answer [outbox.ErrSessionDone]. It is safe for
// concurrent use, as *sql.Tx is.
type Session struct {
	outbox *Outbox
	tx     *sql.Tx

	mu       sync.Mutex
	done     bool
	repeat   bool
	enqueued bool
}

var _ events.AfterCommit = (*Session)(nil)

// Once makes the transaction happen at most once for the event key: its mark is
// written in the same transaction, and where the mark already stands the answer
// is [outbox.ErrRepeat]. Return it from the function of InTx; after Join, roll
// back. A transaction that is about to write the same mark is waited for.
//
// After an ErrRepeat nothing can be published in the session, and InTx commits
// nothing.
func (s *Session) Once(ctx context.Context, eventKey string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if eventKey == "" {
		return errors.New("outboxsql: Once needs an event key")
	}
	var result sql.Result
	var err error
	switch ttl := s.outbox.config.MarkTTL; s.outbox.dialect {
	case PostgreSQL:
		result, err = s.tx.ExecContext(ctx, s.outbox.pg.Mark, eventKey, ttl.Seconds())
	default:
		result, err = s.tx.ExecContext(ctx, s.outbox.lite.mark, eventKey, time.Now().Add(ttl).UnixMilli())
	}
	if err != nil {
		return s.failed("writing the mark", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return s.failed("writing the mark", err)
	}
	if n == 0 {
		s.repeat = true
		return outbox.ErrRepeat
	}
	return nil
}

// PublishAfterCommit implements [events.AfterCommit].
func (s *Session) PublishAfterCommit(ctx context.Context, e events.Event) error {
	return s.PublishBatchAfterCommit(ctx, []events.Event{e})
}

// PublishBatchAfterCommit implements [events.AfterCommit]. It inserts the events
// at once, up to a thousand in one statement. After an error of the database the
// transaction cannot go on, in PostgreSQL at least: roll it back.
func (s *Session) PublishBatchAfterCommit(ctx context.Context, batch []events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	for _, e := range batch {
		if t := e.EventType(); s.outbox.config.Types != nil && !slices.Contains(s.outbox.config.Types, t) {
			return fmt.Errorf("outboxsql: event type %s is not among those that this outbox may enqueue: add it to Config.Types", t)
		}
	}
	entries, err := events.Stamper{Validator: s.outbox.config.Validator}.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	for chunk := range outboxtables.Chunks(entries) {
		switch {
		case s.outbox.dialect == SQLite:
			_, err = s.tx.ExecContext(ctx, s.outbox.lite.enqueue, jsonRows(chunk), time.Now().UnixMilli())
		case len(chunk) == 1:
			_, err = s.tx.ExecContext(ctx, s.outbox.pg.EnqueueOne, chunk[0].ID, chunk[0].Type.String(), string(chunk[0].Detail))
		default:
			ids, types, details := outboxtables.Columns(chunk)
			_, err = s.tx.ExecContext(ctx, s.outbox.pg.Enqueue, arrayLiteral(ids), arrayLiteral(types), arrayLiteral(details))
		}
		if err != nil {
			return s.failed(fmt.Sprintf("writing %d events", len(chunk)), err)
		}
		s.enqueued = true
	}
	return nil
}

// usable reports why nothing can be written in the session any more.
func (s *Session) usable() error {
	switch {
	case s.done:
		return outbox.ErrSessionDone
	case s.repeat:
		return outbox.ErrRepeat
	}
	return nil
}

// failed makes an error of the database's.
func (s *Session) failed(doing string, err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		s.done = true
		return outbox.ErrSessionDone
	}
	return explain(s.outbox, doing, err)
}

// explain says what to do about an error where that is known.
func explain(o *Outbox, doing string, err error) error {
	text := err.Error()
	if strings.Contains(text, "outbox") && (strings.Contains(text, "does not exist") || strings.Contains(text, "no such table")) {
		return fmt.Errorf("outboxsql: %s: the tables are missing: call Migrate, or run what outboxsql.SQL prints: %w", doing, err)
	}
	return fmt.Errorf("outboxsql: %s: %w", doing, err)
}

// end refuses everything that comes later, and tells what the transaction has
// seen.
func (s *Session) end() (repeat, enqueued bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	return s.repeat, s.enqueued
}
