// Package eventstest captures published events in tests, and asserts on them.
//
//	p := eventstest.NewPublisher(t)
//	shop := NewShop(p) // takes an events.Publisher
//	shop.Withdraw(t.Context(), "ACC-1", 250)
//	w := eventstest.RequirePublished[savings.Withdrawal](t, p)[0]
//
// Code that publishes in a transaction is given a session instead, by
// [Publisher.InTx] or [Publisher.Begin]: its events are captured when it
// commits, and not at all if it rolls back.
//
// Every event is checked against the schema of its type, as publishers do that
// are made with [eventbus.WithValidation]: those in the folder schemas of the
// project that the test is in.
package eventstest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Publisher is an [events.Publisher] that keeps what is published. It refuses
// what the bus would refuse: what has no JSON, is too large, or violates its
// schema. It is safe for concurrent use.
type Publisher struct {
	stamper events.Stamper

	mu       sync.Mutex
	captured []captured
	refused  []error
	fail     error
}

// captured is an event as it would be on the bus.
type captured struct {
	envelope events.Envelope
	data     json.RawMessage
}

var _ events.Publisher = (*Publisher)(nil)

// Option changes how a Publisher is made.
type Option func(*Publisher)

// WithSchemas replaces the schemas of the project that the test is in; nil has
// nothing checked.
func WithSchemas(v events.Validator) Option { return func(p *Publisher) { p.stamper.Validator = v } }

// FixedAt has every event stamped with the same time, and those that have no
// cause (see [events.WithCause]) with the ids ID(1), ID(2) and so on, so that
// whole events can be compared. Without it the time is the present, which
// testing/synctest fakes too.
func FixedAt(at time.Time) Option {
	return func(p *Publisher) {
		var mu sync.Mutex
		n := 0
		p.stamper.Now = func() time.Time { return at }
		p.stamper.NewID = func() string {
			mu.Lock()
			defer mu.Unlock()
			n++
			return ID(n)
		}
	}
}

// ID is the id of the event that a Publisher made with [FixedAt] stamps as its
// n-th, from 1: a UUIDv7.
func ID(n int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", n) }

// NewPublisher returns a Publisher that has captured nothing yet. It ends the
// test if there are no schemas to be found: neither the working directory nor
// a folder above it holds a cdk.json, and WithSchemas is not among the options.
func NewPublisher(t testing.TB, opts ...Option) *Publisher {
	t.Helper()
	p := &Publisher{stamper: events.Stamper{Validator: unset{}}}
	for _, opt := range opts {
		opt(p)
	}
	if p.stamper.Validator == (unset{}) {
		v, err := projectSchemas()
		if err != nil {
			t.Fatalf("eventstest: %v", err)
		}
		p.stamper.Validator = v
	}
	return p
}

// Publish implements [events.Publisher].
func (p *Publisher) Publish(ctx context.Context, e events.Event) error {
	return p.PublishBatch(ctx, []events.Event{e})
}

// PublishBatch implements [events.Publisher]. Of a batch that has an event to
// refuse, nothing is captured.
func (p *Publisher) PublishBatch(ctx context.Context, batch []events.Event) error {
	stamped, err := p.stamp(ctx, batch)
	if err != nil {
		return err
	}
	return p.capture(stamped)
}

// FailWith makes every publication and commit from now on fail with err, and
// capture nothing; nil ends that.
func (p *Publisher) FailWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// Published returns what was captured so far, in the order of publication.
func (p *Publisher) Published() []events.Envelope {
	p.mu.Lock()
	defer p.mu.Unlock()
	envelopes := make([]events.Envelope, len(p.captured))
	for i, c := range p.captured {
		envelopes[i] = c.envelope
	}
	return envelopes
}

// Reset forgets what was captured so far.
func (p *Publisher) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.captured, p.refused = nil, nil
}

// stamp makes of a batch what would be on the bus.
func (p *Publisher) stamp(ctx context.Context, batch []events.Event) ([]captured, error) {
	envelopes := make([]events.Event, len(batch))
	stamped := make([]captured, len(batch))
	for i, e := range batch {
		stamped[i].envelope = p.stamper.Stamp(ctx, e)
		envelopes[i] = stamped[i].envelope
	}
	entries, err := p.stamper.StampAll(ctx, envelopes)
	if err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.refused = append(p.refused, err)
		return nil, err
	}
	for i, entry := range entries {
		var detail struct {
			Data json.RawMessage `json:"data"`
		}
		if err := json.Unmarshal(entry.Detail, &detail); err != nil {
			return nil, err
		}
		stamped[i].data = detail.Data
	}
	return stamped, nil
}

func (p *Publisher) capture(stamped []captured) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.captured = append(p.captured, stamped...)
	return nil
}
