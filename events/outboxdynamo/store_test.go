package outboxdynamo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events/outboxdynamo"
)

// table deletes items, and leaves unprocessed what left says.
type table struct {
	outboxdynamo.StoreAPI // what is not used

	left func(call int, key string) bool
	err  error

	mu      sync.Mutex
	calls   int
	removed []string
}

func (s *table) BatchWriteItem(_ context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return nil, s.err
	}
	requests := in.RequestItems["outbox"]
	if len(requests) == 0 || len(requests) > 25 || len(in.RequestItems) != 1 {
		return nil, fmt.Errorf("ValidationException: %d requests in %d tables", len(requests), len(in.RequestItems))
	}
	out := &dynamodb.BatchWriteItemOutput{}
	var seen []string
	for _, r := range requests {
		key := r.DeleteRequest.Key["pk"].(*types.AttributeValueMemberS).Value
		if slices.Contains(seen, key) {
			return nil, errors.New("ValidationException: Provided list of item keys contains duplicates")
		}
		seen = append(seen, key)
		if s.left != nil && s.left(s.calls, key) {
			if out.UnprocessedItems == nil {
				out.UnprocessedItems = map[string][]types.WriteRequest{}
			}
			out.UnprocessedItems["outbox"] = append(out.UnprocessedItems["outbox"], r)
			continue
		}
		s.removed = append(s.removed, key)
	}
	return out, nil
}

func keys(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("savings/FEE_CHARGED#%03d", i)
	}
	return out
}

func TestRemoveDeletesEveryKeyOnce(t *testing.T) {
	for _, n := range []int{0, 1, 25, 26, 60} {
		s := &table{}
		twice := append(keys(n), keys(n)...)
		if err := outboxdynamo.NewStore(s, "outbox").Remove(t.Context(), twice); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(s.removed); !slices.Equal(s.removed, keys(n)) {
			t.Errorf("of %d keys, removed %v", n, s.removed)
		}
		if want := (n + 24) / 25; s.calls != want {
			t.Errorf("%d keys in %d calls, want %d", n, s.calls, want)
		}
	}
}

func TestWhatDynamoDBLeavesIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &table{left: func(call int, key string) bool { return call < 4 && strings.HasSuffix(key, "1") }}
		if err := outboxdynamo.NewStore(s, "outbox").Remove(t.Context(), keys(10)); err != nil {
			t.Fatal(err)
		}
		if slices.Sort(s.removed); !slices.Equal(s.removed, keys(10)) {
			t.Errorf("removed %v", s.removed)
		}
	})
}

func TestRemoveGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(int, string) bool { return true }
		s := &table{left: never}
		err := outboxdynamo.NewStore(s, "outbox").Remove(t.Context(), keys(2))
		if err == nil || err.Error() != "DynamoDB left 2 deletions from outbox unprocessed after 6 attempts" {
			t.Errorf("got %v", err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		if err := outboxdynamo.NewStore(&table{left: never}, "outbox").Remove(ctx, keys(2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its context ended: got %v", err)
		}

		denied := errors.New("AccessDeniedException")
		s = &table{err: denied}
		if err := outboxdynamo.NewStore(s, "outbox").Remove(t.Context(), keys(20)); !errors.Is(err, denied) || s.calls != 1 {
			t.Errorf("got %v after %d calls", err, s.calls)
		}
	})
}

// items answers scans and updates.
type items struct {
	outboxdynamo.StoreAPI

	pages   []*dynamodb.ScanOutput
	scans   []*dynamodb.ScanInput
	updates []*dynamodb.UpdateItemInput
	err     error
}

func (s *items) Scan(_ context.Context, in *dynamodb.ScanInput, _ ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	s.scans = append(s.scans, in)
	if s.err != nil {
		return nil, s.err
	}
	return s.pages[len(s.scans)-1], nil
}

func (s *items) UpdateItem(_ context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	s.updates = append(s.updates, in)
	return &dynamodb.UpdateItemOutput{}, s.err
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func item(key string, more ...any) map[string]types.AttributeValue {
	out := map[string]types.AttributeValue{
		"pk":     str(key),
		"events": &types.AttributeValueMemberL{Value: []types.AttributeValue{str(`{"metadata": {"id": "1"}, "data": {}}`)}},
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1].(types.AttributeValue)
	}
	return out
}

