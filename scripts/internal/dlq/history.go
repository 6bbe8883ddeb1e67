package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// History is how events failed at a subscription, by the outcome records in its
// function's log: a message that SQS moved to the DLQ does not say why itself. A
// nil History knows nothing. It is not safe for concurrent use.
type History struct {
	logs         cloudwatchlogs.FilterLogEventsAPIClient
	group        string
	subscription string

	read    time.Time // the log is read from here on; zero: not at all
	until   time.Time
	records map[string]*record // by event id; by message id for what is no event
	lines   int
}

// record is how an event has failed.
type record struct {
	first, last time.Time
	reason      string // of the last time
	attempts    int    // of the last time
}

// NewHistory returns the history of a subscription, by its name, whose function
// has a log group.
func NewHistory(logs cloudwatchlogs.FilterLogEventsAPIClient, group, subscription string) *History {
	return &History{logs: logs, group: group, subscription: subscription, records: map[string]*record{}}
}

const (
	// maxAskedAlone is for how many messages the log is asked for each alone.
	maxAskedAlone = 3
	// maxLines bounds how much of a log is read, and kept in memory.
	maxLines = 200_000
)

// ErrLongLog is the error of a log that holds more failures than are read.
var ErrLongLog = fmt.Errorf("the function's log has more than %d failures from the time of these messages on: the reasons of some were not looked for", maxLines)

// Read reads of the log what concerns messages, once. The error is [ErrLongLog],
// after which what was read is known, or that of CloudWatch.
func (h *History) Read(ctx context.Context, messages []*Message) error {
	var wanted []*Message
	var from time.Time
	for _, m := range messages {
		if _, known := h.of(m); known || !h.needs(m) || !h.read.IsZero() && !m.SentAt.Before(h.read) {
			continue
		}
		wanted = append(wanted, m)
		if from.IsZero() || m.SentAt.Before(from) {
			from = m.SentAt
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	now := time.Now()
	if len(wanted) <= maxAskedAlone {
		for _, m := range wanted {
			field, id := "id", m.Metadata.ID
			if id == "" {
				field, id = "messageId", m.ID
			}
			// What was redriven failed before this message was sent.
			since := m.SentAt
			if m.Redrives() > 0 || m.By() == ByFunction {
				since = now.AddDate(0, 0, -retentionDays)
			}
			if err := h.filter(ctx, since, now, fmt.Sprintf(`$.%s = %s`, field, strconv.Quote(id))); err != nil {
				return err
			}
		}
		return nil
	}
	until := h.read
	if until.IsZero() {
		until = now
	}
	h.read = from
	return h.filter(ctx, from, until, `$.outcome = "failed"`)
}

// retentionDays is how long a DLQ keeps a message.
const retentionDays = 14

// needs reports whether the log knows what a message does not say.
func (h *History) needs(m *Message) bool {
	switch m.By() {
	case BySQS:
		return true
	case ByFunction:
		return m.Text(queue.FirstFailed) == "" && m.Text(queue.Receives) != "1"
	}
	return false
}

func (h *History) of(m *Message) (record, bool) {
	if h == nil {
		return record{}, false
	}
	for _, id := range []string{m.Metadata.ID, m.ID} {
		if r := h.records[id]; r != nil && id != "" {
			return *r, true
		}
	}
	return record{}, false
}

// filter reads the outcome records of failures between two times, that meet a
// condition. An outcome record has no fields that are missing, see package handler.
func (h *History) filter(ctx context.Context, from, until time.Time, condition string) error {
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(h.logs, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: &h.group, StartTime: aws.Int64(from.UnixMilli()), EndTime: aws.Int64(until.UnixMilli()),
		FilterPattern: aws.String(fmt.Sprintf(`{ $.msg = "outcome" && $.subscription = %s && %s }`, strconv.Quote(h.subscription), condition)),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
			return nil // it never ran
		}
		if err != nil {
			return fmt.Errorf("reading the log %s: %w", h.group, err)
		}
		for _, e := range page.Events {
			h.add(time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC(), aws.ToString(e.Message))
		}
		if h.lines > maxLines && pages.HasMorePages() {
			return ErrLongLog
		}
	}
	return nil
}

// add adds a line of the log.
func (h *History) add(at time.Time, line string) {
	var o struct {
		ID        string `json:"id"`
		MessageID string `json:"messageId"`
		Attempt   int    `json:"attempt"`
		Outcome   string `json:"outcome"`
		Reason    string `json:"reason"`
	}
	if json.Unmarshal([]byte(line), &o) != nil || o.Outcome != "failed" {
		return
	}
	h.lines++
	id := o.ID
	if id == "" {
		id = o.MessageID
	}
	r := h.records[id]
	if r == nil {
		r = &record{first: at}
		h.records[id] = r
	}
	if at.Before(r.first) {
		r.first = at
	}
	if !at.Before(r.last) {
		r.last, r.reason, r.attempts = at, o.Reason, o.Attempt
	}
}
