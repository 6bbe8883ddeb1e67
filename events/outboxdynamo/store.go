package outboxdynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// The attributes of an outbox item.
const (
	keyAttribute    = "pk"     // outbox.Key: the type, and a UUIDv7 of when the item was written
	eventsAttribute = "events" // a list of event details, each a JSON text

	// Of an item that the relay has set aside only: why, and since when, in
	// seconds since 1970. The event source mapping and the relay pass by an
	// item that has the first.
	SetAsideAttribute   = "setAside"
	setAsideAtAttribute = "setAsideAt"
)

// StoreAPI is what the relay's side of the outbox needs of DynamoDB;
// *dynamodb.Client has it.
type StoreAPI interface {
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Store is the relay's side of the outbox table. It is safe for concurrent
// use.
type Store struct {
	client StoreAPI
	table  string
}

var _ outbox.Shelf = (*Store)(nil)

// NewStore returns the store in the given outbox table.
func NewStore(client StoreAPI, table string) *Store { return &Store{client, table} }

// Item is what the outbox table holds: events that wait, or that were set aside.
type Item struct {
	// Message is what was committed. Its Entries are empty if there is an Err.
	outbox.Message
	// Err says why the item cannot be read. No session writes such a one.
	Err error
	// EnqueuedAt is when its transaction was sent, by the writer's clock, to
	// the millisecond. It is the zero time if the key does not tell.
	EnqueuedAt time.Time
	// SetAside is the reason why the item will not be sent, empty if it waits;
	// SetAsideAt is since when, to the second.
	SetAside   string
	SetAsideAt time.Time
}

// Page reads the items that follow the key after, in the table's own order,
// which has no meaning; empty begins at the start. It reads up to 1 MB
// ("Scan", DynamoDB API reference), consistently. next is where the next page
// begins, empty at the end.
func (s *Store) Page(ctx context.Context, after string) (items []Item, next string, err error) {
	in := &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true)}
	if after != "" {
		in.ExclusiveStartKey = itemKey(after)
	}
	out, err := s.client.Scan(ctx, in)
	if err != nil {
		return nil, "", fmt.Errorf("outboxdynamo: reading %s: %w", s.table, err)
	}
	for _, attributes := range out.Items {
		items = append(items, decodeItem(attributes))
	}
	if key, ok := out.LastEvaluatedKey[keyAttribute].(*types.AttributeValueMemberS); ok {
		next = key.Value
	}
	return items, next, nil
}

// ListSetAside implements [outbox.Shelf]. It reads the whole table.
func (s *Store) ListSetAside(ctx context.Context) iter.Seq2[outbox.SetAside, error] {
	return func(yield func(outbox.SetAside, error) bool) {
		for after := ""; ; {
			items, next, err := s.Page(ctx, after)
			if err != nil {
				yield(outbox.SetAside{}, err)
				return
			}
			for _, item := range items {
				if item.SetAside == "" {
					continue
				}
				if !yield(outbox.SetAside{Message: item.Message, Reason: item.SetAside, At: item.SetAsideAt}, nil) {
					return
				}
			}
			if after = next; after == "" {
				return
			}
		}
	}
}

// Backlog tells how much the table holds. It reads the whole of it.
func (s *Store) Backlog(ctx context.Context) (outbox.Backlog, error) {
	var out outbox.Backlog
	for after := ""; ; {
		items, next, err := s.Page(ctx, after)
		if err != nil {
			return outbox.Backlog{}, err
		}
		for _, item := range items {
			size := max(len(item.Entries), 1) // of what cannot be read, one
			if item.SetAside != "" {
				out.SetAside += size
				continue
			}
			out.Size += size
			if !item.EnqueuedAt.IsZero() {
				out.Oldest = max(out.Oldest, time.Since(item.EnqueuedAt))
			}
		}
		if after = next; after == "" {
			return out, nil
		}
	}
}

// maxReasonBytes is how much of a reason is kept.
const maxReasonBytes = 2 << 10

// SetAside keeps an item from being sent, with the reason, until PutBack. An
// item that is not there is not an error: another relay has sent it.
func (s *Store) SetAside(ctx context.Context, key, reason string) error {
	if len(reason) > maxReasonBytes {
		reason = strings.ToValidUTF8(reason[:maxReasonBytes], "") + " …"
	}
	err := s.update(ctx, key, &dynamodb.UpdateItemInput{
		UpdateExpression: aws.String("SET " + SetAsideAttribute + " = :reason, " + setAsideAtAttribute + " = :now"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":reason": &types.AttributeValueMemberS{Value: reason},
			":now":    &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Unix(), 10)},
		},
	})
	if errors.As(err, new(*types.ConditionalCheckFailedException)) {
		return nil
	}
	return err
}

// PutBack implements [outbox.Shelf]: the table's stream hands the item to the
// relay. All of its events are sent, also those that the bus had accepted
// before.
func (s *Store) PutBack(ctx context.Context, key string) error {
	err := s.update(ctx, key, &dynamodb.UpdateItemInput{
		UpdateExpression: aws.String("REMOVE " + SetAsideAttribute + ", " + setAsideAtAttribute),
	})
	if errors.As(err, new(*types.ConditionalCheckFailedException)) {
		return fmt.Errorf("outboxdynamo: %s has no item %s: list what was set aside", s.table, key)
	}
	return err
}