func TestAPageTellsWhatWaitsSinceWhenAndWhatWasSetAside(t *testing.T) {
	const key = "savings/FEE_CHARGED#01976e5a-8c00-7000-8000-000000000001"
	s := &items{pages: []*dynamodb.ScanOutput{{
		Items: []map[string]types.AttributeValue{
			item(key),
			item("savings/FEE_CHARGED#2", "setAside", str("MalformedDetail"), "setAsideAt", &types.AttributeValueMemberN{Value: "1750000000"}),
			item("savings/FEE_CHARGED#3", "events", str("x")),
			item("savings/FEE_CHARGED#4", "events", &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberN{Value: "1"}}}),
			item("5"),
		},
		LastEvaluatedKey: map[string]types.AttributeValue{"pk": str("5")},
	}}}
	got, next, err := outboxdynamo.NewStore(s, "outbox").Page(t.Context(), "0")
	if err != nil || next != "5" || len(got) != 5 {
		t.Fatalf("got %v, next %q, %v", got, next, err)
	}
	if in := s.scans[0]; *in.TableName != "outbox" || !*in.ConsistentRead || text(t, in.ExclusiveStartKey["pk"]) != "0" {
		t.Errorf("scan %+v", in)
	}
	if want := time.UnixMilli(0x01976e5a8c00); got[0].Key != key || !got[0].EnqueuedAt.Equal(want) || len(got[0].Entries) != 1 || got[0].Entries[0].ID != "1" || got[0].SetAside != "" {
		t.Errorf("the first is %+v, want one enqueued at %v", got[0], want)
	}
	if got[1].SetAside != "MalformedDetail" || !got[1].SetAsideAt.Equal(time.Unix(1_750_000_000, 0)) || !got[1].EnqueuedAt.IsZero() || len(got[1].Entries) != 1 {
		t.Errorf("the second is %+v", got[1])
	}
	for i, want := range []string{"has no list events", "event 0 is not a string", "does not begin with an event type"} {
		if one := got[2+i]; one.Key == "" || one.Err == nil || !strings.Contains(one.Err.Error(), want) {
			t.Errorf("item %d is %+v, want an error with %q", 2+i, one, want)
		}
	}
}

func TestWhatWasSetAsideIsListedOverAllPages(t *testing.T) {
	aside := func(key string) map[string]types.AttributeValue { return item(key, "setAside", str("no")) }
	pages := []*dynamodb.ScanOutput{
		{Items: []map[string]types.AttributeValue{aside("savings/A#1"), item("savings/A#2")}, LastEvaluatedKey: map[string]types.AttributeValue{"pk": str("savings/A#2")}},
		{Items: []map[string]types.AttributeValue{aside("savings/A#3")}},
	}
	var keys []string
	for one, err := range outboxdynamo.NewStore(&items{pages: pages}, "outbox").ListSetAside(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, one.Key)
	}
	if !slices.Equal(keys, []string{"savings/A#1", "savings/A#3"}) {
		t.Errorf("got %v", keys)
	}
	denied := errors.New("AccessDeniedException")
	for _, err := range outboxdynamo.NewStore(&items{err: denied}, "outbox").ListSetAside(t.Context()) {
		if !errors.Is(err, denied) {
			t.Errorf("got %v", err)
		}
	}
}

func TestALongReasonIsCutShort(t *testing.T) {
	s := &items{}
	if err := outboxdynamo.NewStore(s, "outbox").SetAside(t.Context(), "k", strings.Repeat("ä", 5000)); err != nil {
		t.Fatal(err)
	}
	if reason := text(t, s.updates[0].ExpressionAttributeValues[":reason"]); len(reason) > 2100 || !strings.HasSuffix(reason, "ä …") {
		t.Errorf("%d bytes: …%s", len(reason), reason[len(reason)-10:])
	}
}

func TestAnItemThatIsGoneCannotBePutBackAndNeedNotBeSetAside(t *testing.T) {
	store := outboxdynamo.NewStore(&items{err: &types.ConditionalCheckFailedException{}}, "outbox")
	if err := store.SetAside(t.Context(), "savings/A#1", "no"); err != nil {
		t.Errorf("set aside: %v", err)
	}
	if err := store.PutBack(t.Context(), "savings/A#1"); err == nil || !strings.Contains(err.Error(), "outbox has no item savings/A#1") {
		t.Errorf("put back: %v", err)
	}
	denied := errors.New("AccessDeniedException")
	store = outboxdynamo.NewStore(&items{err: denied}, "outbox")
	if err := store.SetAside(t.Context(), "a", "no"); !errors.Is(err, denied) {
		t.Errorf("set aside: %v", err)
	}
	if err := store.PutBack(t.Context(), "a"); !errors.Is(err, denied) {
		t.Errorf("put back: %v", err)
	}
}
