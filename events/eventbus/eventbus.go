// Package eventbus publishes events to an EventBridge bus. It is apart from
// package events, so that what receives events, or publishes them through an
// outbox, does not link EventBridge's client.
//
//	bus := eventbus.New(eventbridge.NewFromConfig(cfg), "shop-prod")
//	err := bus.Publish(ctx, OrderPlaced{ID: "O-1"})
package eventbus

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
)

// A PutEvents call takes 10 entries and less than 1 MB in all ("PutEvents",
// EventBridge API reference).
const (
	maxCallEntries = 10
	maxCallBytes   = 1_000_000
)

// API is the one operation of EventBridge that publishing needs;
// *eventbridge.Client has it.
type API interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Publisher is the [events.Publisher] of an EventBridge bus. It packs events
// into as few PutEvents calls as the limits allow, and sends again, with growing
// random waits, the entries that the bus could not take for a moment. It is
// safe for concurrent use.
type Publisher struct {
	client      API
	bus         string
	concurrency int
	attempts    int
	log         *slog.Logger // nil: slog.Default
	logLevel    slog.Level
	stamper     events.Stamper
}

var _ events.Publisher = (*Publisher)(nil)

// Option changes a Publisher's defaults.
type Option func(*Publisher)

// WithConcurrency sets how many PutEvents calls of one batch may be under way
// at once; the default is 4, and less than 1 counts as 1.
func WithConcurrency(n int) Option { return func(p *Publisher) { p.concurrency = max(n, 1) } }

// WithValidation has every event that is published checked against the schema
// of its type. One that violates it is an *[events.InvalidError], and nothing of
// its batch is sent. It is off by default; what PutEntries is given is never
// checked, since it was when it was encoded.
func WithValidation(v events.Validator) Option { return func(p *Publisher) { p.stamper.Validator = v } }

// WithStamper replaces the clock, the ids and the validation of what is
// published, for tests, simulations and imports of what happened before. The
// default is the zero Stamper.
func WithStamper(s events.Stamper) Option { return func(p *Publisher) { p.stamper = s } }

// New returns the publisher for the bus with the given name or ARN.
func New(client API, bus string, opts ...Option) *Publisher {
	p := &Publisher{client: client, bus: bus, concurrency: 4, attempts: 5, logLevel: slog.LevelDebug}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Publish implements [events.Publisher].
func (p *Publisher) Publish(ctx context.Context, e events.Event) error {
	return p.PublishBatch(ctx, []events.Event{e})
}

// PublishBatch implements [events.Publisher]. If one event cannot be encoded,
// none is sent. An error after that is a *[events.PublishError].
func (p *Publisher) PublishBatch(ctx context.Context, batch []events.Event) error {
	entries, err := p.stamper.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	return p.PutEntries(ctx, entries)
}

// PutEntries publishes events that are already encoded, as a relay does. Its
// error is a *[events.PublishError] that names each entry the bus has not
// accepted; all others have been.
func (p *Publisher) PutEntries(ctx context.Context, entries []events.Entry) error {
	var (
		mu     sync.Mutex
		failed []events.FailedEntry
		group  errgroup.Group
	)
	group.SetLimit(p.concurrency)
	calls := pack(entries)
	for _, call := range calls {
		if len(calls) == 1 || p.concurrency == 1 { // no need of a goroutine
			failed = append(failed, p.put(ctx, call)...)
			continue
		}
		group.Go(func() error {
			if f := p.put(ctx, call); len(f) > 0 {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, f...)
			}
			return nil
		})
	}
	_ = group.Wait()
	if len(failed) > 0 {
		return &events.PublishError{Failed: failed}
	}
	return nil
}

// pack splits entries into calls within both limits, keeping their order. An
// entry above the limit gets a call of its own, which the bus will refuse.
func pack(entries []events.Entry) [][]events.Entry {
	var calls [][]events.Entry
	start, bytes := 0, 0
	for i, e := range entries {
		size := e.Size()
		if i > start && (i-start == maxCallEntries || bytes+size >= maxCallBytes) {
			calls = append(calls, entries[start:i])
			start, bytes = i, 0
		}
		bytes += size
	}
	if start < len(entries) {
		calls = append(calls, entries[start:])
	}
	return calls
}

// put sends one call, and its retryable entries again, until the bus has
// accepted or refused each of them.
func (p *Publisher) put(ctx context.Context, entries []events.Entry) []events.FailedEntry {
	var failed []events.FailedEntry
	for attempt := 1; ; attempt++ {
		again := entries[:0:0]
		codes := make(map[string]events.FailedEntry)
		out, err := p.client.PutEvents(ctx, p.input(entries))
		if err != nil {
			// The SDK has made its own attempts; nothing of the call is known
			// to have been accepted.
			for _, e := range entries {
				failed = append(failed, events.FailedEntry{ID: e.ID, Type: e.Type, Code: "RequestFailed", Err: err})
			}
			return failed
		}
		p.logPublished(ctx, entries, out.Entries)
		for i, e := range entries {
			if i >= len(out.Entries) {
				failed = append(failed, events.FailedEntry{ID: e.ID, Type: e.Type, Code: "NoAnswer", Err: errors.New("the bus answered fewer entries than it was given")})
				continue
			}
			result := out.Entries[i]
			if result.ErrorCode == nil {
				continue
			}
			f := events.FailedEntry{ID: e.ID, Type: e.Type, Code: *result.ErrorCode, Err: errors.New(deref(result.ErrorMessage))}
			if !f.Retryable() {
				failed = append(failed, f)
				continue
			}
			codes[e.ID] = f
			again = append(again, e)
		}
		if len(again) == 0 {
			return failed
		}
		if attempt == p.attempts || !wait(ctx, attempt) {
			for _, e := range again {
				failed = append(failed, codes[e.ID])
			}
			return failed
		}
		entries = again
	}
}

func (p *Publisher) input(entries []events.Entry) *eventbridge.PutEventsInput {
	in := &eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, len(entries))}
	details := make([]string, len(entries))
	for i := range entries {
		e := &entries[i] // a copy would be allocated for the pointers into it
		details[i] = string(e.Detail)
		in.Entries[i] = types.PutEventsRequestEntry{
			EventBusName: &p.bus,
			Source:       &e.Type.Source,
			DetailType:   &e.Type.Name,
			Detail:       &details[i],
		}
	}
	return in
}

// wait sleeps before the next attempt: full jitter over 50 ms, doubled each
// time. It reports false if ctx ended first.
func wait(ctx context.Context, attempt int) bool {
	timer := time.NewTimer(rand.N(50 * time.Millisecond << attempt))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
