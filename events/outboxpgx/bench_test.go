package outboxpgx_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxpgx"
)

// durable starts a server that has fsync on, as in production, and an outbox.
func durable(b *testing.B) (*outboxpgx.Outbox, *pgxpool.Pool) {
	postgres.Database(b) // skips where there is none
	server, err := postgres.Start(b.Context(), postgres.Options{Fsync: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	dsn, err := server.NewDatabase(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = 50
	p, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	ob := outboxpgx.New(outboxpgx.Config{})
	if err := ob.Migrate(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	if _, err := p.Exec(b.Context(), "CREATE TABLE app (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, row text)"); err != nil {
		b.Fatal(err)
	}
	return ob, p
}

// transact commits a row with n events.
func transact(ctx context.Context, ob *outboxpgx.Outbox, p *pgxpool.Pool, n int) error {
	return ob.InTx(ctx, p, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
		if _, err := tx.Exec(ctx, "INSERT INTO app (row) VALUES ($1)", "row"); err != nil {
			return err
		}
		for range n {
			if err := s.PublishAfterCommit(ctx, outboxtest.Happened{Row: "row"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkTransaction compares a transaction with one event to the same
// without, by one writer and by 16, and with a notification at every commit.
func BenchmarkTransaction(b *testing.B) {
	ob, p := durable(b)
	for _, writers := range []int{1, 16} {
		for _, c := range []struct {
			name   string
			events int
			notify bool
		}{{"without", 0, false}, {"with event", 1, false}, {"with event and NOTIFY", 1, true}} {
			b.Run(fmt.Sprintf("%d writers %s", writers, c.name), func(b *testing.B) {
				if c.notify {
					// The lock that a relay would hold if it slept all the time.
					conn, err := p.Acquire(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					defer conn.Release()
					var locked bool
					if err := conn.QueryRow(b.Context(), fmt.Sprintf("SELECT pg_try_advisory_lock(%d)", outboxpgx.LockKey(ob))).Scan(&locked); err != nil || !locked {
						b.Fatal(locked, err)
					}
					defer conn.Exec(b.Context(), "SELECT pg_advisory_unlock_all()")
				}
				b.SetParallelism((writers + 1) / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := transact(b.Context(), ob, p, c.events); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// sink is a bus that answers after a while, and notes when it got each event.
type sink struct {
	delay time.Duration

	mu   sync.Mutex
	n    int
	at   map[string]time.Time
	done chan struct{}
	want int
}

func (s *sink) PutEntries(ctx context.Context, entries []events.Entry) error {
	now := time.Now()
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.at[e.ID] = now
	}
	if s.n += len(entries); s.n >= s.want && s.want > 0 {
		s.want = 0
		close(s.done)
	}
	return nil
}

// BenchmarkRelay moves a backlog to a bus that answers at once.
func BenchmarkRelay(b *testing.B) {
	ob, p := durable(b)
	const per = 100
	for range b.N/per + 1 {
		if err := transact(b.Context(), ob, p, 0); err != nil {
			b.Fatal(err)
		}
		if err := ob.InTx(b.Context(), p, pgx.TxOptions{}, func(_ pgx.Tx, s *outboxpgx.Session) error {
			batch := make([]events.Event, per)
			for i := range batch {
				batch[i] = outboxtest.Happened{Row: "row"}
			}
			return s.PublishBatchAfterCommit(b.Context(), batch)
		}); err != nil {
			b.Fatal(err)
		}
	}
	bus := &sink{at: map[string]time.Time{}, done: make(chan struct{}), want: b.N}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	b.ResetTimer()
	running.Go(func() { (&outbox.Poller{Bus: bus, Queue: ob.Queue(p)}).Run(ctx) })
	<-bus.done
	b.StopTimer()
	cancel()
	running.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkLatency tells the time from a commit to PutEvents at 200 transactions
// a second, to a bus that answers after 5 ms.
func BenchmarkLatency(b *testing.B) {
	ob, p := durable(b)
	bus := &sink{delay: 5 * time.Millisecond, at: map[string]time.Time{}, done: make(chan struct{}), want: b.N}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() {
		(&outbox.Poller{Bus: bus, Queue: ob.Queue(p), Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	})
	committed := make([]time.Time, b.N)
	ids := make([]string, b.N)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var writers sync.WaitGroup
	for i := range b.N {
		<-tick.C
		writers.Go(func() {
			e := events.Stamp(ctx, outboxtest.Happened{Row: "row"})
			ids[i] = e.ID
			if err := ob.InTx(ctx, p, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
				if _, err := tx.Exec(ctx, "INSERT INTO app (row) VALUES ($1)", "row"); err != nil {
					return err
				}
				return s.PublishAfterCommit(ctx, e)
			}); err != nil {
				b.Error(err)
			}
			committed[i] = time.Now()
		})
	}
	writers.Wait()
	<-bus.done
	cancel()
	running.Wait()
	took := make([]time.Duration, b.N)
	for i, id := range ids {
		took[i] = bus.at[id].Sub(committed[i])
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
}
