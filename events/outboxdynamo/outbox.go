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
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// DynamoDB's limits ("Quotas in Amazon DynamoDB").
const (
	maxTransactItems = 100
	maxItemBytes     = 400 << 10
)

// maxMessageBytes is how much event detail shares one item: the item's limit
// less room for its key and attribute names.
const maxMessageBytes = maxItemBytes - 8<<10

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

// Session collects the writes and the events of one transaction. It belongs to
// one goroutine, and ends with the InTx that made it.
type Session struct {
	outbox  *Outbox
	writes  []types.TransactWriteItem
	entries []events.Entry
	mark    string
	done    bool
}

var _ events.AfterCommit = (*Session)(nil)

// InTx runs fn and then commits, in one TransactWriteItems call, everything
// that fn wrote and published. If fn fails nothing is written and its error is
// returned as it is. If the transaction is cancelled the error is the SDK's
// *types.TransactionCanceledException, whose reasons follow the order of
// Write (after the mark of Once, if any). A transaction that Once recognises
// as a repeat writes nothing and is no error.
//
// A transaction takes 100 items, of which the events need one for every 392 KB
// of a type, and Once one.
func (o *Outbox) InTx(ctx context.Context, fn func(*Session) error) error {
	s := &Session{outbox: o}
	defer func() { s.done = true }()
	if err := fn(s); err != nil {
		return err
	}
	return s.commit(ctx)
}

// Write adds items to the transaction, in order: puts, updates, deletes and
// condition checks. Nothing is sent before fn returns.
func (s *Session) Write(items ...types.TransactWriteItem) { s.writes = append(s.writes, items...) }

// Once makes the transaction happen at most once for the event key: its mark
// is written in the same transaction, and where the mark already stands,
// nothing is. A session takes one mark.
func (s *Session) Once(eventKey string) error {
	switch {
	case s.done:
		return outbox.ErrSessionDone
	case s.outbox.config.MarksTable == "":
		return errors.New("outboxdynamo: Once needs Config.MarksTable")
	case eventKey == "":
		return errors.New("outboxdynamo: Once needs an event key")
	case s.mark != "" && s.mark != eventKey:
		return fmt.Errorf("outboxdynamo: the session already has the mark %q: use one session for each event", s.mark)
	}
	s.mark = eventKey
	return nil
}

// PublishAfterCommit implements [events.AfterCommit].
func (s *Session) PublishAfterCommit(ctx context.Context, e events.Event) error {
	return s.PublishBatchAfterCommit(ctx, []events.Event{e})
}

// PublishBatchAfterCommit implements [events.AfterCommit].
func (s *Session) PublishBatchAfterCommit(ctx context.Context, batch []events.Event) error {
	if s.done {
		return outbox.ErrSessionDone
	}
	entries, err := events.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(e.Detail) > maxMessageBytes {
			return fmt.Errorf("outboxdynamo: event %s %s is %d bytes, and a DynamoDB item takes %d: publish a reference to the data instead", e.Type, e.ID, len(e.Detail), maxMessageBytes)
		}
	}
	s.entries = append(s.entries, entries...)
	return nil
}

func (s *Session) commit(ctx context.Context) error {
	var items []types.TransactWriteItem
	if s.mark != "" {
		items = append(items, s.outbox.markItem(s.mark))
	}
	items = append(items, s.writes...)
	for _, m := range outbox.Group(s.entries, maxMessageBytes) {
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.outbox.config.Table, Item: encode(m)}})
	}
	if len(items) == 0 {
		return nil
	}
	if len(items) > maxTransactItems {
		return fmt.Errorf("outboxdynamo: the transaction has %d items (%d of them events) and DynamoDB takes %d: split it, or publish fewer events in it", len(items), len(items)-len(s.writes), maxTransactItems)
	}
	_, err := s.outbox.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
	if s.mark != "" && isRepeat(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("outboxdynamo: commit: %w", err)
	}
	return nil
}

func (o *Outbox) markItem(eventKey string) types.TransactWriteItem {
	expires := time.Now().Add(o.config.MarkTTL).Unix()
	return types.TransactWriteItem{Put: &types.Put{
		TableName: &o.config.MarksTable,
		Item: map[string]types.AttributeValue{
			"pk":      &types.AttributeValueMemberS{Value: eventKey},
			"expires": &types.AttributeValueMemberN{Value: strconv.FormatInt(expires, 10)},
		},
		ConditionExpression: aws.String("attribute_not_exists(pk)"),
	}}
}

// isRepeat reports whether a transaction was cancelled because its mark, the
// first item, was already there.
func isRepeat(err error) bool {
	var cancelled *types.TransactionCanceledException
	return errors.As(err, &cancelled) && len(cancelled.CancellationReasons) > 0 &&
		aws.ToString(cancelled.CancellationReasons[0].Code) == "ConditionalCheckFailed"
}
