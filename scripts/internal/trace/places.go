package trace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

// How much is looked at: of each DLQ, and of the outbox by the megabyte.
const (
	maxDeadLetters = 1000
	maxOutboxPages = 10
)

// deadKey is an event at a subscription, by its NAME.
type deadKey struct{ id, subscription string }

func (s *search) inDLQ(id string) bool {
	for key := range s.dead {
		if key.id == id {
			return true
		}
	}
	return false
}

// readPlaces looks where the events of a tree may be that have no good outcome: in
// the DLQs of their subscriptions, and in the outbox.
func (s *search) readPlaces(ctx context.Context, root *Event) error {
	wanted := map[string]subscriptions.Subscription{}
	lost := false // there is an event without any record
	all := map[string]bool{}
	root.each(func(e *Event) {
		all[e.ID] = true
		lost = lost || len(s.outcomes[e.ID]) == 0 && !s.bodies[e.ID].archived
		for _, r := range e.Subscriptions {
			if r.State != "handled" && r.State != "duplicate" && r.State != NotMatched && r.of.DLQ != "" {
				wanted[r.Subscription] = r.of
			}
		}
	})
	for _, sub := range wanted {
		for kind, name := range map[dlq.Kind]string{dlq.Failed: sub.DLQ, dlq.Undelivered: sub.RuleDLQ} {
			if err := s.readDLQ(ctx, kind, name, sub, all); err != nil {
				return err
			}
		}
	}
	if lost {
		return s.readOutbox(ctx, all)
	}
	return nil
}

