package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// databases runs a test on each dialect, with an empty database.
func databases(t *testing.T, test func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB)) {
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := postgres.Database(t)
		test(t, outboxsql.PostgreSQL, func() *sql.DB { return openDB(t, "pgx", dsn) })
	})
	t.Run("SQLite", func(t *testing.T) {
		dsn := "file:" + filepath.Join(t.TempDir(), "app.db") + sqliteDSN
		test(t, outboxsql.SQLite, func() *sql.DB { return openDB(t, "sqlite", dsn) })
	})
}

func openDB(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestProcessesThatStartAtOnceAllMigrate(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		var processes sync.WaitGroup
		for range 6 {
			db := open()
			processes.Go(func() {
				if err := outboxsql.New(dialect, outboxsql.Config{}).Migrate(t.Context(), db); err != nil {
					t.Error(err)
				}
			})
		}
		processes.Wait()
		var version, rows int
		if err := open().QueryRow("SELECT max(version), count(*) FROM penstock_outbox_version").Scan(&version, &rows); err != nil || version != 1 || rows != 1 {
			t.Errorf("version %d in %d rows, %v", version, rows, err)
		}
	})
}

func TestTablesOfANewerVersionAreRefused(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE penstock_outbox_version SET version = 99"); err != nil {
			t.Fatal(err)
		}
		if err := ob.Migrate(t.Context(), db); err == nil || !strings.Contains(err.Error(), "version 99") || !strings.Contains(err.Error(), "upgrade") {
			t.Errorf("got %v", err)
		}
	})
}

func TestThePrintedScriptMakesTheSameTables(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db := open()
		if _, err := db.Exec(outboxsql.SQL(dialect)); err != nil {
			t.Fatal(err)
		}
		ob := outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		publish(t, ob, db)
	})
}

func publish(t *testing.T, ob *outboxsql.Outbox, db *sql.DB) {
	t.Helper()
	err := ob.InTx(t.Context(), db, nil, func(_ *sql.Tx, s *outboxsql.Session) error {
		return s.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: "row"})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOutboxesOfDifferentPrefixesAreApart(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		other := "shop_"
		if dialect == outboxsql.PostgreSQL {
			other = "shop.penstock_" // a schema of its own
		}
		db := open()
		for _, prefix := range []string{"", other} {
			ob := outboxsql.New(dialect, outboxsql.Config{Prefix: prefix})
			if err := ob.Migrate(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			publish(t, ob, db)
			if b, err := ob.Queue(db).Backlog(t.Context()); err != nil || b.Size != 1 {
				t.Errorf("%q: %+v, %v", prefix, b, err)
			}
		}
	})
}

func TestAPrefixThatIsNoNameIsRefused(t *testing.T) {
	for _, prefix := range []string{"Shop", `a"; drop table x --`, "a.b.c_", strings.Repeat("x", 41)} {
		func() {
			defer func() {
				if r := recover(); r == nil {
					t.Errorf("%q is taken", prefix)
				}
			}()
			outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{Prefix: prefix})
		}()
	}
}

func TestMissingTablesAreNamedWithTheWayOut(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		ob := outboxsql.New(dialect, outboxsql.Config{})
		err := ob.InTx(t.Context(), open(), nil, func(_ *sql.Tx, s *outboxsql.Session) error {
			return s.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: "row"})
		})
		if err == nil || !strings.Contains(err.Error(), "call Migrate") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAJoinedSessionEndsWithItsTransaction(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		for what, end := range map[string]func(*sql.Tx) error{"commit": (*sql.Tx).Commit, "rollback": (*sql.Tx).Rollback} {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			s := ob.Join(tx)
			if err := s.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: what}); err != nil {
				t.Fatal(err)
			}
			if err := end(tx); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.PublishAfterCommit(t.Context(), outboxtest.Happened{Row: "late"}); !errors.Is(err, outbox.ErrSessionDone) {
					t.Errorf("publishing after %s: %v", what, err)
				}
				if err := s.Once(t.Context(), "key"); !errors.Is(err, outbox.ErrSessionDone) {
					t.Errorf("Once after %s: %v", what, err)
				}
			}
		}
		if b, err := ob.Queue(db).Backlog(t.Context()); err != nil || b.Size != 1 {
			t.Errorf("the backlog is %+v, %v", b, err)
		}
	})
}

func TestAJoinedTransactionLearnsOfARepeat(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{nil, outbox.ErrRepeat} {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			s := ob.Join(tx)
			if err := s.Once(t.Context(), "key"); err != want {
				t.Errorf("attempt %d: %v", i, err)
			}
			if err := s.PublishAfterCommit(t.Context(), outboxtest.Happened{}); err != want {
				t.Errorf("attempt %d publishes: %v", i, err)
			}
			tx.Commit()
		}
	})
}

