// Package trace follows one event: when it was published and by what, which
// subscriptions received it, what became of it there, and which events it caused.
//
// AWS keeps no record of an event's way. A trace puts one together from what is
// left behind, and says what it could not find:
//
//  1. The id is a UUIDv7, so it tells when the event was made, and from when on to
//     look.
//  2. The outcome records in the logs of the functions that have subscriptions tell
//     of each handling: by whom, which attempt, how it ended, how long it took, and
//     the ids of the events that were made meanwhile. So they also tell what caused
//     an event, and what that caused, down to the leaves.
//  3. A subscription of the event's type that left no record has it in its queue, in
//     one of its DLQs, or never got it. The DLQs are looked into; a queue is not,
//     since to look is to receive.
//  4. An event without any record may still be in the outbox.
//  5. On request the archive is asked, by a replay to a queue of the trace's own: it
//     tells what was published although nobody received it, and what the rules match.
package trace

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/replay"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

// Options say how far to look.
type Options struct {
	// Within is how long after the event was made logs are read, and the archive:
	// more than 0.
	Within time.Duration
	// Archive asks the archive, too. EventBridge bills every event that it has of
	// the time.
	Archive bool
	// Notes is told of what takes long.
	Notes func(format string, args ...any)
}

// Event is what is known of an event.
type Event struct {
	ID   string `json:"id"`
	Type string `json:"type,omitempty"` // source/NAME; empty if nothing tells it
	// MadeAt is when it was made: by its id, to the millisecond, which of an event that
	// another one caused is the time of that one; or as the event itself says.
	MadeAt        time.Time `json:"madeAt"`
	CorrelationID string    `json:"correlationId,omitempty"`
	// CausationID is the event during whose handling this one was made, and MadeBy
	// the subscription that handled it, as far as that is known.
	CausationID string `json:"causationId,omitempty"`
	MadeBy      string `json:"madeBy,omitempty"`
	// Published is how it is known to be on the bus, or where else it is.
	Published string    `json:"published"`
	BusTime   time.Time `json:"busTime,omitzero"` // when the bus took it, to the second; only the archive tells

	Subscriptions []*Reception `json:"subscriptions"`
	Caused        []*Event     `json:"caused"`
	// Unknown is what could not be found out, and why.
	Unknown []string `json:"unknown"`

	body json.RawMessage // as EventBridge delivers it; nil if nothing had it
}

// Reception is an event at one subscription.
type Reception struct {
	Subscription string    `json:"subscription"` // its NAME
	State        string    `json:"state"`        // see the constants
	Attempts     []Attempt `json:"attempts"`     // in order
	InDLQ        *InDLQ    `json:"inDlq,omitempty"`
	// Note is what else there is to know, such as where it may be.
	Note string `json:"note,omitempty"`
	Logs []Line `json:"logs,omitempty"` // the function's own lines about the event

	of subscriptions.Subscription
}

// The states of an event at a subscription, besides the outcomes of its last attempt:
// handled, failed, permanent and duplicate.
const (
	NoOutcome  = "no outcome"
	NotMatched = "not matched"
	Possible   = "not known" // whether the rule's filter matches
)

// Attempt is one outcome record.
type Attempt struct {
	At         time.Time `json:"at"`
	Attempt    int       `json:"attempt"`
	Outcome    string    `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`
	DurationMs float64   `json:"durationMs"`
	MessageID  string    `json:"messageId"`
	RequestID  string    `json:"requestId"`
	Replay     string    `json:"replay,omitempty"` // that had it handled anew
}

// InDLQ is a message in a DLQ.
type InDLQ struct {
	Queue     string    `json:"queue"`
	MessageID string    `json:"messageId"`
	SentAt    time.Time `json:"sentAt"`
	Reason    string    `json:"reason,omitempty"`
}

