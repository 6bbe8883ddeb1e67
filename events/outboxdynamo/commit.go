package outboxdynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events/outbox"
)

// commitAttempts bounds how often a transaction is tried that others are in the
// way of.
const commitAttempts = 6

// commit sends the transaction. The session has ended: nothing is added to it
// any more.
func (s *Session) commit(ctx context.Context) error {
	items, err := s.items()
	if err != nil || len(items) == 0 {
		return err
	}
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return fmt.Errorf("outboxdynamo: nothing was committed: %w", context.Cause(ctx))
		}
		_, err := s.outbox.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
			TransactItems: items,
			// One token an attempt: the SDK repeats a lost one with the token
			// it had, and one that DynamoDB answered is a new request.
			ClientRequestToken: aws.String(uuid.NewString()),
		})
		var cancelled *types.TransactionCanceledException
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &cancelled):
			return fmt.Errorf("outboxdynamo: commit: %w", err)
		case s.isRepeat(cancelled.CancellationReasons):
			return nil
		case attempt == commitAttempts || !passes(cancelled.CancellationReasons) || !wait(ctx, attempt):
			return s.cancelled(cancelled.CancellationReasons, err)
		}
	}
}

// items are those of the transaction in their order: the mark of Once, if any,
// what Write was given, the events.
func (s *Session) items() ([]types.TransactWriteItem, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []types.TransactWriteItem
	if s.mark != "" {
		items = append(items, s.outbox.markItem(s.mark))
	}
	total := 0
	for i, w := range s.writes {
		size := sizeOf(w)
		if size > maxItemBytes {
			return nil, fmt.Errorf("outboxdynamo: %s is %d bytes, and a DynamoDB item takes %d: keep the data elsewhere and write a reference to it", describe(i, w), size, maxItemBytes)
		}
		total += size
	}
	items = append(items, s.writes...)
	messages := outbox.Group(s.entries, maxMessageBytes)
	inEvents := 0
	for _, m := range messages {
		// Each write has a key of its own, with the time of the write in it:
		// no item of the outbox is ever overwritten, even if a handler without
		// Once publishes the same event again.
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("outboxdynamo: %w", err)
		}
		m.Key = outbox.Key(m.Entries[0].Type, id.String())
		item := encode(m)
		inEvents += mapSize(item)
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.outbox.config.Table, Item: item}})
	}
	switch total += inEvents; {
	case len(items) > maxTransactItems:
		return nil, fmt.Errorf("outboxdynamo: the transaction has %d items (%d of them events) and DynamoDB takes %d: split it, or publish fewer events in it", len(items), len(messages), maxTransactItems)
	case total > maxTransactBytes:
		return nil, fmt.Errorf("outboxdynamo: the transaction is %d bytes (%d of them events) and DynamoDB takes %d: split it, or publish fewer events in it", total, inEvents, maxTransactBytes)
	}
	return items, nil
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
func (s *Session) isRepeat(reasons []types.CancellationReason) bool {
	return s.mark != "" && len(reasons) > 0 && aws.ToString(reasons[0].Code) == "ConditionalCheckFailed"
}

// passes reports whether every reason is one that goes by itself.
func passes(reasons []types.CancellationReason) bool {
	return len(reasons) > 0 && !slices.ContainsFunc(reasons, func(r types.CancellationReason) bool {
		switch aws.ToString(r.Code) {
		case "None", "TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError":
			return false
		}
		return true
	})
}

// CanceledError is a transaction that DynamoDB cancelled: nothing of it was
// written. It wraps the SDK's *types.TransactionCanceledException, whose
// reasons begin with that of the mark of Once, if any.
type CanceledError struct {
	// Index counts what Write was given, from 0: the first item that is a
	// reason. It is -1 if none of them is, but the mark or an event.
	Index int
	// Reason is why, with the item itself if the write asks for it
	// (ReturnValuesOnConditionCheckFailure).
	Reason types.CancellationReason
	// Err is the SDK's error.
	Err error

	write string
}

func (e *CanceledError) Error() string {
	return fmt.Sprintf("outboxdynamo: commit: %s: %s %s: %v", e.write, aws.ToString(e.Reason.Code), aws.ToString(e.Reason.Message), e.Err)
}

// Unwrap returns the SDK's error.
func (e *CanceledError) Unwrap() error { return e.Err }

// cancelled makes the error of a transaction: it names the first of the user's
// items that is a reason, or else the first other one.
func (s *Session) cancelled(reasons []types.CancellationReason, err error) error {
	first := 0 // of the user's items among the reasons
	if s.mark != "" {
		first = 1
	}
	e := &CanceledError{Index: -1, Err: err, write: "the mark or an event"}
	for i, r := range reasons {
		if code := aws.ToString(r.Code); code == "None" || code == "" {
			continue
		}
		if write := i - first; write >= 0 && write < len(s.writes) {
			e.Index, e.Reason, e.write = write, r, describe(write, s.writes[write])
			break
		}
		if e.Reason.Code == nil {
			e.Reason = r
		}
	}
	return e
}
