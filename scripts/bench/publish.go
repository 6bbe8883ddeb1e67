package main

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
)

// published is an event that no function subscribes to, so that what is
// measured ends at the bus. It is of the size of a usual one.
type published struct {
	AccountID     string  `json:"accountId"`
	TransactionID string  `json:"transactionId"`
	Amount        float64 `json:"amount"`
	Currency      string  `json:"currency"`
	Channel       string  `json:"channel"`
}

func (published) EventType() events.Type { return events.Type{Source: "bench", Name: "PUBLISHED"} }
func (published) Schema() events.Event {
	return published{"ACC-1001", "TX-77120", 250, "EUR", "ATM"}
}

var publish = suite{"publish", "Publishers, sessions and relays", []part{
	{"publish", "events a second of the publisher, against loops of PutEvents written by hand", publishers},
	{"relay", "events a second from PostgreSQL to the bus, and how long one takes, against Watermill's Forwarder", relays},
	{"commit_cost", "a PostgreSQL transaction with one event, against the same without", commits},
}}

// publishers compares the publisher with what one would write by hand, with
// the same SDK.
func publishers(ctx context.Context, b *bench) error {
	buses, err := b.buses(ctx)
	if err != nil {
		return err
	}
	for _, at := range buses {
		if err := b.publishers(ctx, at.config, at.suffix); err != nil {
			return err
		}
	}
	return b.allocations(ctx)
}

func (b *bench) publishers(ctx context.Context, config aws.Config, suffix string) error {
	client := eventbridge.NewFromConfig(config)
	batch := make([]events.Event, 200)
	for i := range batch {
		batch[i] = published{}.Schema()
	}
	publishing := func(opts ...eventbus.Option) side {
		p := eventbus.New(client, bus, opts...)
		return side{work: func(ctx context.Context) (int, error) { return len(batch), p.PublishBatch(ctx, batch) }}
	}
	byHand := func(perCall int) side {
		return side{work: func(ctx context.Context) (int, error) { return len(batch), loop(ctx, client, batch, perCall) }}
	}
	rates, err := b.scale.rates(ctx, publishing(), publishing(eventbus.WithConcurrency(1)), byHand(1), byHand(10))
	if err != nil {
		return err
	}
	ours, oursAlone, naive, packed := rates[0], rates[1], rates[2], rates[3]
	b.report.add(
		result{Name: "publish_vs_naive" + suffix, Value: ours, Unit: "1/s", Goal: "ratio ≥ 8"}.against("a loop of PutEvents, one event each", naive),
		result{Name: "publish_vs_packed" + suffix, Value: oursAlone, Unit: "1/s", Goal: "ratio ≥ 0.95"}.against("a loop of PutEvents, ten events each; ours one call at a time too", packed),
		result{Name: "publish_default_vs_packed" + suffix, Value: ours, Unit: "1/s"}.against("a loop of PutEvents, ten events each; ours with its default of calls at once", packed),
	)
	return nil
}

// loop is what one writes without Penstock.
func loop(ctx context.Context, client eventbus.API, batch []events.Event, perCall int) error {
	var entries []types.PutEventsRequestEntry
	for i, e := range batch {
		// The same bytes on the wire as ours: what differs is how they get there.
		id := uuid.Must(uuid.NewV7()).String()
		detail, err := json.Marshal(struct {
			Metadata events.Metadata `json:"metadata"`
			Data     events.Event    `json:"data"`
		}{events.Metadata{ID: id, CorrelationID: id, OccurredAt: time.Now().UTC()}, e})
		if err != nil {
			return err
		}
		entries = append(entries, types.PutEventsRequestEntry{
			EventBusName: aws.String(bus),
			Source:       aws.String(e.EventType().Source),
			DetailType:   aws.String(e.EventType().Name),
			Detail:       aws.String(string(detail)),
		})
		if len(entries) < perCall && i < len(batch)-1 {
			continue
		}
		out, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
		if err != nil {
			return err
		}
		if out.FailedEntryCount > 0 {
			return errors.New("the bus refused an event")
		}
		entries = nil
	}
	return nil
}

// accepting is a client without a network: what remains is the publisher.
type accepting struct{}

func (accepting) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	return &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}, nil
}

// allocations counts what an event costs besides the SDK.
func (b *bench) allocations(ctx context.Context) error {
	batch := make([]events.Event, 1000)
	for i := range batch {
		batch[i] = published{}.Schema()
	}
	p := eventbus.New(accepting{}, bus)
	count := func(work func() error) (float64, error) {
		var before, after runtime.MemStats
		if err := work(); err != nil { // the first fills caches
			return 0, err
		}
		runtime.ReadMemStats(&before)
		err := work()
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / float64(len(batch)), err
	}
	ours, err := count(func() error { return p.PublishBatch(ctx, batch) })
	if err != nil {
		return err
	}
	packed, err := count(func() error { return loop(ctx, accepting{}, batch, 10) })
	if err != nil {
		return err
	}
	b.report.add(result{Name: "publish_allocs", Value: ours, Unit: "allocations/event"}.against("a loop of PutEvents, ten events each", packed))
	return nil
}
