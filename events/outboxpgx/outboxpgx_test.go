package outboxpgx_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxpgx"
)

func TestConformance(t *testing.T) {
	outboxtest.Run(t, outboxtest.Backend{Exclusive: true, Open: func(t testing.TB) outboxtest.Store { return open(t) }})
}

// store is an outbox, and the application's table.
type store struct {
	outboxtest.Interceptor
	*outboxpgx.Queue
	ob   *outboxpgx.Outbox
	pool *pgxpool.Pool
}

func open(t testing.TB) *store {
	t.Helper()
	s := &store{ob: outboxpgx.New(outboxpgx.Config{})}
	s.pool = pool(t, postgres.Database(t), &s.Interceptor)
	s.Queue = s.ob.Queue(s.pool)
	if err := s.ob.Migrate(t.Context(), s.pool); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), "CREATE TABLE app (row text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return s
}

// pool opens a database through connections whose steps are intercepted.
func pool(t testing.TB, dsn string, steps *outboxtest.Interceptor) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 30
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return steps.Conn(c), nil
	}
	p, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func (s *store) InTx(ctx context.Context, fn func(outboxtest.Session) error) error {
	return s.ob.InTx(ctx, s.pool, pgx.TxOptions{}, func(tx pgx.Tx, session *outboxpgx.Session) error {
		return fn(&joined{session, tx})
	})
}

type joined struct {
	*outboxpgx.Session
	tx pgx.Tx
}

func (j *joined) Write(ctx context.Context, row string) error {
	_, err := j.tx.Exec(ctx, "INSERT INTO app (row) VALUES ($1)", row)
	return err
}

func (s *store) Rows(ctx context.Context) ([]string, error) {
	rows, err := s.pool.Query(ctx, "SELECT row FROM app")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s *store) Relay(bus outbox.Bus) func(context.Context) {
	return (&outbox.Poller{Bus: bus, Queue: s.ob.Queue(s.pool), Batch: 50, PollInterval: 20 * time.Millisecond,
		MaxBackoff: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}).Run
}
