package deliveries

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Query says which attempts to list.
type Query struct {
	Functions []string  // of these; required
	Outcomes  []Outcome // with one of these; empty: any
	From, To  time.Time // From is included, To is not; both required

	// Keep also has a say; nil: all. What it does not keep is read all the same.
	Keep func(Attempt) bool

	Limit int    // the most that one page has; required
	Page  string // what the page before it ended with; empty: the first
}

// List returns a page of attempts, the newest first, without their requests and
// responses; and what the next page begins with, empty if there is none. It asks
// day by day, from the last, until the page is full.
func (l Log) List(ctx context.Context, q Query) (page []Attempt, next string, err error) {
	from, to := q.From.UTC().Format(clock), q.To.UTC().Format(clock)
	if q.Page != "" {
		to = min(to, q.Page)
	}
	if len(q.Outcomes) == 0 {
		q.Outcomes = Outcomes
	}
	last, err := time.Parse(time.DateOnly, to[:min(len(to), len(time.DateOnly))])
	if err != nil {
		return nil, "", err
	}
	for day := last; day.Format(time.DateOnly) >= from[:len(time.DateOnly)]; day = day.AddDate(0, 0, -1) {
		// One more than the page has, to know whether there is another.
		found, err := l.day(ctx, q, day.Format(time.DateOnly), from, to, q.Limit+1-len(page))
		if err != nil {
			return nil, "", err
		}
		page = append(page, found...)
		if len(page) > q.Limit {
			page = page[:q.Limit]
			return page, page[q.Limit-1].position(), nil
		}
	}
	return page, "", nil
}

// atOnce is how many queries of a day are under way.
const atOnce = 8

// day returns the newest attempts of a day, up to a number.
func (l Log) day(ctx context.Context, q Query, day, from, to string, most int) ([]Attempt, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu    sync.Mutex
		found []Attempt
		first error
		all   sync.WaitGroup
		slots = make(chan struct{}, atOnce)
	)
	for _, function := range q.Functions {
		for shard := range shards {
			for _, outcome := range q.Outcomes {
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					attempts, err := l.query(ctx, dayKey(function, day, shard), string(outcome)+"/"+from, string(outcome)+"/"+to, q.Keep, most)
					mu.Lock()
					defer mu.Unlock()
					if err != nil && first == nil {
						first = err
						cancel()
					}
					found = append(found, attempts...)
				})
			}
		}
	}
	all.Wait()
	if first != nil {
		return nil, first
	}
	slices.SortFunc(found, func(a, b Attempt) int { return strings.Compare(b.position(), a.position()) })
	return found[:min(len(found), most)], nil
}

// query returns the newest attempts of a shard in [from, to).
func (l Log) query(ctx context.Context, pk, from, to string, keep func(Attempt) bool, most int) (found []Attempt, err error) {
	pages := dynamodb.NewQueryPaginator(l.API, &dynamodb.QueryInput{
		TableName: &l.Table, ScanIndexForward: aws.Bool(false), Limit: aws.Int32(int32(min(most, 1000))),
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":pk":   &types.AttributeValueMemberS{Value: pk},
			":from": &types.AttributeValueMemberS{Value: from},
			":to":   &types.AttributeValueMemberS{Value: to},
		},
	})
	for pages.HasMorePages() && len(found) < most {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			if sk, ok := item["sk"].(*types.AttributeValueMemberS); ok && sk.Value == to {
				continue // where the page before this one ended
			}
			a, err := decode(item)
			if err != nil {
				return nil, err
			}
			if len(found) < most && (keep == nil || keep(a)) {
				found = append(found, a)
			}
		}
	}
	return found, nil
}

// OfEvent returns every attempt to deliver an event to functions, whole, the
// oldest first.
func (l Log) OfEvent(ctx context.Context, functions []string, event string) (all []Attempt, err error) {
	for _, function := range functions {
		pages := dynamodb.NewQueryPaginator(l.API, &dynamodb.QueryInput{
			TableName: &l.Table, KeyConditionExpression: aws.String("pk = :pk"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: eventKey(function, event)}},
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			for _, item := range page.Items {
				a, err := decode(item)
				if err != nil {
					return nil, err
				}
				all = append(all, a)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Attempt) int { return cmp.Compare(a.position(), b.position()) })
	return all, nil
}
