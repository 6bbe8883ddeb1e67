package subscriptions

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"
)

const (
	// queriesPerCall is how many metrics one call of GetMetricData takes
	// ("GetMetricData", Amazon CloudWatch API reference).
	queriesPerCall = 500

	// recent is how far back a figure is looked for: SQS has one for each minute of
	// a queue in use, and takes up to 15 minutes until the first of one that was
	// not ("Available CloudWatch metrics for Amazon SQS").
	recent = 15 * time.Minute
)

const ageMetric = "ApproximateAgeOfOldestMessage"

// A figure is one metric of one of a subscription's queues.
type figure struct {
	metric string
	queue  func(Subscription) string
	set    func(*Figures, float64)
}

// The first is the backlog.
var figures = []figure{
	{"ApproximateNumberOfMessagesVisible", func(s Subscription) string { return s.Queue }, func(f *Figures, v float64) { f.Backlog = int(v) }},
	{ageMetric, func(s Subscription) string { return s.Queue }, func(f *Figures, v float64) { f.OldestAge = time.Duration(v) * time.Second }},
	{"ApproximateNumberOfMessagesVisible", func(s Subscription) string { return s.DLQ }, func(f *Figures, v float64) { f.DLQ = int(v) }},
	{"ApproximateNumberOfMessagesVisible", func(s Subscription) string { return s.RuleDLQ }, func(f *Figures, v float64) { f.RuleDLQ = int(v) }},
}

// measure asks CloudWatch for the newest figures of subscriptions, in their
// order. One of which there is none is 0: a queue that nobody uses has none. Who
// looks at states must not go without because figures cannot be had: all are 0 then,
// and say so.
func (e *Environment) measure(ctx context.Context, all []Subscription) []Figures {
	out, err := e.figures(ctx, all)
	if err != nil {
		out = make([]Figures, len(all))
		for i := range out {
			out[i].Unknown = err
		}
	}
	return out
}

func (e *Environment) figures(ctx context.Context, all []Subscription) ([]Figures, error) {
	var queries []types.MetricDataQuery
	for i, s := range all {
		for j, f := range figures {
			queries = append(queries, types.MetricDataQuery{
				Id: aws.String(fmt.Sprintf("q%d_%d", i, j)),
				MetricStat: &types.MetricStat{
					Metric: &types.Metric{
						Namespace: aws.String("AWS/SQS"), MetricName: &f.metric,
						Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String(f.queue(s))}},
					},
					Period: aws.Int32(60), Stat: aws.String("Maximum"),
				},
			})
		}
	}
	now := time.Now()
	out := make([]Figures, len(all))
	results := make([][]types.MetricDataResult, (len(queries)+queriesPerCall-1)/queriesPerCall)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for i, chunk := range slices.Collect(slices.Chunk(queries, queriesPerCall)) {
		group.Go(func() error {
			pages := cloudwatch.NewGetMetricDataPaginator(e.clients.cloudwatch, &cloudwatch.GetMetricDataInput{
				MetricDataQueries: chunk, StartTime: aws.Time(now.Add(-recent)), EndTime: &now, ScanBy: types.ScanByTimestampDescending,
			})
			for pages.HasMorePages() {
				page, err := pages.NextPage(ctx)
				if err != nil {
					return err
				}
				results[i] = append(results[i], page.MetricDataResults...)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	newest := make([]struct {
		value float64
		at    time.Time
	}, len(queries))
	for _, r := range slices.Concat(results...) {
		var i, j int
		if _, err := fmt.Sscanf(aws.ToString(r.Id), "q%d_%d", &i, &j); err != nil || len(r.Values) == 0 || i >= len(all) || j >= len(figures) {
			continue
		}
		newest[i*len(figures)+j].value, newest[i*len(figures)+j].at = r.Values[0], r.Timestamps[0]
		if at := r.Timestamps[0]; at.After(out[i].MeasuredAt) {
			out[i].MeasuredAt = at
		}
	}
	for i := range out {
		for j, f := range figures {
			n, backlog := newest[i*len(figures)+j], newest[i*len(figures)]
			// A queue whose last message went has no age from then on: one from before
			// its backlog's figure is of what is no longer there.
			if n.at.IsZero() || f.metric == ageMetric && n.at.Before(backlog.at) {
				continue
			}
			f.set(&out[i], n.value)
		}
	}
	return out, nil
}
