package outboxpgx_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outboxpgx"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// arrivals is a bus that tells of each event.
type arrivals chan string

func (a arrivals) PutEntries(_ context.Context, entries []events.Entry) error {
	for _, e := range entries {
		a <- e.ID
	}
	return nil
}

// hourly starts a relay that by itself looks once an hour.
func hourly(t *testing.T, s *store) arrivals {
	t.Helper()
	bus := make(arrivals, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&outbox.Poller{Bus: bus, Queue: s.ob.Queue(s.pool), PollInterval: time.Hour}).Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return bus
}

func (a arrivals) expect(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-a:
		case <-time.After(30 * time.Second):
			t.Fatalf("the relay was not woken for event %d", i)
		}
	}
}

func TestEveryCommitWakesTheRelay(t *testing.T) {
	s := open(t)
	bus := hourly(t, s)
	for range 50 {
		if err := s.InTx(t.Context(), func(session outboxtest.Session) error {
			return session.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: "row"})
		}); err != nil {
			t.Fatal(err)
		}
		bus.expect(t, 1)
	}
	// A batch of many, and a transaction of the user's own.
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ob.Join(tx).PublishBatchAfterCommit(t.Context(), []events.Event{outboxtest.Happened{}, outboxtest.Related{}}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	bus.expect(t, 2)
}

func TestCommitsThroughDatabaseSQLWakeItToo(t *testing.T) {
	s := open(t)
	bus := hourly(t, s)
	db := stdlib.OpenDBFromPool(s.pool)
	defer db.Close()
	ob := outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{})
	for range 10 {
		if err := ob.InTx(t.Context(), db, nil, func(_ *sql.Tx, session *outboxsql.Session) error {
			return session.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: "row"})
		}); err != nil {
			t.Fatal(err)
		}
		bus.expect(t, 1)
	}
}

// A transaction that published before the relay went to sleep did not notify; the
// relay must see its commit all the same, soon.
func TestATransactionThatBeganBeforeTheRelaySleptIsSeen(t *testing.T) {
	s := open(t)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ob.Join(tx).PublishAfterCommit(t.Context(), outboxtest.Happened{}); err != nil {
		t.Fatal(err)
	}
	bus := hourly(t, s)
	other, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ob.Join(other).PublishAfterCommit(t.Context(), outboxtest.Happened{}); err != nil {
		t.Fatal(err)
	}
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	bus.expect(t, 1)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	bus.expect(t, 1)
}

func TestWhatWasPutBackWakesTheRelay(t *testing.T) {
	s := open(t)
	if _, err := s.pool.Exec(t.Context(), `INSERT INTO penstock_outbox_aside (key, event_id, type, detail, enqueued_at, reason)
		VALUES ('outboxtest/HAPPENED#1', '1', 'outboxtest/HAPPENED', '{}', now(), 'mended')`); err != nil {
		t.Fatal(err)
	}
	bus := hourly(t, s)
	if err := s.PutBack(t.Context(), "outboxtest/HAPPENED#1"); err != nil {
		t.Fatal(err)
	}
	bus.expect(t, 1)
}

func TestATransactionOfInTxIsUnusableAfterwards(t *testing.T) {
	s := open(t)
	var leaked pgx.Tx
	if err := s.ob.InTx(t.Context(), s.pool, pgx.TxOptions{}, func(tx pgx.Tx, session *outboxpgx.Session) error {
		leaked = tx
		return session.PublishAfterCommit(t.Context(), outboxtest.Happened{})
	}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, execErr := leaked.Exec(ctx, "SELECT 1")
	_, queryErr := leaked.Query(ctx, "SELECT 1")
	_, beginErr := leaked.Begin(ctx)
	for what, err := range map[string]error{
		"Exec": execErr, "Query": queryErr, "Begin": beginErr,
		"QueryRow":  leaked.QueryRow(ctx, "SELECT 1").Scan(nil),
		"SendBatch": leaked.SendBatch(ctx, &pgx.Batch{}).Close(),
		"Commit":    leaked.Commit(ctx),
		"Rollback":  leaked.Rollback(ctx),
	} {
		if !errors.Is(err, pgx.ErrTxClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAFunctionThatEndsTheTransactionIsTold(t *testing.T) {
	s := open(t)
	err := s.ob.InTx(t.Context(), s.pool, pgx.TxOptions{}, func(tx pgx.Tx, session *outboxpgx.Session) error {
		return tx.Commit(t.Context())
	})
	if !errors.Is(err, pgx.ErrTxClosed) || !strings.Contains(err.Error(), "return nil to commit") {
		t.Errorf("got %v", err)
	}
}

func TestATransactionThatFailedDoesNotCommit(t *testing.T) {
	s := open(t)
	for _, n := range []int{0, 1} {
		err := s.ob.InTx(t.Context(), s.pool, pgx.TxOptions{}, func(tx pgx.Tx, session *outboxpgx.Session) error {
			_, _ = tx.Exec(t.Context(), "SELECT nonsense") // the error is not looked at
			if n == 0 {
				return nil
			}
			return session.PublishAfterCommit(t.Context(), outboxtest.Happened{})
		})
		if err == nil {
			t.Errorf("with %d events there was no error", n)
		}
	}
	if b, err := s.Backlog(t.Context()); err != nil || b.Size != 0 {
		t.Errorf("the backlog is %+v, %v", b, err)
	}
}

func TestOnlyDeclaredTypesAreEnqueued(t *testing.T) {
	s := open(t)
	ob := outboxpgx.New(outboxpgx.Config{Types: []events.Type{outboxtest.Related{}.EventType()}})
	err := ob.InTx(t.Context(), s.pool, pgx.TxOptions{}, func(_ pgx.Tx, session *outboxpgx.Session) error {
		return session.PublishAfterCommit(t.Context(), outboxtest.Happened{})
	})
	if err == nil || !strings.Contains(err.Error(), "outboxtest/HAPPENED") || !strings.Contains(err.Error(), "Config.Types") {
		t.Errorf("got %v", err)
	}
}

func TestMissingTablesAreNamedWithTheWayOut(t *testing.T) {
	s := open(t)
	ob := outboxpgx.New(outboxpgx.Config{Prefix: "other_"})
	err := ob.InTx(t.Context(), s.pool, pgx.TxOptions{}, func(_ pgx.Tx, session *outboxpgx.Session) error {
		return session.PublishAfterCommit(t.Context(), outboxtest.Happened{})
	})
	if err == nil || !strings.Contains(err.Error(), "call Migrate") {
		t.Errorf("got %v", err)
	}
}

func TestAJoinedSessionEndsWithItsTransaction(t *testing.T) {
	s := open(t)
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	session := s.ob.Join(tx)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := session.PublishAfterCommit(t.Context(), outboxtest.Happened{}); !errors.Is(err, outbox.ErrSessionDone) {
		t.Errorf("got %v", err)
	}
}
