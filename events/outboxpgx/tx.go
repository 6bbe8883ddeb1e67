package outboxpgx

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// tx is the transaction of an InTx. It sends the events in one round trip with
// the commit, so that a transaction takes no more round trips with an event than
// without.
type tx struct {
	pgx.Tx
	release func()
	done    atomic.Bool
}

// begin begins a transaction on a connection that it knows.
func begin(ctx context.Context, db Beginner, opts pgx.TxOptions) (*tx, error) {
	if pool, ok := db.(*pgxpool.Pool); ok {
		// A transaction of the pool's would give the connection back only with a
		// statement of its own.
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		inner, err := conn.BeginTx(ctx, opts)
		if err != nil {
			conn.Release()
			return nil, err
		}
		return &tx{Tx: inner, release: conn.Release}, nil
	}
	inner, err := db.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &tx{Tx: inner, release: func() {}}, nil
}

// commit sends what batch holds and commits, in one round trip.
func (t *tx) commit(ctx context.Context, batch *pgx.Batch) error {
	if batch.Len() == 0 {
		return t.Commit(ctx)
	}
	if t.done.Load() {
		return pgx.ErrTxClosed
	}
	batch.Queue("commit")
	results := t.Tx.SendBatch(ctx, batch)
	var err error
	for range batch.Len() {
		tag, execErr := results.Exec()
		if execErr == nil && tag.String() == "ROLLBACK" {
			execErr = pgx.ErrTxCommitRollback
		}
		err = errors.Join(err, execErr)
		if err != nil {
			break
		}
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		t.done.Store(true)
	}
	return err
}

// end rolls back what has not ended, and gives up the connection.
func (t *tx) end(ctx context.Context) {
	_ = t.Rollback(ctx)
	t.release()
}

// The methods of a pgx.Tx that must not work once the transaction has ended.

func (t *tx) Commit(ctx context.Context) error {
	if t.done.Swap(true) {
		return pgx.ErrTxClosed
	}
	return t.Tx.Commit(ctx)
}

func (t *tx) Rollback(ctx context.Context) error {
	if t.done.Swap(true) {
		return pgx.ErrTxClosed
	}
	return t.Tx.Rollback(ctx)
}

func (t *tx) Begin(ctx context.Context) (pgx.Tx, error) {
	if t.done.Load() {
		return nil, pgx.ErrTxClosed
	}
	return t.Tx.Begin(ctx)
}

func (t *tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if t.done.Load() {
		return pgconn.CommandTag{}, pgx.ErrTxClosed
	}
	return t.Tx.Exec(ctx, sql, args...)
}

func (t *tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if t.done.Load() {
		return closed{}, pgx.ErrTxClosed
	}
	return t.Tx.Query(ctx, sql, args...)
}

func (t *tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if t.done.Load() {
		return closed{}
	}
	return t.Tx.QueryRow(ctx, sql, args...)
}

func (t *tx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if t.done.Load() {
		return closedBatch{}
	}
	return t.Tx.SendBatch(ctx, b)
}

func (t *tx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource) (int64, error) {
	if t.done.Load() {
		return 0, pgx.ErrTxClosed
	}
	return t.Tx.CopyFrom(ctx, table, columns, source)
}

func (t *tx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if t.done.Load() {
		return nil, pgx.ErrTxClosed
	}
	return t.Tx.Prepare(ctx, name, sql)
}

// closed are the rows of a transaction that has ended.
type closed struct{}

func (closed) Close()                                       {}
func (closed) Err() error                                   { return pgx.ErrTxClosed }
func (closed) CommandTag() pgconn.CommandTag                { return pgconn.CommandTag{} }
func (closed) FieldDescriptions() []pgconn.FieldDescription { return nil }
func (closed) Next() bool                                   { return false }
func (closed) Scan(...any) error                            { return pgx.ErrTxClosed }
func (closed) Values() ([]any, error)                       { return nil, pgx.ErrTxClosed }
func (closed) RawValues() [][]byte                          { return nil }
func (closed) Conn() *pgx.Conn                              { return nil }

// closedBatch is the answer to a batch in a transaction that has ended.
type closedBatch struct{}

func (closedBatch) Exec() (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, pgx.ErrTxClosed
}
func (closedBatch) Query() (pgx.Rows, error) { return closed{}, pgx.ErrTxClosed }
func (closedBatch) QueryRow() pgx.Row        { return closed{} }
func (closedBatch) Close() error             { return pgx.ErrTxClosed }
