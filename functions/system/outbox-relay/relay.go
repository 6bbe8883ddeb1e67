package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
)

// concurrency is how many PutEvents calls of a batch are under way at once. A
// stream batch of 1,000 withdrawals is 100 calls of 10 entries, and each mostly
// waits.
const concurrency = 16

// relay hands over what a stream batch of the outbox table contains.
type relay struct {
	outbox outbox.Relay
	log    *slog.Logger
}

// newRelay reads the settings that the deployment gives it.
func newRelay(bus events.PutEventsAPI, db outboxdynamo.StoreAPI, getenv func(string) string, log *slog.Logger) (*relay, error) {
	for _, name := range []string{"PENSTOCK_BUS", "PENSTOCK_OUTBOX_TABLE"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: the deployment gives it", name)
		}
	}
	return &relay{
		outbox: outbox.Relay{
			Bus:   events.NewBusPublisher(bus, getenv("PENSTOCK_BUS"), events.WithConcurrency(concurrency)),
			Store: outboxdynamo.NewStore(db, getenv("PENSTOCK_OUTBOX_TABLE")),
		},
		log: log,
	}, nil
}

// handle publishes the events of a batch and removes them from the table.
//
// The answer names the first record that failed. Lambda takes a stream's batch
// as done up to there and delivers everything from there on again ("Configuring
// partial batch response with DynamoDB and Lambda"), what has been sent since
// included: an event may reach the bus twice, with the id it has.
//
// A record that cannot be read is a failure too. It holds up the stream until a
// person looks or Lambda gives it up to the mapping's failure destination; what
// committed is never dropped here.
func (r *relay) handle(ctx context.Context, batch awsevents.DynamoDBEvent) (awsevents.DynamoDBEventResponse, error) {
	start := time.Now()
	removed := 0
	var messages []outbox.Message
	failed := map[int]bool{}      // records, by index
	records := map[string][]int{} // the records of a message's key
	for i, record := range batch.Records {
		if record.EventName == string(awsevents.DynamoDBOperationTypeRemove) {
			removed++ // the relay's own deletion
			continue
		}
		// MODIFY is a second transaction that wrote the same key: a handler
		// without Once whose event was delivered again. What it published
		// beyond the first would otherwise be lost.
		m, err := decode(record.Change.NewImage)
		if err != nil {
			failed[i] = true
			r.log.ErrorContext(ctx, "unreadable record", "sequenceNumber", record.Change.SequenceNumber, "reason", err.Error())
			continue
		}
		messages = append(messages, m)
		records[m.Key] = append(records[m.Key], i)
	}

	unsent, err := r.outbox.Send(ctx, messages)
	for _, key := range unsent {
		for _, i := range records[key] {
			failed[i] = true
		}
	}

	response := awsevents.DynamoDBEventResponse{BatchItemFailures: []awsevents.DynamoDBBatchItemFailure{}}
	if len(failed) > 0 {
		// Records come in the order of their sequence numbers.
		first := slices.Min(slices.Collect(maps.Keys(failed)))
		response.BatchItemFailures = append(response.BatchItemFailures,
			awsevents.DynamoDBBatchItemFailure{ItemIdentifier: batch.Records[first].Change.SequenceNumber})
	}
	r.report(ctx, len(batch.Records)-removed-len(failed), len(failed), err, time.Since(start))
	return response, nil
}

// report writes one line for a batch: how many outbox items were sent, how many
// failed, and why.
func (r *relay) report(ctx context.Context, sent, failed int, err error, took time.Duration) {
	level, reason := slog.LevelInfo, ""
	if failed > 0 {
		level = slog.LevelError
	}
	if err != nil {
		reason = err.Error()
	}
	r.log.LogAttrs(ctx, level, "relayed",
		slog.Int("sent", sent),
		slog.Int("failed", failed),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
	)
}

// decode reads the outbox item that a transaction wrote.
func decode(item map[string]awsevents.DynamoDBAttributeValue) (outbox.Message, error) {
	key, list := item["pk"], item["events"]
	if key.DataType() != awsevents.DataTypeString || list.DataType() != awsevents.DataTypeList {
		return outbox.Message{}, errors.New("the new image has no string pk and list events: is this the stream of an outbox table, with the view NEW_IMAGE?")
	}
	details := make([]string, len(list.List()))
	for i, d := range list.List() {
		if d.DataType() != awsevents.DataTypeString {
			return outbox.Message{}, fmt.Errorf("item %s: event %d is not a string", key.String(), i)
		}
		details[i] = d.String()
	}
	return outboxdynamo.Decode(key.String(), details)
}