func TestOnlyDeclaredTypesAreEnqueued(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db := open()
		ob := outboxsql.New(dialect, outboxsql.Config{Types: []events.Type{outboxtest.Related{}.EventType()}})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		err := ob.InTx(t.Context(), db, nil, func(_ *sql.Tx, s *outboxsql.Session) error {
			return s.PublishBatchAfterCommit(t.Context(), []events.Event{outboxtest.Related{}, outboxtest.Happened{}})
		})
		if err == nil || !strings.Contains(err.Error(), "outboxtest/HAPPENED") || !strings.Contains(err.Error(), "Config.Types") {
			t.Errorf("got %v", err)
		}
	})
}

// The policies are those of the comment in the script.
func TestRowLevelSecurityLimitsAWriterToItsTypes(t *testing.T) {
	admin := openDB(t, "pgx", postgres.Database(t))
	ob := outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{})
	if err := ob.Migrate(t.Context(), admin); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE ROLE savings_app",
		"GRANT INSERT ON penstock_outbox TO savings_app",
		"ALTER TABLE penstock_outbox ENABLE ROW LEVEL SECURITY",
		"CREATE POLICY savings ON penstock_outbox FOR INSERT TO savings_app WITH CHECK (type LIKE 'outboxtest/REL%')",
	} {
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	as := func(batch ...events.Event) error {
		return ob.InTx(t.Context(), admin, nil, func(tx *sql.Tx, s *outboxsql.Session) error {
			if _, err := tx.Exec("SET LOCAL ROLE savings_app"); err != nil {
				return err
			}
			return s.PublishBatchAfterCommit(t.Context(), batch)
		})
	}
	if err := as(outboxtest.Related{Row: "one"}); err != nil {
		t.Errorf("its own type: %v", err)
	}
	if err := as(outboxtest.Related{Row: "one"}, outboxtest.Related{Row: "two"}); err != nil {
		t.Errorf("its own type, twice: %v", err)
	}
	if err := as(outboxtest.Happened{Row: "other"}); err == nil || !strings.Contains(err.Error(), "row-level security") {
		t.Errorf("another type: %v", err)
	}
}

func TestWhatCannotBeReadIsSetAside(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("INSERT INTO penstock_outbox (event_id, type, detail, enqueued_at) SELECT 'x', 'no type', '{}', enqueued_at FROM (" +
			map[outboxsql.Dialect]string{outboxsql.PostgreSQL: "SELECT now() AS enqueued_at", outboxsql.SQLite: "SELECT 1 AS enqueued_at"}[dialect] + ") t"); err != nil {
			t.Fatal(err)
		}
		publish(t, ob, db)
		q := ob.Queue(db)
		c, err := q.Take(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Messages()) != 1 || len(c.Unreadable()) != 1 {
			t.Fatalf("took %v and %v", c.Messages(), c.Unreadable())
		}
		if err := c.Settle(t.Context(), nil, c.Unreadable()); err != nil {
			t.Fatal(err)
		}
		if b, err := q.Backlog(t.Context()); err != nil || b.Size != 1 || b.SetAside != 1 {
			t.Errorf("the backlog is %+v, %v", b, err)
		}
		for a, err := range q.ListSetAside(t.Context()) {
			if err != nil || a.Key != "no type#x" || len(a.Entries) != 0 || !strings.Contains(a.Reason, "no type") {
				t.Errorf("set aside is %+v, %v", a, err)
			}
		}
		if err := q.PutBack(t.Context(), "no type#x"); err != nil {
			t.Error(err)
		}
	})
}

func TestAnInTxWakesTheRelayOfItsProcess(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		q := ob.Queue(db)
		publish(t, ob, db)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q.Wait(ctx, time.Hour)
		if ctx.Err() != nil {
			t.Error("the relay was not woken")
		}
	})
}

func TestMarksExpire(t *testing.T) {
	databases(t, func(t *testing.T, dialect outboxsql.Dialect, open func() *sql.DB) {
		db, ob := open(), outboxsql.New(dialect, outboxsql.Config{MarkTTL: -time.Second})
		if err := ob.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		once := func() (err error) {
			_ = ob.InTx(t.Context(), db, nil, func(_ *sql.Tx, s *outboxsql.Session) error {
				err = s.Once(t.Context(), "key")
				return err
			})
			return err
		}
		if err := once(); err != nil {
			t.Fatal(err)
		}
		c, err := ob.Queue(db).Take(t.Context(), 1) // a relay cleans up
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Settle(t.Context(), nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := once(); err != nil {
			t.Errorf("after its time the mark still stands: %v", err)
		}
	})
}
