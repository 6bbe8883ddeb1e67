package sqltest

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxsql"
	"github.com/penstock-dev/penstock/events/savings"
)

// An application with SQLite, and its relay.
func Example_sqlite() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "app.db")+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE withdrawals (account TEXT, amount REAL)"); err != nil {
		log.Fatal(err)
	}
	ob := outboxsql.New(outboxsql.SQLite, outboxsql.Config{})
	if err := ob.Migrate(ctx, db); err != nil {
		log.Fatal(err)
	}

	client := printer{sent: make(chan string)} // eventbridge.NewFromConfig(cfg)
	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: ob.Queue(db)}
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })
	defer func() { stop(); running.Wait() }()

	err = ob.InTx(ctx, db, nil, func(tx *sql.Tx, s *outboxsql.Session) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO withdrawals VALUES (?, ?)", "ACC-1", 100); err != nil {
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

// A handler that is called twice for the same event acts once. The transaction
// is the caller's own, as with gorm, sqlc or by hand.
func Example_joinOnce() {
	ctx := context.Background()
	db, err := sql.Open("pgx", postgres.Example()) // your PostgreSQL
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	ob := outboxsql.New(outboxsql.PostgreSQL, outboxsql.Config{})
	if err := ob.Migrate(ctx, db); err != nil {
		log.Fatal(err)
	}
	handle := func(eventKey string) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		session := ob.Join(tx)
		if err := session.Once(ctx, eventKey); err != nil {
			return err // outbox.ErrRepeat: rolled back, and handled before
		}
		// … the handler's own writes …
		if err := session.PublishAfterCommit(ctx, savings.SampleFeeCharged()); err != nil {
			return err
		}
		return tx.Commit()
	}
	fmt.Println(handle("withdrawal-fee/withdrawals/01976e5a"))
	fmt.Println(handle("withdrawal-fee/withdrawals/01976e5a"))
	backlog, err := ob.Queue(db).Backlog(ctx)
	fmt.Println("waiting:", backlog.Size, err)
	// Output:
	// <nil>
	// outbox: the mark stands already: this was handled before, so roll the transaction back
	// waiting: 1 <nil>
}

// printer stands in for EventBridge here: it tells what it got.
type printer struct{ sent chan string }

func (p printer) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	for _, e := range in.Entries {
		var detail struct{ Data savings.Withdrawal }
		if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
			return nil, err
		}
		p.sent <- *e.Source + "/" + *e.DetailType + " of " + detail.Data.AccountID
	}
	return &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}, nil
}
