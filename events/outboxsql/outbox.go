// Package outboxsql is the transactional outbox for applications whose data is
// in PostgreSQL or SQLite, through database/sql and any driver.
//
//	ob := outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{})
//	err := ob.InTx(ctx, db, nil, func(tx *sql.Tx, s *outboxsql.Session) error {
//		if _, err := tx.ExecContext(ctx, `INSERT INTO withdrawals …`); err != nil {
//			return err
//		}
//		return s.PublishAfterCommit(ctx, savings.Withdrawal{…})
//	})
//
// Whoever begins transactions in another way (sqlc, gorm, by hand) gives them
// to [Outbox.Join]. The tables are made by [Outbox.Migrate], or by what [SQL]
// prints.
//
// A relay moves what has committed to the bus:
//
//	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: ob.Queue(relayDB)}
//	go relay.Run(ctx)
//
// It runs beside the application or in a process of its own, and several may
// run at once. It is woken by an InTx of the same Outbox, and otherwise looks
// every [outbox.Poller.PollInterval]. On PostgreSQL the queue of package
// outboxpgx reads the same tables, and the commits of all processes wake it,
// those of this package too.
package outboxsql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/internal/outboxtables"
)

// Dialect is the database's SQL.
type Dialect int

const (
	PostgreSQL Dialect = iota + 1 // 12 or newer
	SQLite                        // 3.38 or newer
)

// Config changes an Outbox's defaults; the zero value is right for most.
type Config struct {
	// Prefix is what the tables' names begin with, at most 40 of a-z, 0-9 and _.
	// It may name a PostgreSQL schema too, as in "shop.penstock_". The default,
	// used if it is empty, is "penstock_". Outboxes of different prefixes have
	// nothing to do with each other.
	Prefix string
	// Types are the event types that sessions may enqueue; nil is all. The
	// database's own means (row-level security, see the comment in [SQL]) also
	// holds for whoever goes around this package.
	Types []events.Type
	// MarkTTL is how long the marks of [Session.Once] are kept, which must be
	// longer than an event can come back. The default, used for 0, is 30 days:
	// four in the queue, fourteen in the DLQ, and time for a redrive.
	MarkTTL time.Duration
	// Lease is for how long an event in SQLite is one relay's, unless that relay
	// settles it before: if it dies, the event waits for so long. It must be
	// longer than a relay needs to send and to settle. The default, used for 0,
	// is a minute, twice what a Poller takes at most by its own defaults.
	Lease time.Duration
	// Validator, if there is one, checks the data of every event against the
	// schema of its type. One that violates it is an *[events.InvalidError]
	// where it is published, while the transaction can still be rolled back.
	Validator events.Validator
}

// Outbox opens sessions and queues. It is safe for concurrent use.
type Outbox struct {
	dialect Dialect
	config  Config
	tables  outboxtables.Tables
	pg      outboxtables.Postgres
	lite    sqlite

	mu     sync.Mutex
	queues []*Queue // to be woken by a commit
}

// New returns the outbox in a database of the given dialect. It panics for an
// unknown dialect and an invalid prefix, which are mistakes in the program.
func New(dialect Dialect, config Config) *Outbox {
	if dialect != PostgreSQL && dialect != SQLite {
		panic(fmt.Sprintf("outboxsql: dialect %d: use outboxsql.PostgreSQL or outboxsql.SQLite", dialect))
	}
	tables, err := outboxtables.New(config.Prefix)
	if err != nil {
		panic("outboxsql: " + err.Error())
	}
	if dialect == SQLite && tables.Schema() != "" {
		panic("outboxsql: prefix " + config.Prefix + ": SQLite has no schemas")
	}
	if config.MarkTTL == 0 {
		config.MarkTTL = 30 * 24 * time.Hour
	}
	if config.Lease == 0 {
		config.Lease = time.Minute
	}
	return &Outbox{dialect: dialect, config: config, tables: tables, pg: tables.Postgres(), lite: newSQLite(tables)}
}

// Join makes a session of the transaction that the caller has begun, and will
// end. The session's events are rows of that transaction: they leave once it has
// committed. A relay in the same process is not woken, unless you call
// [Queue.Wake] after the commit; it finds them at its next look.
func (o *Outbox) Join(tx *sql.Tx) *Session { return &Session{outbox: o, tx: tx} }

// InTx runs fn in a transaction of its own, begun with opts, and commits it.
// If fn fails or panics the transaction is rolled back, and the error is
// returned as it is. A transaction that Once recognises as a repeat is rolled
// back too, and is no error. fn must not end the transaction itself.
//
// If the commit itself fails because the connection broke or ctx ended, the
// transaction may have committed nevertheless, whole, its events too.
//
// With SQLite, which has one writer at a time, open the database so that
// transactions begin IMMEDIATE and wait for each other: with modernc.org/sqlite
// "file:app.db?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)".
func (o *Outbox) InTx(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(*sql.Tx, *Session) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("outboxsql: beginning the transaction: %w", err)
	}
	s := o.Join(tx)
	defer func() {
		s.end()
		_ = tx.Rollback() // after a commit it does nothing
	}()
	err = fn(tx, s)
	repeat, enqueued := s.end()
	switch {
	case repeat:
		return nil
	case err != nil:
		return err
	}
	if err := tx.Commit(); err != nil {
		if errors.Is(err, sql.ErrTxDone) && ctx.Err() == nil {
			return fmt.Errorf("outboxsql: the function that InTx ran has ended the transaction itself: return nil to commit, an error to roll back: %w", err)
		}
		return fmt.Errorf("outboxsql: committing: %w", err)
	}
	if enqueued {
		o.wake()
	}
	return nil
}

// wake wakes the relays in this process.
func (o *Outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, q := range o.queues {
		q.Wake()
	}
}
