package trace

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
)

// outcome is an outcome record (package handler), and any other line that a function
// wrote about an event, which has the same members up to its outcome.
type outcome struct {
	Time          time.Time `json:"time"`
	Message       string    `json:"msg"`
	RequestID     string    `json:"requestId"`
	Function      string    `json:"function"`
	EventKey      string    `json:"eventKey"`
	ID            string    `json:"id"`
	Type          string    `json:"type"`
	Subscription  string    `json:"subscription"`
	MessageID     string    `json:"messageId"`
	Attempt       int       `json:"attempt"`
	CorrelationID string    `json:"correlationId"`
	Outcome       string    `json:"outcome"`
	Reason        string    `json:"reason"`
	DurationMs    float64   `json:"durationMs"`
	Caused        string    `json:"caused"`
}

// name is the NAME of the subscription.
func (o outcome) name() string { return o.Function + "/" + o.Subscription }

func (o outcome) attempt() Attempt {
	return Attempt{
		At: o.Time.UTC(), Attempt: o.Attempt, Outcome: o.Outcome, Reason: o.Reason, DurationMs: o.DurationMs, MessageID: o.MessageID, RequestID: o.RequestID,
		Replay: strings.TrimPrefix(strings.TrimPrefix(o.EventKey, o.name()+"/"+o.ID), "/"),
	}
}

// effects are the events that were made for the one that was handled.
func (o outcome) effects() []events.Effect {
	var made []events.Effect
	for text := range strings.SplitSeq(o.Caused, ", ") {
		name, id, ok := strings.Cut(text, " ")
		t, err := events.ParseType(name)
		if ok && err == nil {
			made = append(made, events.Effect{Type: t, ID: id})
		}
	}
	return made
}

// typeOf is the type of an event that was made; empty if it was not.
func (o outcome) typeOf(id string) string {
	for _, e := range o.effects() {
		if e.ID == id {
			return e.Type.String()
		}
	}
	return ""
}

// line is another line about an event.
type line struct {
	name string // of the subscription
	at   time.Time
	text string
}

// atOnce is how many log groups are read at a time: FilterLogEvents has a quota of 5
// to 10 a second ("CloudWatch Logs quotas"), which others share.
const atOnce = 4

// readLogs reads the lines about the event, and then those about everything that has
// its correlation id: the same as the event's own where nothing caused it.
func (s *search) readLogs(ctx context.Context) error {
	if err := s.search(ctx, s.id); err != nil {
		return err
	}
	correlation := s.causes[s.id].CorrelationID
	for _, o := range s.outcomes[s.id] {
		correlation = o.CorrelationID
	}
	if correlation == "" || correlation == s.id {
		return nil
	}
	return s.search(ctx, correlation)
}

// search reads the lines that contain a text from all logs.
func (s *search) search(ctx context.Context, text string) error {
	var mu sync.Mutex
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, function := range s.functions() {
		group.Go(func() error {
			pages := cloudwatchlogs.NewFilterLogEventsPaginator(s.logs, &cloudwatchlogs.FilterLogEventsInput{
				LogGroupName: aws.String(s.subs.Names.LogGroup(function)), FilterPattern: aws.String(strconv.Quote(text)),
				StartTime: aws.Int64(s.from.UnixMilli()), EndTime: aws.Int64(s.until.Add(time.Minute).UnixMilli()),
			})
			for pages.HasMorePages() {
				page, err := pages.NextPage(each)
				var missing *types.ResourceNotFoundException
				if errors.As(err, &missing) {
					mu.Lock()
					s.missing = append(s.missing, function)
					mu.Unlock()
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				for _, e := range page.Events {
					s.take(e)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	return group.Wait()
}

// take keeps what a line tells.
func (s *search) take(e types.FilteredLogEvent) {
	text := strings.TrimSpace(aws.ToString(e.Message))
	var o outcome
	if !strings.HasPrefix(text, "{") || json.Unmarshal([]byte(text), &o) != nil || o.ID == "" {
		return // of Lambda's own, or about the batch
	}
	if o.Message != "outcome" {
		l := line{o.name(), o.Time.UTC(), text}
		for _, known := range s.lines[o.ID] {
			if known == l {
				return
			}
		}
		s.lines[o.ID] = append(s.lines[o.ID], l)
		return
	}
	for _, known := range s.outcomes[o.ID] {
		if known == o {
			return // another search has found it
		}
	}
	s.outcomes[o.ID] = append(s.outcomes[o.ID], o)
	for _, effect := range o.effects() {
		// A later attempt makes the same events again: the one that was handled counts.
		if known, ok := s.causes[effect.ID]; !ok || known.Outcome != "handled" {
			s.causes[effect.ID] = o
		}
	}
}
