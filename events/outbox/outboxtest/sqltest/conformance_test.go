package sqltest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"log/slog"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

func TestConformanceOnPostgreSQL(t *testing.T) {
	outboxtest.Run(t, outboxtest.Backend{Exclusive: true, Open: func(t testing.TB) outboxtest.Store {
		s := &store{insert: "INSERT INTO app (row) VALUES ($1)"}
		return open(t, s, outboxsql.PostgreSQL, openPostgres(t, postgres.Database(t), &s.Interceptor))
	}})
}

func TestConformanceOnSQLite(t *testing.T) {
	outboxtest.Run(t, outboxtest.Backend{Exclusive: true, Open: func(t testing.TB) outboxtest.Store {
		s := &store{insert: "INSERT INTO app (row) VALUES (?)"}
		return open(t, s, outboxsql.SQLite, openSQLite(t, &s.Interceptor))
	}})
}

// openPostgres opens a database through connections whose steps are
// intercepted.
func openPostgres(t testing.TB, dsn string, steps *outboxtest.Interceptor) *sql.DB {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return steps.Conn(c), nil
	}
	return stdlib.OpenDB(*config)
}

// sqliteDSN is how the documentation of outboxsql says to open SQLite.
const sqliteDSN = "?_txlock=immediate&_pragma=busy_timeout(20000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"

// openSQLite opens a new database in a file.
func openSQLite(t testing.TB, steps *outboxtest.Interceptor) *sql.DB {
	t.Helper()
	return sql.OpenDB(&connector{"file:" + filepath.Join(t.TempDir(), "app.db") + sqliteDSN, steps})
}

// store is an outbox in a database of database/sql's, and the application's table.
type store struct {
	outboxtest.Interceptor
	*outboxsql.Queue
	ob     *outboxsql.Outbox
	db     *sql.DB
	insert string
}

func open(t testing.TB, s *store, dialect outboxsql.Dialect, db *sql.DB) *store {
	t.Helper()
	t.Cleanup(func() { db.Close() })
	s.db = db
	s.ob = outboxsql.New(dialect, outboxsql.Config{Lease: 5 * time.Second})
	s.Queue = s.ob.Queue(db)
	if err := s.ob.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE app (row TEXT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *store) InTx(ctx context.Context, fn func(outboxtest.Session) error) error {
	return s.ob.InTx(ctx, s.db, nil, func(tx *sql.Tx, session *outboxsql.Session) error {
		return fn(&joined{session, tx, s.insert})
	})
}

type joined struct {
	*outboxsql.Session
	tx     *sql.Tx
	insert string
}

var _ events.AfterCommit = (*joined)(nil)

func (j *joined) Write(ctx context.Context, row string) error {
	_, err := j.tx.ExecContext(ctx, j.insert, row)
	return err
}

func (s *store) Rows(ctx context.Context) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT row FROM app")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

func (s *store) Relay(bus outbox.Bus) func(context.Context) {
	return (&outbox.Poller{Bus: bus, Queue: s.ob.Queue(s.db), Batch: 50, PollInterval: 20 * time.Millisecond,
		MaxBackoff: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}).Run
}

// connector opens SQLite connections whose statements are steps.
type connector struct {
	dsn   string
	steps *outboxtest.Interceptor
}

func (c *connector) Driver() driver.Driver { return &sqlite.Driver{} }

func (c *connector) Connect(context.Context) (driver.Conn, error) {
	inner, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &liteConn{inner.(sqliteConn), c.steps}, nil
}

// sqliteConn is what database/sql uses of modernc.org/sqlite's connections.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
}

type liteConn struct {
	sqliteConn
	steps *outboxtest.Interceptor
}

// around makes two steps of a call: before it is made, and before its answer is
// known.
func around[T any](steps *outboxtest.Interceptor, call func() (T, error)) (T, error) {
	if err := steps.Step(); err != nil {
		var none T
		return none, err
	}
	result, err := call()
	if err == nil {
		err = steps.Step()
	}
	return result, err
}

func (c *liteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return around(c.steps, func() (driver.Result, error) { return c.sqliteConn.ExecContext(ctx, query, args) })
}

func (c *liteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := around(c.steps, func() (driver.Rows, error) { return c.sqliteConn.QueryContext(ctx, query, args) })
	if err != nil && rows != nil {
		rows.Close()
	}
	return rows, err
}

func (c *liteConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.steps.Step(); err != nil {
		return nil, err
	}
	tx, err := c.sqliteConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &liteTx{tx, c.steps}, nil
}

type liteTx struct {
	driver.Tx
	steps *outboxtest.Interceptor
}

func (t *liteTx) Commit() error {
	if err := t.steps.Step(); err != nil {
		t.Tx.Rollback() // as a process that ended would have
		return err
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return t.steps.Step()
}
