package outboxdynamo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// The attributes of an outbox item.
const (
	keyAttribute    = "pk"     // outbox.Key
	eventsAttribute = "events" // a list of event details, each a JSON text
)

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

// StoreAPI is what the relay's side of the outbox needs of DynamoDB;
// *dynamodb.Client has it.
type StoreAPI interface {
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
}

// Store is the relay's side of the outbox table. It is safe for concurrent
// use.
type Store struct {
	client StoreAPI
	table  string
}

var _ outbox.Store = (*Store)(nil)

// NewStore returns the store in the given outbox table.
func NewStore(client StoreAPI, table string) *Store { return &Store{client, table} }

// Remove implements [outbox.Store].
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
		timer := time.NewTimer(rand.N(50 * time.Millisecond << attempt))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
