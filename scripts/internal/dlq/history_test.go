package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

// fakeLogs is a function's log, in pages of two lines.
type fakeLogs struct {
	lines []types.FilteredLogEvent
	asked []string // the patterns
	from  []time.Time
	err   error
}

func (l *fakeLogs) failed(id, message string, attempt int, reason string) {
	l.lines = append(l.lines, types.FilteredLogEvent{Timestamp: aws.Int64(time.Now().UnixMilli()),
		Message: aws.String(fmt.Sprintf(`{"msg":"outcome","subscription":"withdrawals","id":%q,"messageId":%q,"attempt":%d,"outcome":"failed","reason":%q}`, id, message, attempt, reason))})
}

func (l *fakeLogs) FilterLogEvents(_ context.Context, in *cloudwatchlogs.FilterLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error) {
	if l.err != nil {
		return nil, l.err
	}
	start := 0
	if in.NextToken != nil {
		fmt.Sscan(*in.NextToken, &start)
	} else {
		l.asked, l.from = append(l.asked, *in.FilterPattern), append(l.from, time.UnixMilli(*in.StartTime).UTC())
	}
	out := &cloudwatchlogs.FilterLogEventsOutput{}
	for i := start; i < len(l.lines); i++ {
		if len(out.Events) == 2 {
			out.NextToken = aws.String(fmt.Sprint(i))
			break
		}
		if at := *l.lines[i].Timestamp; at >= *in.StartTime && at <= *in.EndTime {
			out.Events = append(out.Events, l.lines[i])
		}
	}
	return out, nil
}

func TestTheLogTellsWhyAndSinceWhenAMessageFailedThatSQSMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs fakeLogs
		var messages []*dlq.Message
		began := time.Now().UTC()
		for i := range 8 {
			m := &dlq.Message{Queue: dlq.Failed, ID: fmt.Sprintf("m-%d", i), SentAt: time.Now().UTC(), Received: 9}
			m.Metadata.ID = fmt.Sprintf("e-%d", i)
			messages = append(messages, m)
			time.Sleep(time.Second)
			for attempt := 1; attempt <= 5; attempt++ {
				logs.failed(m.Metadata.ID, m.ID, attempt, fmt.Sprintf("try %d", attempt))
				time.Sleep(time.Second)
			}
		}
		logs.lines = append(logs.lines, types.FilteredLogEvent{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: aws.String("garbage")})

		h := dlq.NewHistory(&logs, "group", "withdrawals")
		if err := h.Read(t.Context(), messages[4:]); err != nil {
			t.Fatal(err)
		}
		if err := h.Read(t.Context(), messages); err != nil { // the older half of the log
			t.Fatal(err)
		}
		if err := h.Read(t.Context(), messages); err != nil { // nothing more
			t.Fatal(err)
		}
		if len(logs.asked) != 2 || !logs.from[0].Equal(messages[4].SentAt) || !logs.from[1].Equal(began) ||
			logs.asked[0] != `{ $.msg = "outcome" && $.subscription = "withdrawals" && $.outcome = "failed" }` {
			t.Errorf("asked %q from %v", logs.asked, logs.from)
		}
		for _, m := range messages {
			f := dlq.Describe(m, h)
			if f.By != dlq.BySQS || f.Reason != "try 5" || f.Receives != 5 || !f.FirstFailed.Equal(m.SentAt.Add(time.Second)) || !f.LastFailed.Equal(m.SentAt.Add(5*time.Second)) {
				t.Errorf("%+v", f)
			}
		}
		if f := dlq.Describe(messages[0], nil); f.Reason != "" || !f.FirstFailed.IsZero() || f.Receives != 9 {
			t.Errorf("without a log: %+v", f)
		}
	})
}

func TestTheLogIsAskedForSingleMessagesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs fakeLogs
		logs.failed("e-1", "m-1", 1, "long ago") // before it was redriven
		time.Sleep(time.Hour)
		redriven := &dlq.Message{Queue: dlq.Failed, ID: "m-2", SentAt: time.Now().UTC(), Attributes: given("x", map[string]string{queue.Receives: "3"})}
		redriven.Metadata.ID = "e-1"
		noEvent := &dlq.Message{Queue: dlq.Failed, ID: "m-3", SentAt: time.Now().UTC()}
		logs.failed("", "m-3", 1, "garbage")
		once := &dlq.Message{Queue: dlq.Failed, ID: "m-4", SentAt: time.Now().UTC(), Attributes: given("x", nil)}
		h := dlq.NewHistory(&logs, "group", "withdrawals")
		if err := h.Read(t.Context(), []*dlq.Message{redriven, noEvent, once}); err != nil {
			t.Fatal(err)
		}
		if len(logs.asked) != 2 || !strings.HasSuffix(logs.asked[0], `&& $.id = "e-1" }`) || !strings.HasSuffix(logs.asked[1], `&& $.messageId = "m-3" }`) {
			t.Errorf("asked %q", logs.asked)
		}
		if f := dlq.Describe(redriven, h); f.Reason != "x" || f.Receives != 3 || !f.FirstFailed.Equal(redriven.SentAt.Add(-time.Hour)) || !f.LastFailed.Equal(redriven.SentAt) {
			t.Errorf("%+v", f)
		}
		if f := dlq.Describe(noEvent, h); f.Reason != "garbage" || string(f.Body) != `""` {
			t.Errorf("%+v", f)
		}
	})
}

func TestAFunctionThatNeverRanHasNoHistory(t *testing.T) {
	m := &dlq.Message{Queue: dlq.Failed, ID: "m-1", SentAt: time.Now()}
	h := dlq.NewHistory(&fakeLogs{err: &types.ResourceNotFoundException{}}, "group", "withdrawals")
	if err := h.Read(t.Context(), []*dlq.Message{m}); err != nil || dlq.Describe(m, h).Reason != "" {
		t.Error(err)
	}
	down := errors.New("down")
	if err := dlq.NewHistory(&fakeLogs{err: down}, "group", "withdrawals").Read(t.Context(), []*dlq.Message{m}); !errors.Is(err, down) || !strings.Contains(err.Error(), "reading the log group") {
		t.Error(err)
	}
}
