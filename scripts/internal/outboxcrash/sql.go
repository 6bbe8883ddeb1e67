package outboxcrash

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// insertRow takes a transaction's id and its events.
const insertRow = "INSERT INTO crash_rows VALUES ($1, $2)"

// openSQL opens the database of a SQL backend.
func openSQL(s Spec) (*outboxsql.Outbox, *sql.DB, error) {
	if s.Backend == SQLite {
		db, err := sql.Open("sqlite", "file:"+s.Where+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
		return outboxsql.New(outboxsql.SQLite, outboxsql.Config{}), db, err
	}
	db, err := sql.Open("pgx", s.Where)
	return outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{}), db, err
}

// sqlDatabase is the writer's side.
type sqlDatabase struct {
	outbox *outboxsql.Outbox
	db     *sql.DB
}

func (d sqlDatabase) close() { _ = d.db.Close() }

func (d sqlDatabase) inTx(ctx context.Context, fn func(session) error) error {
	return d.outbox.InTx(ctx, d.db, nil, func(tx *sql.Tx, s *outboxsql.Session) error {
		return fn(sqlSession{s, tx})
	})
}

type sqlSession struct {
	*outboxsql.Session
	tx *sql.Tx
}

func (s sqlSession) once(ctx context.Context, key string) error { return s.Once(ctx, key) }

func (s sqlSession) insert(ctx context.Context, r row) error {
	written, err := json.Marshal(r.Events)
	if err != nil {
		return err
	}
	_, err = s.tx.ExecContext(ctx, insertRow, r.ID, string(written))
	return err
}

// sqlLedger is the campaign's side.
type sqlLedger struct {
	spec   Spec
	outbox *outboxsql.Outbox
	db     *sql.DB
	queue  *outboxsql.Queue
}

// newSQLLedger makes the tables.
func newSQLLedger(ctx context.Context, s Spec) (*sqlLedger, error) {
	ob, db, err := openSQL(s)
	if err != nil {
		return nil, err
	}
	if err := ob.Migrate(ctx, db); err != nil {
		_ = db.Close()
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS crash_rows (id text PRIMARY KEY, events text NOT NULL)"); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("making the campaign's table: %w", err)
	}
	return &sqlLedger{s, ob, db, ob.Queue(db)}, nil
}

func (l *sqlLedger) rows(ctx context.Context) (map[string][]writtenEvent, error) {
	result, err := l.db.QueryContext(ctx, "SELECT id, events FROM crash_rows")
	if err != nil {
		return nil, err
	}
	defer result.Close()
	out := map[string][]writtenEvent{}
	for result.Next() {
		var id, text string
		if err := result.Scan(&id, &text); err != nil {
			return nil, err
		}
		var written []writtenEvent
		if err := json.Unmarshal([]byte(text), &written); err != nil {
			return nil, err
		}
		out[id] = written
	}
	return out, result.Err()
}

func (l *sqlLedger) waiting(ctx context.Context) (int, error) {
	backlog, err := l.queue.Backlog(ctx)
	return backlog.Size, err
}

func (l *sqlLedger) setAside(ctx context.Context) ([]outbox.SetAside, error) {
	var out []outbox.SetAside
	for aside, err := range l.queue.ListSetAside(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, aside)
	}
	return out, nil
}

func (l *sqlLedger) close() { _ = l.db.Close() }

// letAMinutePass has the leases of relays that were killed be over, as they are
// after a minute.
func (l *sqlLedger) letAMinutePass(ctx context.Context) error {
	if l.spec.Backend != SQLite {
		return nil // what a relay has taken is free again when its connection ends
	}
	_, err := l.db.ExecContext(ctx, "UPDATE penstock_outbox SET leased_until = leased_until - 60000 WHERE leased_until > 60000")
	return err
}

// openQueue opens the relay's side.
func openQueue(ctx context.Context, s Spec) (outbox.Queue, func(), error) {
	if s.API == pgxAPI {
		d, err := newPgxDatabase(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		return d.outbox.Queue(d.pool), d.close, nil
	}
	ob, db, err := openSQL(s)
	if err != nil {
		return nil, nil, err
	}
	return ob.Queue(db), func() { _ = db.Close() }, nil
}

// openDatabase opens the writer's side.
func openDatabase(ctx context.Context, s Spec) (database, error) {
	switch {
	case s.Backend == DynamoDB:
		return newDynamoDatabase(s), nil
	case s.API == pgxAPI:
		return newPgxDatabase(ctx, s)
	}
	ob, db, err := openSQL(s)
	if err != nil {
		return nil, err
	}
	return sqlDatabase{ob, db}, nil
}