// Line is a line of a log.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Tracer traces events of an environment.
type Tracer struct {
	subs    *subscriptions.Environment
	logs    cloudwatchlogs.FilterLogEventsAPIClient
	events  *eventbridge.Client
	queues  *sqs.Client
	outbox  *outboxdynamo.Store
	replays *replay.Client
}

// Open makes a tracer. It calls nothing of AWS.
func Open(subs *subscriptions.Environment, replays *replay.Client) *Tracer {
	return &Tracer{
		subs: subs, logs: cloudwatchlogs.NewFromConfig(subs.AWS), events: eventbridge.NewFromConfig(subs.AWS), queues: sqs.NewFromConfig(subs.AWS),
		outbox: outboxdynamo.NewStore(dynamodb.NewFromConfig(subs.AWS), subs.Names.Table(names.OutboxTable)), replays: replays,
	}
}

// madeAt reads the time of an event's id. What is no id of an event is a misuse.
func madeAt(id string, now time.Time) (time.Time, error) {
	u, err := uuid.Parse(id)
	if err != nil || u.String() != id {
		return time.Time{}, cli.Misusef("%q is not the id of an event: want metadata.id, a UUID such as 01976e5a-8c00-7000-8000-000000000001", id)
	}
	if u.Version() != 7 {
		return time.Time{}, cli.Misusef("%s is not the id of an event that Penstock published: want metadata.id, not the id that EventBridge or SQS gave it", id)
	}
	seconds, nanos := u.Time().UnixTime()
	at := time.Unix(seconds, nanos).UTC().Truncate(time.Millisecond)
	if at.After(now.Add(time.Minute)) {
		return time.Time{}, cli.Misusef("%s says that it was made at %s, which is still to come", id, at.Format(time.RFC3339))
	}
	return at, nil
}

// NothingError is the error of a trace that found nothing of the event.
type NothingError struct{ Event *Event }

func (e *NothingError) Error() string { return "nothing was found of event " + e.Event.ID }

