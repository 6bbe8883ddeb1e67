package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
)

// concurrency is how many PutEvents calls of a batch are under way at once. A
// stream batch of 1,000 withdrawals is 100 calls of 10 entries, and each mostly
// waits.
const concurrency = 16

// sendMargin is how long before the function's timeout sending ends: time to
// remove what the bus has accepted, and to say what it has not, even if the bus
// does not answer at all.
const sendMargin = 5 * time.Second

// relay moves events from the outbox table to the bus. Lambda calls it with one
// event at a time.
type relay struct {
	bus   outbox.Bus
	store *outboxdynamo.Store
	log   *slog.Logger

	app, env string        // of the metrics
	next     string        // where the sweep goes on; empty: at the start
	after    time.Duration // how long the sweep leaves an item to the stream
}

// newRelay reads the settings that the deployment gives it.
func newRelay(bus eventbus.API, db outboxdynamo.StoreAPI, getenv func(string) string, log *slog.Logger) (*relay, error) {
	for _, name := range []string{"PENSTOCK_APP", "PENSTOCK_ENV", "PENSTOCK_BUS", "PENSTOCK_OUTBOX_TABLE"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: the deployment gives it", name)
		}
	}
	return &relay{
		bus:   eventbus.New(bus, getenv("PENSTOCK_BUS"), eventbus.WithConcurrency(concurrency), eventbus.WithLogger(log, slog.LevelInfo)),
		store: outboxdynamo.NewStore(db, getenv("PENSTOCK_OUTBOX_TABLE")),
		log:   log,
		app:   getenv("PENSTOCK_APP"),
		env:   getenv("PENSTOCK_ENV"),
		after: sweepAfter,
	}, nil
}

// input is what Lambda calls with: a batch of the stream, or a schedule's event.
type input struct {
	awsevents.DynamoDBEvent
	DetailType string `json:"detail-type"`
}

func (r *relay) handle(ctx context.Context, in input) (any, error) {
	switch {
	case in.DetailType == "Scheduled Event":
		return nil, r.sweep(ctx)
	case in.Records != nil:
		return r.stream(ctx, in.Records), nil
	}
	return nil, errors.New("the event is neither a batch of a DynamoDB stream nor that of a schedule: what invokes this function?")
}

// result is what became of messages; figures are of events.
type result struct {
	sent, failed, setAside int

	unsent map[string]bool // keys of messages that are to be sent again
	err    error           // why
}

// send publishes messages and removes them from the table. What the bus will
// never take it sets aside, and so it does with bad, which could not be read;
// all that fails otherwise is to be sent again.
func (r *relay) send(ctx context.Context, messages []outbox.Message, bad []outbox.Refusal) result {
	sendCtx, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		sendCtx, cancel = context.WithDeadline(ctx, deadline.Add(-sendMargin))
	}
	delivered := outbox.Deliver(sendCtx, r.bus, messages)
	cancel()
	out := result{unsent: map[string]bool{}, err: delivered.Err}
	for _, key := range delivered.Failed {
		out.unsent[key] = true
	}
	if err := r.store.Remove(ctx, delivered.Sent); err != nil {
		// Some may be removed, but which? They are sent again, with their ids.
		out.err = errors.Join(out.err, fmt.Errorf("removing what was sent: %w", err))
		for _, key := range delivered.Sent {
			out.unsent[key] = true
		}
	}
	aside := map[string]bool{}
	for _, refusal := range slices.Concat(bad, delivered.Refused) {
		if err := r.store.SetAside(ctx, refusal.Key, refusal.Reason); err != nil {
			out.err = errors.Join(out.err, err)
			out.unsent[refusal.Key] = true
			continue
		}
		aside[refusal.Key] = true
		out.setAside += size(refusal.Message)
		r.log.ErrorContext(ctx, "set aside", "key", refusal.Key, "reason", refusal.Reason)
	}
	for _, m := range messages {
		switch {
		case out.unsent[m.Key]:
			out.failed += size(m)
		case !aside[m.Key]:
			out.sent += size(m)
		}
	}
	for _, refusal := range bad {
		if out.unsent[refusal.Key] {
			out.failed += size(refusal.Message)
		}
	}
	return out
}

// size is how many events a message counts for: one, if it cannot be read.
func size(m outbox.Message) int { return max(len(m.Entries), 1) }
