package outboxcrash

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events/outboxpgx"
)

// pgxDatabase is the writer's side.
type pgxDatabase struct {
	outbox *outboxpgx.Outbox
	pool   *pgxpool.Pool
}

func newPgxDatabase(ctx context.Context, s Spec) (pgxDatabase, error) {
	pool, err := pgxpool.New(ctx, s.Where)
	return pgxDatabase{outboxpgx.New(outboxpgx.Config{}), pool}, err
}

func (d pgxDatabase) close() { d.pool.Close() }

func (d pgxDatabase) inTx(ctx context.Context, fn func(session) error) error {
	return d.outbox.InTx(ctx, d.pool, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
		return fn(pgxSession{s, tx})
	})
}

type pgxSession struct {
	*outboxpgx.Session
	tx pgx.Tx
}

func (s pgxSession) once(ctx context.Context, key string) error { return s.Once(ctx, key) }

func (s pgxSession) insert(ctx context.Context, r row) error {
	written, err := json.Marshal(r.Events)
	if err != nil {
		return err
	}
	_, err = s.tx.Exec(ctx, insertRow, r.ID, string(written))
	return err
}
