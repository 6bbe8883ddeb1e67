package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events/outboxpgx"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// transaction is one of the application's transactions.
type transaction func(context.Context) error

// commits compares a transaction that inserts a row and publishes an event with
// one that inserts the row only.
func commits(ctx context.Context, b *bench) error {
	dsn, pool, err := b.database(ctx)
	if err != nil {
		return err
	}
	ours, err := newPenstock(ctx, pool, accepting{})
	if err != nil {
		return err
	}
	with, without := throughPgx(ours.ob, pool)
	if err := b.commits(ctx, "commit_cost", "the same through pgx, without the event", with, without); err != nil {
		return err
	}
	relayed := moving{mover: ours}
	err = relayed.whileRunning(ctx, func(ctx context.Context) error {
		return b.commits(ctx, "commit_cost_relay", "the same; ours with a relay beside it that moves its events", with, without)
	})
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	with, without = throughSQL(db)
	return b.commits(ctx, "commit_cost_sql", "the same through database/sql, without the event", with, without)
}

func throughPgx(ob *outboxpgx.Outbox, pool *pgxpool.Pool) (with, without transaction) {
	return func(ctx context.Context) error {
			return ob.InTx(ctx, pool, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
				if _, err := tx.Exec(ctx, insertRow); err != nil {
					return err
				}
				return s.PublishAfterCommit(ctx, published{}.Schema())
			})
		}, func(ctx context.Context) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, insertRow)
				return err
			})
		}
}

func throughSQL(db *sql.DB) (with, without transaction) {
	db.SetMaxIdleConns(8) // as many as write at once
	ob := outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{})
	return func(ctx context.Context) error {
			return ob.InTx(ctx, db, nil, func(tx *sql.Tx, s *outboxsql.Session) error {
				if _, err := tx.ExecContext(ctx, insertRow); err != nil {
					return err
				}
				return s.PublishAfterCommit(ctx, published{}.Schema())
			})
		}, func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }() // after a commit it does nothing
			if _, err := tx.ExecContext(ctx, insertRow); err != nil {
				return err
			}
			return tx.Commit()
		}
}

// commits reports what a transaction takes with an event and without, one after
// another and eight at once.
func (b *bench) commits(ctx context.Context, name, peer string, with, without transaction) error {
	for _, writers := range []int{1, 8} {
		// A disk is uneven: many short rounds.
		rates, err := b.scale.finer(10).rates(ctx, side{work: together(with, writers)}, side{work: together(without, writers)})
		if err != nil {
			return err
		}
		milliseconds := func(rate float64) float64 { return 1000 * float64(writers) / rate }
		suffix, at := "", ""
		if writers > 1 {
			suffix, at = fmt.Sprintf("_%d", writers), fmt.Sprintf(", %d at once", writers)
		}
		b.report.add(result{Name: name + suffix, Value: milliseconds(rates[0]), Unit: "ms", Goal: "ratio ≤ 1.3"}.against(peer+at, milliseconds(rates[1])))
	}
	return nil
}

// together does a transaction some times in each of several writers.
func together(do transaction, writers int) func(context.Context) (int, error) {
	const each = 5
	return func(ctx context.Context) (int, error) {
		group, ctx := errgroup.WithContext(ctx)
		for range writers {
			group.Go(func() error {
				for range each {
					if err := do(ctx); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return writers * each, group.Wait()
	}
}