// update changes an item, on the condition that it is there.
func (s *Store) update(ctx context.Context, key string, in *dynamodb.UpdateItemInput) error {
	in.TableName, in.Key = &s.table, itemKey(key)
	in.ConditionExpression = aws.String("attribute_exists(" + keyAttribute + ")")
	if _, err := s.client.UpdateItem(ctx, in); err != nil {
		return fmt.Errorf("outboxdynamo: item %s of %s: %w", key, s.table, err)
	}
	return nil
}

func itemKey(key string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{keyAttribute: &types.AttributeValueMemberS{Value: key}}
}

func encode(m outbox.Message) map[string]types.AttributeValue {
	details := make([]types.AttributeValue, len(m.Entries))
	for i, e := range m.Entries {
		details[i] = &types.AttributeValueMemberS{Value: string(e.Detail)}
	}
	return map[string]types.AttributeValue{
		keyAttribute:    &types.AttributeValueMemberS{Value: m.Key},
		eventsAttribute: &types.AttributeValueMemberL{Value: details},
	}
}

// decodeItem reads an item as a scan shows it.
func decodeItem(attributes map[string]types.AttributeValue) Item {
	var item Item
	if key, ok := attributes[keyAttribute].(*types.AttributeValueMemberS); ok {
		item.Key = key.Value
	}
	item.EnqueuedAt = EnqueuedAt(item.Key)
	if reason, ok := attributes[SetAsideAttribute].(*types.AttributeValueMemberS); ok {
		item.SetAside = reason.Value
	}
	if at, ok := attributes[setAsideAtAttribute].(*types.AttributeValueMemberN); ok {
		if seconds, err := strconv.ParseInt(at.Value, 10, 64); err == nil {
			item.SetAsideAt = time.Unix(seconds, 0)
		}
	}
	list, ok := attributes[eventsAttribute].(*types.AttributeValueMemberL)
	if !ok {
		item.Err = fmt.Errorf("outboxdynamo: item %s has no list %s", item.Key, eventsAttribute)
		return item
	}
	details := make([]string, len(list.Value))
	for i, v := range list.Value {
		detail, ok := v.(*types.AttributeValueMemberS)
		if !ok {
			item.Err = fmt.Errorf("outboxdynamo: item %s: event %d is not a string", item.Key, i)
			return item
		}
		details[i] = detail.Value
	}
	m, err := Decode(item.Key, details)
	item.Entries, item.Err = m.Entries, err
	return item
}

// EnqueuedAt is when the item of a key was written: see [Item].
func EnqueuedAt(key string) time.Time {
	id, err := uuid.Parse(key[strings.LastIndexByte(key, '#')+1:])
	if err != nil || id.Version() != 7 {
		return time.Time{}
	}
	return time.Unix(id.Time().UnixTime())
}

// Decode makes a message of an item's key and event details, as the outbox
// table's stream shows them.
func Decode(key string, details []string) (outbox.Message, error) {
	t, err := outbox.TypeOf(key)
	if err != nil {
		return outbox.Message{}, err
	}
	m := outbox.Message{Key: key, Entries: make([]events.Entry, len(details))}
	for i, detail := range details {
		var d struct {
			Metadata struct {
				ID string `json:"id"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal([]byte(detail), &d); err != nil {
			return outbox.Message{}, fmt.Errorf("outboxdynamo: item %s: event %d is not an event's JSON: %w", key, i, err)
		}
		m.Entries[i] = events.Entry{ID: d.Metadata.ID, Type: t, Detail: []byte(detail)}
	}
	return m, nil
}

// BatchWriteItem takes 25 requests ("BatchWriteItem", DynamoDB API reference).
const maxBatchWrite = 25

// removeConcurrency is how many BatchWriteItem calls of one removal are under
// way at once.
const removeConcurrency = 4

// removeAttempts bounds how often requests that DynamoDB left unprocessed are
// sent again.
const removeAttempts = 6

// Remove deletes messages by key. A key that is no longer there is not an
// error: another relay was faster.
func (s *Store) Remove(ctx context.Context, keys []string) error {
	// BatchWriteItem refuses a request that names an item twice, which a
	// stream does for an item that was written again.
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(removeConcurrency)
	for batch := range slices.Chunk(keys, maxBatchWrite) {
		group.Go(func() error { return s.removeBatch(ctx, batch) })
	}
	return group.Wait()
}

func (s *Store) removeBatch(ctx context.Context, keys []string) error {
	requests := make([]types.WriteRequest, len(keys))
	for i, key := range keys {
		requests[i] = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: map[string]types.AttributeValue{
			keyAttribute: &types.AttributeValueMemberS{Value: key},
		}}}
	}
	for attempt := 1; ; attempt++ {
		out, err := s.client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{s.table: requests},
		})
		if err != nil {
			return err
		}
		requests = out.UnprocessedItems[s.table]
		if len(requests) == 0 {
			return nil
		}
		if attempt == removeAttempts {
			return fmt.Errorf("DynamoDB left %d deletions from %s unprocessed after %d attempts", len(requests), s.table, attempt)
		}
		if !wait(ctx, attempt) {
			return ctx.Err()
		}
	}
}

// wait sleeps before the next attempt: full jitter over 50 ms, doubled each
// time. It reports false if ctx ended first.
func wait(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(rand.N(50 * time.Millisecond << attempt))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