// Trace follows an event. The error is an *[NothingError], with what was looked at, if
// nothing was found.
func (t *Tracer) Trace(ctx context.Context, id string, o Options) (*Event, error) {
	now := time.Now()
	at, err := madeAt(id, now)
	if err != nil {
		return nil, err
	}
	s := &search{
		Tracer: t, options: o, now: now, id: id, from: at.Add(-time.Minute), until: now,
		outcomes: map[string][]outcome{}, lines: map[string][]line{}, causes: map[string]outcome{}, bodies: map[string]body{}, dead: map[deadKey]*InDLQ{}, waits: map[string]string{},
	}
	if end := at.Add(o.Within); end.Before(now) {
		s.until = end
	}
	if err := s.readLogs(ctx); err != nil {
		return nil, err
	}
	if o.Archive {
		if err := s.readArchive(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.readRules(ctx); err != nil {
		return nil, err
	}
	root := s.build(id, map[string]bool{}, 0)
	if err := s.readPlaces(ctx, root); err != nil {
		return nil, err
	}
	// What lies in a DLQ or in the outbox has told more: its type, and whether rules match.
	root = s.build(id, map[string]bool{}, 0)
	if err := s.readBacklogs(ctx, root); err != nil {
		return nil, err
	}
	s.finish(root)
	if !s.found(id) {
		return root, &NothingError{root}
	}
	return root, nil
}

// found reports whether there is anything of an event.
func (s *search) found(id string) bool {
	_, caused := s.causes[id]
	_, seen := s.bodies[id]
	return caused || seen || len(s.outcomes[id]) > 0 || len(s.lines[id]) > 0 || s.waits[id] != ""
}

// search is one trace.
type search struct {
	*Tracer
	options Options
	now     time.Time
	id      string
	from    time.Time
	until   time.Time

	outcomes map[string][]outcome // by the event's id
	lines    map[string][]line    // other lines, by the event's id
	causes   map[string]outcome   // by the id of an event: the handling during which it was made
	bodies   map[string]body      // by the event's id
	dead     map[deadKey]*InDLQ
	waits    map[string]string           // by the event's id: how it is in the outbox
	rules    map[string]*pattern.Pattern // of subscriptions, by the rules' names
	missing  []string                    // log groups that do not exist
	unread   []string                    // what could not be looked at, and why
}

// body is an event as the bus delivers it, or as the outbox has it.
type body struct {
	text     json.RawMessage
	typ      string
	metadata events.Metadata
	busTime  time.Time
	archived bool
}

// typeOf is an event's type, as far as anything tells.
func (s *search) typeOf(id string) string {
	if b, ok := s.bodies[id]; ok {
		return b.typ
	}
	for _, o := range s.outcomes[id] {
		return o.Type
	}
	return s.causes[id].typeOf(id)
}

// build puts together what is known of an event and of what it caused.
func (s *search) build(id string, above map[string]bool, depth int) *Event {
	e := &Event{ID: id, Type: s.typeOf(id), Subscriptions: []*Reception{}, Caused: []*Event{}, Unknown: []string{}}
	e.MadeAt, _ = madeAt(id, s.now)
	if cause, ok := s.causes[id]; ok {
		e.CausationID, e.MadeBy, e.CorrelationID = cause.ID, cause.name(), cause.CorrelationID
	}
	for _, o := range s.outcomes[id] {
		e.CorrelationID = o.CorrelationID
	}
	b, seen := s.bodies[id]
	if seen {
		e.body, e.CorrelationID, e.CausationID, e.BusTime = b.text, b.metadata.CorrelationID, b.metadata.CausationID, b.busTime
		e.MadeAt = b.metadata.OccurredAt.UTC()
	}
	s.receptions(e)
	e.Published = s.published(e)
	if above[id] || depth > handler.MaxDepth {
		e.Unknown = append(e.Unknown, "what it caused is not followed any further: it goes round in a loop")
		return e
	}
	above[id] = true
	defer delete(above, id)
	for _, child := range s.causedBy(id) {
		e.Caused = append(e.Caused, s.build(child, above, depth+1))
	}
	return e
}

// causedBy are the ids of the events that were made while an event was handled.
func (s *search) causedBy(id string) []string {
	var ids []string
	for _, o := range s.outcomes[id] {
		for _, effect := range o.effects() {
			ids = append(ids, effect.ID)
		}
	}
	for other, b := range s.bodies {
		if b.metadata.CausationID == id {
			ids = append(ids, other)
		}
	}
	slices.Sort(ids) // by time
	return slices.Compact(ids)
}

// published tells how an event is known to be on the bus.
func (s *search) published(e *Event) string {
	source, _, _ := strings.Cut(e.Type, "/")
	by := "by source " + source
	if e.MadeBy != "" {
		by = "by " + e.MadeBy + ", which handled " + e.CausationID
	}
	b := s.bodies[e.ID]
	switch {
	case s.waits[e.ID] != "":
		return "not yet: " + s.waits[e.ID]
	case b.archived:
		return by + ", on the bus at " + b.busTime.Format(time.RFC3339)
	case len(s.outcomes[e.ID]) > 0 || s.inDLQ(e.ID):
		return by
	case e.MadeBy != "" && s.causes[e.ID].Outcome == "handled":
		return by
	case e.MadeBy != "":
		return "perhaps, " + by + ": " + s.causes[e.ID].Outcome
	}
	return "not known"
}

// receptions are the subscriptions that have received an event, or should have.
func (s *search) receptions(e *Event) {
	for _, sub := range s.subs.Declared {
		r := &Reception{Subscription: sub.String(), Attempts: []Attempt{}, of: sub}
		for _, o := range s.outcomes[e.ID] {
			if o.name() == r.Subscription {
				r.Attempts = append(r.Attempts, o.attempt())
			}
		}
		for _, l := range s.lines[e.ID] {
			if l.name == r.Subscription {
				r.Logs = append(r.Logs, Line{l.at, l.text})
			}
		}
		slices.SortFunc(r.Attempts, func(a, b Attempt) int { return a.At.Compare(b.At) })
		slices.SortFunc(r.Logs, func(a, b Line) int { return a.At.Compare(b.At) })
		r.InDLQ = s.dead[deadKey{e.ID, sub.String()}]
		switch rule := s.rules[sub.Rule]; {
		case len(r.Attempts) > 0:
			r.State = r.Attempts[len(r.Attempts)-1].Outcome
		case r.InDLQ != nil:
			r.State = NoOutcome
		case e.Type == "" || sub.Event() != e.Type:
			continue
		case rule == nil:
			r.State, r.Note = NotMatched, "it has no rule on the bus: it is not deployed"
		case e.body != nil:
			if matches, err := rule.Match(e.body); err == nil && !matches {
				r.State = NotMatched
			} else {
				r.State = NoOutcome
			}
		case sub.Manifest != nil && sub.Manifest.Filter != nil:
			r.State, r.Note = Possible, "whether its filter matches, the event would have to tell: --archive looks for it"
		default:
			r.State = NoOutcome
		}
		e.Subscriptions = append(e.Subscriptions, r)
	}
	s.undeclared(e)
}

// undeclared adds the subscriptions that have left records and are in no manifest.
func (s *search) undeclared(e *Event) {
	known := map[string]*Reception{}
	for _, r := range e.Subscriptions {
		known[r.Subscription] = r
	}
	for _, o := range s.outcomes[e.ID] {
		r := known[o.name()]
		if r == nil {
			r = &Reception{Subscription: o.name(), Attempts: []Attempt{}, Note: "it is in no manifest any more"}
			known[o.name()] = r
			e.Subscriptions = append(e.Subscriptions, r)
		} else if r.of.Function != "" {
			continue // declared
		}
		r.Attempts = append(r.Attempts, o.attempt())
		r.State = o.Outcome
	}
}

// readRules reads the event patterns of the environment's rules.
func (s *search) readRules(ctx context.Context) error {
	s.rules = map[string]*pattern.Pattern{}
	in := &eventbridge.ListRulesInput{EventBusName: aws.String(s.subs.Names.Bus()), NamePrefix: aws.String(s.subs.Names.Bus() + "-"), Limit: aws.Int32(100)}
	for {
		page, err := s.events.ListRules(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range page.Rules {
			if p, err := pattern.Parse([]byte(aws.ToString(r.EventPattern))); err == nil {
				s.rules[aws.ToString(r.Name)] = p
			}
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return nil
		}
	}
}

// finish says what the trace could not find.
func (s *search) finish(root *Event) {
	root.Unknown = append(root.Unknown, s.unread...)
	if len(s.missing) > 0 {
		root.Unknown = append(root.Unknown, "there are no logs of "+strings.Join(s.missing, ", ")+": nothing is deployed there")
	}
	if s.until.Before(s.now) {
		root.Unknown = append(root.Unknown, fmt.Sprintf("what happened after %s: --within looks further than %s", s.until.Format(time.RFC3339), s.options.Within))
	}
	if kept := s.now.AddDate(0, 0, -s.subs.Env.LogRetentionDays); s.subs.Env.LogRetentionDays > 0 && s.from.Before(kept) {
		root.Unknown = append(root.Unknown, fmt.Sprintf("logs are kept for %d days: those of %s are gone", s.subs.Env.LogRetentionDays, root.MadeAt.Format(time.DateOnly)))
	}
	if s.options.Archive {
		return
	}
	if !s.found(s.id) && s.subs.Env.ArchiveRetentionDays > 0 {
		root.Unknown = append(root.Unknown, "whether it was published: --archive looks for it among the events of the bus")
	}
}

// functions are the short names of those that have subscriptions, whose logs have
// outcomes.
func (s *search) functions() []string {
	var out []string
	for _, sub := range s.subs.Declared {
		if !slices.Contains(out, sub.Function) {
			out = append(out, sub.Function)
		}
	}
	return out
}
