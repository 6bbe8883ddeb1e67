// Package outboxpgx is the transactional outbox for applications whose data is
// in PostgreSQL, through github.com/jackc/pgx/v5.
//
//	ob := outboxpgx.New(outboxpgx.Config{})
//	err := ob.InTx(ctx, pool, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
//		if _, err := tx.Exec(ctx, `INSERT INTO withdrawals …`); err != nil {
//			return err
//		}
//		return s.PublishAfterCommit(ctx, savings.Withdrawal{…})
//	})
//
// Whoever begins transactions in another way (sqlc, by hand) gives them to
// [Outbox.Join]. The tables are made by [Outbox.Migrate], or by what
// outboxsql.SQL(outboxsql.PostgreSQL) prints: they are those of package
// outboxsql, and writers and relays of both packages may share them.
//
// A relay moves what has committed to the bus:
//
//	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: ob.Queue(relayPool)}
//	go relay.Run(ctx)
//
// It runs beside the application or in a process of its own, and several may
// run at once. Every commit that has events wakes it (LISTEN/NOTIFY); as a
// safety net it looks every [outbox.Poller.PollInterval].
package outboxpgx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/internal/outboxtables"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// Config changes an Outbox's defaults; the zero value is right for most.
type Config struct {
	// Prefix is what the tables' names begin with, at most 40 of a-z, 0-9 and _.
	// It may name a schema too, as in "shop.penstock_". The default, used if it
	// is empty, is "penstock_". Outboxes of different prefixes have nothing to
	// do with each other.
	Prefix string
	// Types are the event types that sessions may enqueue; nil is all. The
	// database's own means (row-level security, see the comment in
	// outboxsql.SQL) also holds for whoever goes around this package.
	Types []events.Type
	// MarkTTL is how long the marks of [Session.Once] are kept, which must be
	// longer than an event can come back. The default, used for 0, is 30 days:
	// four in the queue, fourteen in the DLQ, and time for a redrive.
	MarkTTL time.Duration
	// Validator, if there is one, checks the data of every event against the
	// schema of its type. One that violates it is an *[events.InvalidError]
	// where it is published, while the transaction can still be rolled back.
	Validator events.Validator
}

// Outbox opens sessions and queues. It is safe for concurrent use.
type Outbox struct {
	config Config
	tables outboxtables.Tables
	pg     outboxtables.Postgres
	sql    *outboxsql.Outbox // for what need not be fast
}

// New returns the outbox. It panics for an invalid prefix, which is a mistake in
// the program.
func New(config Config) *Outbox {
	tables, err := outboxtables.New(config.Prefix)
	if err != nil {
		panic("outboxpgx: " + err.Error())
	}
	if config.MarkTTL == 0 {
		config.MarkTTL = 30 * 24 * time.Hour
	}
	return &Outbox{config, tables, tables.Postgres(), outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{Prefix: config.Prefix})}
}

// SQL is the script that makes the outbox's tables, for whoever keeps migrations
// in files.
func (o *Outbox) SQL() string { return o.sql.SQL() }

// Migrate makes the outbox's tables, or brings them to the version that this
// Penstock uses. It refuses tables of a newer one. Processes that start at once
// may all call it; where there is nothing to do it changes nothing.
func (o *Outbox) Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close() // of the pool's connections only what it holds
	return o.sql.Migrate(ctx, db)
}

// Join makes a session of the transaction that the caller has begun, and will
// end. The session's events are rows of that transaction: they leave once it has
// committed.
func (o *Outbox) Join(tx pgx.Tx) *Session { return &Session{outbox: o, tx: tx} }

// Beginner begins transactions: *pgxpool.Pool, *pgx.Conn.
type Beginner interface {
	BeginTx(ctx context.Context, opts pgx.TxOptions) (pgx.Tx, error)
}

// InTx runs fn in a transaction of its own, begun with opts, and commits it.
// If fn fails or panics the transaction is rolled back, and the error is
// returned as it is. A transaction that Once recognises as a repeat is rolled
// back too, and is no error. fn must not end the transaction itself.
//
// Up to 64 KB of events wait for fn to return, and are inserted in one round trip
// with the commit: then with one event a transaction takes as many round trips
// as without.
//
// If the commit itself fails because the connection broke or ctx ended, the
// transaction may have committed nevertheless, whole, its events too.
func (o *Outbox) InTx(ctx context.Context, db Beginner, opts pgx.TxOptions, fn func(pgx.Tx, *Session) error) error {
	tx, err := begin(ctx, db, opts)
	if err != nil {
		return fmt.Errorf("outboxpgx: beginning the transaction: %w", err)
	}
	s := &Session{outbox: o, tx: tx, pipelined: true}
	defer func() {
		s.end()
		endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		tx.end(endCtx)
	}()
	err = fn(tx, s)
	repeat, waiting := s.end()
	switch {
	case repeat:
		return nil
	case err != nil:
		return err
	}
	var batch pgx.Batch
	_ = o.enqueue(waiting, func(sql string, args ...any) error {
		batch.Queue(sql, args...)
		return nil
	})
	if err := tx.commit(ctx, &batch); err != nil {
		if errors.Is(err, pgx.ErrTxClosed) {
			return fmt.Errorf("outboxpgx: the function that InTx ran has ended the transaction itself: return nil to commit, an error to roll back: %w", err)
		}
		return explain("committing", err)
	}
	return nil
}

// endTimeout bounds a rollback.
const endTimeout = 5 * time.Second
