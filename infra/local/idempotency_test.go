package local_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/idempotency"
	"github.com/penstock-dev/penstock/functions/handler/idempotency/storetest"
)

// Marks in the table that is provisioned for them, with the real SDK.

const marksTable = "penstock-local-idempotency"

func TestMarksAreKeptInDynamoDB(t *testing.T) {
	_, db := startOutbox(t)
	t.Run("it passes the tests of stores", func(t *testing.T) {
		storetest.Run(t, idempotency.NewDynamoDB(db, marksTable), "fee/")
	})
	t.Run("of concurrent invocations one handles an event", func(t *testing.T) { oneOfMany(t, db) })
	t.Run("a lost answer changes nothing", func(t *testing.T) { lostAnswer(t, db) })
	t.Run("a lock is not taken for the mark of Once", func(t *testing.T) { besideOnce(t, db) })
}

func oneOfMany(t *testing.T, db *dynamodb.Client) {
	var (
		mu   sync.Mutex
		paid = map[string]int{}
	)
	pay := func(_ context.Context, m *handler.Message[savings.Withdrawal]) error {
		mu.Lock()
		defer mu.Unlock()
		paid[m.Metadata.ID]++
		return nil
	}
	f := handlertest.New(t, handler.Each(pay, handler.Use(idempotency.New(idempotency.NewDynamoDB(db, marksTable)))))
	var batch []events.Event
	for range 25 {
		batch = append(batch, events.Stamp(t.Context(), savings.SampleWithdrawal()))
	}
	twice := append(slices.Clip(batch), batch[0])
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for _, o := range f.Send(twice...).Outcomes {
				if o.Outcome == "permanent" {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wait.Wait()
	if len(paid) != len(batch) {
		t.Errorf("%d of %d were paid", len(paid), len(batch))
	}
	for id, n := range paid {
		if n != 1 {
			t.Errorf("%s was paid %d times", id, n)
		}
	}
	for _, o := range f.Send(batch...).Outcomes {
		if o.Outcome != "duplicate" {
			t.Errorf("afterwards: %+v", o)
		}
	}
}

// lossy is a client whose first answer of every call is lost, as if the
// connection had broken: the write has happened, and the SDK repeats it.
type lossy struct {
	*dynamodb.Client
	calls atomic.Int64
}

func (l *lossy) PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	if _, err := l.Client.PutItem(ctx, in, opts...); err != nil {
		return nil, err
	}
	l.calls.Add(1)
	return l.Client.PutItem(ctx, in, opts...)
}

func lostAnswer(t *testing.T, db *dynamodb.Client) {
	client := &lossy{Client: db}
	fail := true
	f := handlertest.New(t, handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error {
		if fail {
			return errors.New("no")
		}
		return nil
	}, handler.Use(idempotency.New(idempotency.NewDynamoDB(client, marksTable)))))
	a := events.Stamp(t.Context(), savings.SampleWithdrawal())
	f.Send(a).RequireOutcomes("failed")
	fail = false
	f.Send(a).RequireHandled()
	if client.calls.Load() != 4 {
		t.Errorf("%d writes, want lock, release, lock and mark", client.calls.Load())
	}
}

// A function may guard itself and also use Once for what shares its transaction:
// the lock of the one is no mark of the other.
func besideOnce(t *testing.T, db *dynamodb.Client) {
	outbox := outboxdynamo.New(db, outboxConfig)
	store := idempotency.NewDynamoDB(db, marksTable)
	a := events.Stamp(t.Context(), savings.SampleWithdrawal())
	f := handlertest.New(t, handler.Each(func(ctx context.Context, m *handler.Message[savings.Withdrawal]) error {
		return outbox.InTx(ctx, func(s *outboxdynamo.Session) error {
			return errors.Join(s.Once(m.EventKey()), s.Write(types.TransactWriteItem{Put: &types.Put{
				TableName: aws.String("penstock-local-ledger"),
				Item: map[string]types.AttributeValue{
					"account": &types.AttributeValueMemberS{Value: "A"},
					"id":      &types.AttributeValueMemberS{Value: fmt.Sprint(time.Now().UnixNano())},
				},
			}}))
		})
	}, handler.Use(idempotency.New(store))))
	f.Send(a).RequireHandled()
	f.Send(a).RequireOutcomes("duplicate")
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("penstock-local-ledger")})
	if err != nil || out.Count != 1 {
		t.Errorf("the ledger has %d entries, want 1: %v", out.Count, err)
	}
}
