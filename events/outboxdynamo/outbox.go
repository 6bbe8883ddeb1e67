// Package outboxdynamo is the transactional outbox for applications whose data
// is in DynamoDB.
//
//	ob := outboxdynamo.New(client, outboxdynamo.Config{Table: "shop-prod-outbox", MarksTable: "shop-prod-idempotency"})
//	err := ob.InTx(ctx, func(s *outboxdynamo.Session) error {
//		s.Write(types.TransactWriteItem{Put: …})
//		return s.PublishAfterCommit(ctx, savings.Withdrawal{…})
//	})
//
// One TransactWriteItems call carries the application's writes and the events.
// The outbox table's stream hands committed events to the relay
// (functions/system/outbox-relay), which publishes and then removes them.
package outboxdynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/penstock-dev/penstock/events"
)

// API is what a session and its store need of DynamoDB; *dynamodb.Client has
// it.
type API interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// Config names the tables.
type Config struct {
	// Table is the outbox table; its partition key is the string pk.
	Table string
	// MarksTable holds the marks of [Session.Once]; its partition key is the
	// string pk and its expiry attribute is expires. It may be empty if Once
	// is never used.
	MarksTable string
	// MarkTTL is how long a mark is kept: longer than an event can come back.
	// The default, used for 0, is 30 days: four in the queue, fourteen in the
	// DLQ, and time for a redrive.
	MarkTTL time.Duration
	// Validator, if there is one, checks the data of every event against the
	// schema of its type. One that violates it is an *[events.InvalidError]
	// where it is published, while the transaction can still be rolled back.
	Validator events.Validator
}

// Outbox opens sessions. It is safe for concurrent use.
type Outbox struct {
	client API
	config Config
}

// New returns the outbox in the given tables.
func New(client API, config Config) *Outbox {
	if config.MarkTTL == 0 {
		config.MarkTTL = 30 * 24 * time.Hour
	}
	return &Outbox{client, config}
}

// InTx runs fn and then commits, in one TransactWriteItems call, everything
// that fn wrote and published. If fn fails or panics nothing is written, and
// its error is returned as it is. A transaction that Once recognises as a
// repeat writes nothing and is no error. One that DynamoDB cancelled is a
// *[CanceledError]; if only another transaction on the same items was in the
// way, or too many requests, InTx has tried again for about a second before.
//
// A lost answer is asked for again by the SDK, with the same
// ClientRequestToken, and so is neither a second commit nor a failure. If an
// error says that ctx ended or that DynamoDB could not be reached, the
// transaction may have been committed nevertheless, whole, its events too.
//
// A transaction takes 100 items and 4 MB ("Amazon DynamoDB Transactions: How
// it works"), of which the events need one item for every 392 KB of a type,
// and Once one. What is above a limit is an error before anything is sent.
func (o *Outbox) InTx(ctx context.Context, fn func(*Session) error) error {
	s := &Session{outbox: o}
	defer s.end()
	if err := fn(s); err != nil {
		return err
	}
	s.end()
	return s.commit(ctx)
}
