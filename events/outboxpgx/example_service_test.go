package outboxpgx_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/events/outboxpgx"
	"github.com/penstock-dev/penstock/events/savings"
)

// service is an HTTP service whose handler writes a row and publishes after
// commit.
type service struct {
	pool *pgxpool.Pool
	ob   *outboxpgx.Outbox
}

func (s *service) withdraw(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Account string
		Amount  float64
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// At the edge, once: on whose behalf it happens. A middleware would do it.
	ctx := events.WithOrigin(r.Context(), events.Origin{CorrelationID: r.Header.Get("X-Request-Id"), UserID: "u-1"})
	enough := true
	err := s.ob.InTx(ctx, s.pool, pgx.TxOptions{}, func(tx pgx.Tx, session *outboxpgx.Session) error {
		tag, err := tx.Exec(ctx, "UPDATE accounts SET balance = balance - $2 WHERE id = $1 AND balance >= $2", in.Account, in.Amount)
		if err != nil {
			return err
		}
		if enough = tag.RowsAffected() == 1; !enough {
			return pgx.ErrNoRows // rolls back
		}
		return session.PublishAfterCommit(ctx, savings.SampleWithdrawal(func(e *savings.Withdrawal) {
			e.AccountID, e.Amount = in.Account, in.Amount
		}))
	})
	switch {
	case !enough:
		http.Error(w, "not enough money", http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		fmt.Fprintln(w, "withdrawn")
	}
}

// A whole application: an HTTP service with PostgreSQL, whose handler writes a
// row and publishes after commit, and the relay beside it.
func Example_service() {
	ctx, stop := context.WithCancel(context.Background())
	pool, err := pgxpool.New(ctx, postgres.Example()) // your database
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE TABLE accounts AS SELECT 'ACC-1' AS id, 150::numeric AS balance"); err != nil {
		log.Fatal(err)
	}
	ob := outboxpgx.New(outboxpgx.Config{Types: []events.Type{savings.Withdrawal{}.EventType()}})
	if err := ob.Migrate(ctx, pool); err != nil {
		log.Fatal(err)
	}

	client := printer{sent: make(chan string)} // eventbridge.NewFromConfig(cfg)
	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: ob.Queue(pool)}
	var running sync.WaitGroup
	running.Go(func() { relay.Run(ctx) })

	mux := http.NewServeMux()
	mux.HandleFunc("POST /withdrawals", (&service{pool, ob}).withdraw)
	server := httptest.NewServer(mux)
	defer server.Close()

	for range 2 {
		response, err := http.Post(server.URL+"/withdrawals", "application/json", strings.NewReader(`{"account": "ACC-1", "amount": 100}`))
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Printf("%s: %s", response.Status, body)
		if response.StatusCode == http.StatusOK {
			fmt.Println("on the bus:", <-client.sent)
		}
	}
	stop()
	running.Wait() // it finishes what it has under way
	metrics, err := relay.Metrics(context.Background())
	fmt.Println("waiting:", metrics.Backlog.Size, err)
	// Output:
	// 200 OK: withdrawn
	// on the bus: savings/SAVINGS_WITHDRAWAL of ACC-1
	// 409 Conflict: not enough money
	// waiting: 0 <nil>
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
