package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// outcomeLog follows the outcome records that the function leaves in its log.
type outcomeLog struct {
	run      *run
	from     time.Time
	finished atomic.Bool // every withdrawal is committed

	handled  int             // distinct withdrawals
	records  int             // outcome records of this run's withdrawals
	batches  map[string]bool // request ids
	lastWhen time.Time       // of the last withdrawal to be handled first
}

// outcome is one outcome record.
type outcome struct {
	Time      time.Time `json:"time"`
	Message   string    `json:"msg"`
	ID        string    `json:"id"`
	Outcome   string    `json:"outcome"`
	RequestID string    `json:"requestId"`
}

// finish tells follow that no more withdrawals will be committed.
func (l *outcomeLog) finish() { l.finished.Store(true) }

// follow reads the log until every committed withdrawal is handled, or nothing
// has been handled for as long as the demo waits.
func (l *outcomeLog) follow(ctx context.Context) error {
	l.batches = map[string]bool{}
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(l.run.config.Names.LogGroup(function)),
		StartTime:    aws.Int64(l.from.UnixMilli()),
	}
	seen := map[string]bool{}
	moved := time.Now()
	for {
		out, err := l.run.logs.FilterLogEvents(ctx, in)
		if err != nil {
			return fmt.Errorf("reading the log of %s: %w", function, err)
		}
		before := l.handled
		for _, e := range out.Events {
			if seen[*e.EventId] {
				continue
			}
			seen[*e.EventId] = true
			in.StartTime = aws.Int64(max(*in.StartTime, *e.Timestamp))
			l.line(*e.Message)
		}
		l.run.config.Progress("handled", l.handled, len(l.run.config.Withdrawals))
		if l.handled > before {
			moved = time.Now()
		}
		if in.NextToken = out.NextToken; in.NextToken != nil {
			continue
		}
		if l.finished.Load() && (l.handled == len(l.run.config.Withdrawals) || time.Since(moved) > l.run.config.Stalled) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *outcomeLog) line(message string) {
	if !strings.HasPrefix(message, "{") {
		return // a line of Lambda's own
	}
	var o outcome
	if err := json.Unmarshal([]byte(message), &o); err != nil || o.Message != "outcome" {
		return
	}
	l.run.mu.Lock()
	defer l.run.mu.Unlock()
	w := l.run.committed[o.ID]
	if w == nil {
		return // of another run
	}
	l.records++
	l.batches[o.RequestID] = true
	if o.Outcome != "handled" || !w.handledAt.IsZero() {
		return
	}
	w.handledAt = o.Time
	l.lastWhen = o.Time
	l.handled++
}
