package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"golang.org/x/sync/errgroup"
)

// A PutEvents call takes 10 entries and less than 1 MB in all ("PutEvents",
// EventBridge API reference).
const (
	maxCallEntries = 10
	maxCallBytes   = 1_000_000
)

// PutEventsAPI is the one operation of EventBridge that publishing needs;
// *eventbridge.Client has it.
type PutEventsAPI interface {
	PutEvents(context.Context, *eventbridge.PutEventsInput, ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// BusPublisher is the [Publisher] of an EventBridge bus. It packs events into
// as few PutEvents calls as the limits allow, and sends again, with growing
// random waits, the entries that the bus could not take for a moment. It is
// safe for concurrent use.
type BusPublisher struct {
	client      PutEventsAPI
	bus         string
	concurrency int
	attempts    int
	log         *slog.Logger // nil: slog.Default
	logLevel    slog.Level
	stamper     Stamper
}

var _ Publisher = (*BusPublisher)(nil)

// BusOption changes a BusPublisher's defaults.
type BusOption func(*BusPublisher)

// WithConcurrency sets how many PutEvents calls of one batch may be under way
// at once; the default is 4, and less than 1 counts as 1.
func WithConcurrency(n int) BusOption { return func(p *BusPublisher) { p.concurrency = max(n, 1) } }

// WithValidation has every event that is published checked against the schema
// of its type. One that violates it is an *[InvalidError], and nothing of its
// batch is sent. It is off by default; what PutEntries is given is never
// checked, since it was when it was encoded.
func WithValidation(v Validator) BusOption { return func(p *BusPublisher) { p.stamper.Validator = v } }

// NewBusPublisher returns the publisher for the bus with the given name or
// ARN.
func NewBusPublisher(client PutEventsAPI, bus string, opts ...BusOption) *BusPublisher {
	p := &BusPublisher{client: client, bus: bus, concurrency: 4, attempts: 5, logLevel: slog.LevelDebug}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// Publish implements [Publisher].
func (p *BusPublisher) Publish(ctx context.Context, e Event) error {
	return p.PublishBatch(ctx, []Event{e})
}

// PublishBatch implements [Publisher]. If one event cannot be encoded, none is
// sent. An error after that is a *[PublishError].
func (p *BusPublisher) PublishBatch(ctx context.Context, batch []Event) error {
	entries, err := p.stamper.StampAll(ctx, batch)
	if err != nil {
		return err
	}
	return p.PutEntries(ctx, entries)
}

// PutEntries publishes events that are already encoded, as a relay does. Its
// error is a *[PublishError] that names each entry the bus has not accepted;
// all others have been.
func (p *BusPublisher) PutEntries(ctx context.Context, entries []Entry) error {
	var (
		mu     sync.Mutex
		failed []FailedEntry
		group  errgroup.Group
	)
	group.SetLimit(p.concurrency)
	for _, call := range pack(entries) {
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
		return &PublishError{Failed: failed}
	}
	return nil
}

// pack splits entries into calls within both limits, keeping their order. An
// entry above the limit gets a call of its own, which the bus will refuse.
func pack(entries []Entry) [][]Entry {
	var calls [][]Entry
	start, bytes := 0, 0
	for i, e := range entries {
		size := e.size()
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
func (p *BusPublisher) put(ctx context.Context, entries []Entry) []FailedEntry {
	var failed []FailedEntry
	for attempt := 1; ; attempt++ {
		again := entries[:0:0]
		codes := make(map[string]FailedEntry)
		out, err := p.client.PutEvents(ctx, p.input(entries))
		if err != nil {
			// The SDK has made its own attempts; nothing of the call is known
			// to have been accepted.
			for _, e := range entries {
				failed = append(failed, FailedEntry{ID: e.ID, Type: e.Type, Code: "RequestFailed", Err: err})
			}
			return failed
		}
		p.logPublished(ctx, entries, out.Entries)
		for i, e := range entries {
			if i >= len(out.Entries) {
				failed = append(failed, FailedEntry{ID: e.ID, Type: e.Type, Code: "NoAnswer", Err: errors.New("the bus answered fewer entries than it was given")})
				continue
			}
			result := out.Entries[i]
			if result.ErrorCode == nil {
				continue
			}
			f := FailedEntry{ID: e.ID, Type: e.Type, Code: *result.ErrorCode, Err: errors.New(deref(result.ErrorMessage))}
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

func (p *BusPublisher) input(entries []Entry) *eventbridge.PutEventsInput {
	in := &eventbridge.PutEventsInput{Entries: make([]types.PutEventsRequestEntry, len(entries))}
	for i, e := range entries {
		detail := string(e.Detail)
		in.Entries[i] = types.PutEventsRequestEntry{
			EventBusName: &p.bus,
			Source:       &e.Type.Source,
			DetailType:   &e.Type.Name,
			Detail:       &detail,
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

// FailedEntry is an event that the bus has not accepted.
type FailedEntry struct {
	ID   string
	Type Type
	Code string // EventBridge's ErrorCode, or RequestFailed when the call itself failed
	Err  error
}

// Retryable reports whether the same entry may be accepted later.
// EventBridge says so of two codes ("PutEventsResultEntry"); a call that
// failed as a whole may be repeated too.
func (f FailedEntry) Retryable() bool {
	switch f.Code {
	case "InternalFailure", "ThrottlingException", "RequestFailed", "NoAnswer":
		return true
	}
	return false
}

// PublishError names each event of a batch that the bus has not accepted. All
// others of the batch have been.
type PublishError struct {
	Failed []FailedEntry
}

func (e *PublishError) Error() string {
	const shown = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%d events were not published:", len(e.Failed))
	for i, f := range e.Failed {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(e.Failed)-shown)
			break
		}
		fmt.Fprintf(&b, " %s %s (%s: %v);", f.Type, f.ID, f.Code, f.Err)
	}
	return strings.TrimSuffix(b.String(), ";")
}

// Unwrap gives the causes, so that errors.Is finds a context's end.
func (e *PublishError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
