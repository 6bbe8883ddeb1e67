package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
)

// concurrency is how many PutEvents calls of a batch, of 10 events each, are
// under way at once.
const concurrency = 16

// sendMargin is how long before the function's timeout sending ends: time to say
// what was not sent.
const sendMargin = 5 * time.Second

// trigger is what Lambda calls, with one batch of the stream at a time.
type trigger struct {
	bus outbox.Bus
	log *slog.Logger

	app, env string // of the metrics
}

// newTrigger reads the settings that the deployment gives it.
func newTrigger(bus eventbus.API, getenv func(string) string, log *slog.Logger) (*trigger, error) {
	for _, name := range []string{"PENSTOCK_APP", "PENSTOCK_ENV", "PENSTOCK_BUS"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: the deployment gives it", name)
		}
	}
	return &trigger{
		bus: eventbus.New(bus, getenv("PENSTOCK_BUS"), eventbus.WithConcurrency(concurrency), eventbus.WithLogger(log, slog.LevelInfo)),
		log: log, app: getenv("PENSTOCK_APP"), env: getenv("PENSTOCK_ENV"),
	}, nil
}

// handle announces what a batch says. The answer names the first record whose
// event is to be sent again: Lambda delivers everything from there on again
// ("Configuring partial batch response with DynamoDB and Lambda"), and what has
// been sent since may be sent twice, with the id it has.
func (t *trigger) handle(ctx context.Context, in awsevents.DynamoDBEvent) (awsevents.DynamoDBEventResponse, error) {
	response := awsevents.DynamoDBEventResponse{BatchItemFailures: []awsevents.DynamoDBBatchItemFailure{}}
	if in.Records == nil {
		return response, errors.New("the event is no batch of a DynamoDB stream: what invokes this function?")
	}
	start := time.Now()
	var out result
	var messages []outbox.Message // their keys are sequence numbers
	for _, r := range in.Records {
		entry, ok, err := entryOf(r)
		if err != nil {
			t.lose(ctx, &out, r.Change.SequenceNumber, err.Error())
		} else if ok {
			messages = append(messages, outbox.Message{Key: r.Change.SequenceNumber, Entries: []events.Entry{entry}})
		}
	}
	sendCtx, cancel := ctx, context.CancelFunc(func() {})
	if deadline, ok := ctx.Deadline(); ok {
		sendCtx, cancel = context.WithDeadline(ctx, deadline.Add(-sendMargin))
	}
	delivered := outbox.Deliver(sendCtx, t.bus, messages)
	cancel()
	for _, refusal := range delivered.Refused {
		t.lose(ctx, &out, refusal.Key, refusal.Reason)
	}
	out.sent, out.failed = len(delivered.Sent), len(delivered.Failed)
	if out.failed > 0 { // in the order of messages, and so of the stream
		out.err = delivered.Err
		response.BatchItemFailures = append(response.BatchItemFailures, awsevents.DynamoDBBatchItemFailure{ItemIdentifier: delivered.Failed[0]})
	}
	t.report(ctx, out, time.Since(start))
	return response, nil
}

// entryOf makes what is sent of the record.
func entryOf(r awsevents.DynamoDBEventRecord) (events.Entry, bool, error) {
	envelope, ok, err := eventOf(r)
	if err != nil || !ok {
		return events.Entry{}, false, err
	}
	entry, err := envelope.Entry()
	return entry, err == nil, err
}

// lose passes by a change that can never be announced.
func (t *trigger) lose(ctx context.Context, out *result, sequence, reason string) {
	out.lost++
	t.log.ErrorContext(ctx, "a change is not announced", "sequenceNumber", sequence, "reason", reason)
}
