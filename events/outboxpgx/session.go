package outboxpgx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/internal/outboxtables"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Session is a transaction that also carries events. It ends with its
// transaction: then its methods answer [outbox.ErrSessionDone]. Its methods are
// safe for concurrent use with each other; a pgx.Tx, which it uses, is not.
type Session struct {
	outbox *Outbox
	tx     pgx.Tx

	// pipelined has events wait for the commit.
	pipelined bool

	mu      sync.Mutex
	done    bool
	repeat  bool
	waiting []events.Entry
	bytes   int // of those
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
		return errors.New("outboxpgx: Once needs an event key")
	}
	tag, err := s.tx.Exec(ctx, s.outbox.pg.Mark, eventKey, s.outbox.config.MarkTTL.Seconds())
	if err != nil {
		return s.failed("writing the mark", err)
	}
	if tag.RowsAffected() == 0 {
		s.repeat = true
		return outbox.ErrRepeat
	}
	return nil
}

// PublishAfterCommit implements [events.AfterCommit].
func (s *Session) PublishAfterCommit(ctx context.Context, e events.Event) error {
	return s.PublishBatchAfterCommit(ctx, []events.Event{e})
}

// PublishBatchAfterCommit implements [events.AfterCommit]. In a session of Join
// it inserts the events at once, up to a thousand in one statement; in one of
// InTx a few of them wait for the commit. After an error of the database the
// transaction cannot go on: roll it back.
func (s *Session) PublishBatchAfterCommit(ctx context.Context, batch []events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	for _, e := range batch {
		if t := e.EventType(); s.outbox.config.Types != nil && !slices.Contains(s.outbox.config.Types, t) {
			return fmt.Errorf("outboxpgx: event type %s is not among those that this outbox may enqueue: add it to Config.Types", t)
		}
	}
	entries, err := events.Stamper{Validator: s.outbox.config.Validator}.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	s.waiting = append(s.waiting, entries...)
	for _, e := range entries {
		s.bytes += len(e.Detail)
	}
	if s.pipelined && s.bytes <= maxWaiting {
		return nil
	}
	entries = s.waiting
	s.waiting, s.bytes = nil, 0
	err = s.outbox.enqueue(entries, func(sql string, args ...any) error {
		_, err := s.tx.Exec(ctx, sql, args...)
		return err
	})
	if err != nil {
		return s.failed(fmt.Sprintf("writing %d events", len(entries)), err)
	}
	return nil
}

// maxWaiting is how many bytes of events wait for the commit.
const maxWaiting = 64 << 10

// enqueue calls exec with the statements that insert entries.
func (o *Outbox) enqueue(entries []events.Entry, exec func(sql string, args ...any) error) error {
	for chunk := range outboxtables.Chunks(entries) {
		var err error
		if len(chunk) == 1 {
			err = exec(o.pg.EnqueueOne, chunk[0].ID, chunk[0].Type.String(), string(chunk[0].Detail))
		} else {
			ids, types, details := outboxtables.Columns(chunk)
			err = exec(o.pg.Enqueue, ids, types, details)
		}
		if err != nil {
			return err
		}
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
	if errors.Is(err, pgx.ErrTxClosed) {
		s.done = true
		return outbox.ErrSessionDone
	}
	return explain(doing, err)
}

// undefinedTable is the SQLSTATE of a table that is missing ("PostgreSQL Error
// Codes").
const undefinedTable = "42P01"

// explain says what to do about an error where that is known.
func explain(doing string, err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == undefinedTable {
		return fmt.Errorf("outboxpgx: %s: the tables are missing: call Migrate, or run what outboxsql.SQL prints: %w", doing, err)
	}
	return fmt.Errorf("outboxpgx: %s: %w", doing, err)
}

// end refuses everything that comes later, and tells whether Once has seen a
// repeat, and which events are still to be inserted.
func (s *Session) end() (repeat bool, waiting []events.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	return s.repeat, s.waiting
}
