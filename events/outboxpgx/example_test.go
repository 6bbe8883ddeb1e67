package outboxpgx_test

import (
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxpgx"
	"github.com/penstock-dev/penstock/events/savings"
)

// A transaction writes a row and publishes an event; a relay beside it hands the
// event to the bus once the transaction has committed.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	pool, err := pgxpool.New(ctx, postgres.Example()) // your database
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE TABLE withdrawals (account text, amount numeric)"); err != nil {
		log.Fatal(err)
	}
	ob := outboxpgx.New(outboxpgx.Config{})
	if err := ob.Migrate(ctx, pool); err != nil {
		log.Fatal(err)
	}

	client := printer{sent: make(chan string)} // eventbridge.NewFromConfig(cfg)
	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: ob.Queue(pool)}
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	defer func() { stop(); running.Wait() }()

	err = ob.InTx(ctx, pool, pgx.TxOptions{}, func(tx pgx.Tx, s *outboxpgx.Session) error {
		if _, err := tx.Exec(ctx, "INSERT INTO withdrawals VALUES ($1, $2)", "ACC-1", 100); err != nil {
			return err
		}
		return s.PublishAfterCommit(ctx, savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = "ACC-1" }))
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-client.sent)
	// Output: savings/SAVINGS_WITHDRAWAL of ACC-1
}

// Whoever begins transactions in another way joins them: with sqlc's queries for
// one, which take the same tx.
func ExampleOutbox_Join() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, postgres.Example())
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	ob := outboxpgx.New(outboxpgx.Config{})
	if err := ob.Migrate(ctx, pool); err != nil {
		log.Fatal(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// queries := db.New(tx) …
		return ob.Join(tx).PublishAfterCommit(ctx, savings.SampleWithdrawal())
	})
	if err != nil {
		log.Fatal(err)
	}
	backlog, err := ob.Queue(pool).Backlog(ctx)
	fmt.Println(backlog.Size, "event waits for a relay;", err)
	// Output: 1 event waits for a relay; <nil>
}
