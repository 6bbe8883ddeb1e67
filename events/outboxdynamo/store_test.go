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