// readDLQ looks for events in a DLQ, and gives back what it has seen.
func (s *search) readDLQ(ctx context.Context, kind dlq.Kind, name string, sub subscriptions.Subscription, ids map[string]bool) error {
	q, err := dlq.Open(ctx, s.queues, kind, name)
	switch {
	case errors.Is(err, dlq.ErrNoQueue):
		return nil
	case errors.Is(err, dlq.ErrRedrivePolicy):
		s.unread = append(s.unread, fmt.Sprintf("whether it lies in %s: %v", name, err))
		return nil
	case err != nil:
		return err
	case q.Depth.Total() == 0:
		return nil
	}
	seen, err := q.Walk(ctx, dlq.Walk{Limit: maxDeadLetters, Chunk: 100}, func(_ context.Context, batch []*dlq.Message) ([]*dlq.Message, error) {
		for _, m := range batch {
			if !ids[m.Metadata.ID] {
				continue
			}
			s.dead[deadKey{m.Metadata.ID, sub.String()}] = &InDLQ{Queue: name, MessageID: m.ID, SentAt: m.SentAt, Reason: m.Reason()}
			s.see(m.Body)
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	if seen.Unseen > 0 {
		s.unread = append(s.unread, fmt.Sprintf("whether it is among about %d more messages in %s, of which %d were looked at", seen.Unseen, name, seen.Messages))
	}
	return nil
}

// see keeps an event as the bus delivers it.
func (s *search) see(text string) (id string) {
	var e struct {
		Source string    `json:"source"`
		Name   string    `json:"detail-type"`
		Time   time.Time `json:"time"`
		Detail struct {
			Metadata events.Metadata `json:"metadata"`
		} `json:"detail"`
	}
	if json.Unmarshal([]byte(text), &e) != nil || e.Detail.Metadata.ID == "" {
		return ""
	}
	id = e.Detail.Metadata.ID
	if _, known := s.bodies[id]; !known {
		s.bodies[id] = body{text: json.RawMessage(text), typ: e.Source + "/" + e.Name, metadata: e.Detail.Metadata, busTime: e.Time.UTC()}
	}
	return id
}

// readOutbox looks for events that have not left the outbox.
func (s *search) readOutbox(ctx context.Context, ids map[string]bool) error {
	after := ""
	for range maxOutboxPages {
		items, next, err := s.outbox.Page(ctx, after)
		if err != nil {
			s.unread = append(s.unread, fmt.Sprintf("whether it waits in the outbox: %s", cli.Brief(err)))
			return nil
		}
		for _, item := range items {
			for _, entry := range item.Entries {
				if ids[entry.ID] {
					s.wait(item, entry)
				}
			}
		}
		if after = next; after == "" {
			return nil
		}
	}
	s.unread = append(s.unread, fmt.Sprintf("whether it waits in the outbox, of which the first %d MB were looked at", maxOutboxPages))
	return nil
}

// wait keeps how an event is in the outbox.
func (s *search) wait(item outboxdynamo.Item, entry events.Entry) {
	s.waits[entry.ID] = "it has waited in the outbox since " + item.EnqueuedAt.UTC().Format(time.RFC3339)
	if item.SetAside != "" {
		s.waits[entry.ID] = fmt.Sprintf("it was set aside in the outbox at %s: %s", item.SetAsideAt.UTC().Format(time.RFC3339), item.SetAside)
	}
	var detail struct {
		Metadata events.Metadata `json:"metadata"`
	}
	if json.Unmarshal(entry.Detail, &detail) != nil {
		return
	}
	if _, known := s.bodies[entry.ID]; !known {
		text, err := json.Marshal(map[string]any{"source": entry.Type.Source, "detail-type": entry.Type.Name, "detail": json.RawMessage(entry.Detail)})
		if err == nil {
			s.bodies[entry.ID] = body{text: text, typ: entry.Type.String(), metadata: detail.Metadata}
		}
	}
}

// readArchive looks in the archive for the event, and for everything that shares its
// correlation id.
func (s *search) readArchive(ctx context.Context) error {
	if _, err := s.replays.Archive(ctx); err != nil {
		return err
	}
	correlation := s.id
	for _, o := range s.outcomes[s.id] {
		correlation = o.CorrelationID
	}
	if cause, ok := s.causes[s.id]; ok {
		correlation = cause.CorrelationID
	}
	is := func(field, value string) map[string]any {
		return map[string]any{"detail": map[string]any{"metadata": map[string]any{field: []string{value}}}}
	}
	pattern, err := json.Marshal(map[string]any{"$or": []any{is("id", s.id), is("correlationId", correlation)}})
	if err != nil {
		return err
	}
	s.options.Notes("looking through the archive from %s to %s, which takes some minutes on AWS", s.from.Format(time.RFC3339), s.until.Format(time.RFC3339))
	err = s.replays.Collect(ctx, s.id, string(pattern), s.from, s.until, func(text string) {
		if id := s.see(text); id != "" {
			b := s.bodies[id]
			b.archived = true
			s.bodies[id] = b
		}
	})
	if err != nil {
		return err
	}
	if _, ok := s.bodies[s.id]; !ok {
		s.unread = append(s.unread, fmt.Sprintf("the archive has no such event from %s to %s; one takes up to 10 minutes to it", s.from.Format(time.RFC3339), s.until.Format(time.RFC3339)))
	}
	return nil
}

// readBacklogs says of subscriptions that should have an event, and have left no
// outcome, what waits in their queues.
func (s *search) readBacklogs(ctx context.Context, root *Event) error {
	live := map[string]subscriptions.Live{}
	var failed error
	root.each(func(e *Event) {
		for _, r := range e.Subscriptions {
			if r.State != NoOutcome || r.InDLQ != nil || r.of.Queue == "" || failed != nil || s.waits[e.ID] != "" {
				continue
			}
			l, known := live[r.Subscription]
			if !known {
				l, failed = s.subs.Get(ctx, r.of)
				live[r.Subscription] = l
			}
			n := l.Figures.Backlog + l.Figures.InFlight
			switch {
			case n == 0:
				r.Note = "nothing waits in its queue: the event was not published, or its record is not in the logs that were read"
			case l.State == subscriptions.Enabled:
				r.Note = fmt.Sprintf("%d wait in its queue: it may be among them", n)
			default:
				why := l.State
				if l.Stop != nil {
					why += " (" + strings.TrimSuffix(l.Stop.Reason, ".") + ")"
				}
				r.Note = fmt.Sprintf("%d wait in its queue, since the subscription is %s: it may be among them", n, why)
			}
		}
	})
	return failed
}

// each visits the events of a tree.
func (e *Event) each(visit func(*Event)) {
	visit(e)
	for _, child := range e.Caused {
		child.each(visit)
	}
}
