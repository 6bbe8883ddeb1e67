package main

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
)

// database makes a database with the application's table in it, on the server
// that the measurements share.
func (b *bench) database(ctx context.Context) (dsn string, pool *pgxpool.Pool, err error) {
	if b.server == nil {
		s, err := postgres.Start(ctx, postgres.Options{Fsync: true})
		if err != nil {
			return "", nil, err
		}
		b.server = s
		b.closers = append(b.closers, func() { _ = s.Close() })
	}
	dsn, err = b.server.NewDatabase(ctx)
	if err != nil {
		return "", nil, err
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return "", nil, err
	}
	config.MaxConns = 20
	pool, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return "", nil, err
	}
	b.closers = append(b.closers, pool.Close)
	_, err = pool.Exec(ctx, "CREATE TABLE withdrawals (id bigserial PRIMARY KEY, account text NOT NULL, amount numeric NOT NULL, at timestamptz NOT NULL DEFAULT now())")
	return dsn, pool, err
}

// insertRow is what the application does in its transaction.
const insertRow = "INSERT INTO withdrawals (account, amount) VALUES ('ACC-1001', 250)"
