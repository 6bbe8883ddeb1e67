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
)

// concurrency is how many PutEvents calls of a batch, of 10 events each, are
// under way at once.
const concurrency = 16

// sendMargin is how long before the function's timeout sending ends: time to say
// what was not sent.
const sendMargin = 5 * time.Second

// trigger is what Lambda calls, with one batch of the stream at a time.
type trigger struct {
	bus *eventbus.Publisher
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
	var entries []events.Entry
	sequences := map[string]string{} // of the records, by the events' ids
	for _, r := range in.Records {
		entry, ok, err := entryOf(r)
		if err != nil { // not of the data API: it never will be announced
			out.lost++
			t.log.ErrorContext(ctx, "a change is not announced", "sequenceNumber", r.Change.SequenceNumber, "reason", err.Error())
		} else if ok {
			entries = append(entries, entry)
			sequences[entry.ID] = r.Change.SequenceNumber
		}
	}
	unsent, err := t.send(ctx, entries)
	out.sent, out.failed, out.err = len(entries)-len(unsent), len(unsent), err
	for _, e := range entries { // in the order of the stream
		if unsent[e.ID] {
			response.BatchItemFailures = append(response.BatchItemFailures, awsevents.DynamoDBBatchItemFailure{ItemIdentifier: sequences[e.ID]})
			break
		}
	}
	t.report(ctx, out, time.Since(start))
	return response, nil
}

// send puts events on the bus, and returns the ids of those that it has not
// taken, and why. All are to be sent again: what the bus refuses of these events
// is never the events' own fault, but, as a missing permission, the deployment's.
func (t *trigger) send(ctx context.Context, entries []events.Entry) (unsent map[string]bool, err error) {
	if len(entries) == 0 {
		return nil, nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-sendMargin))
		defer cancel()
	}
	err = t.bus.PutEntries(ctx, entries)
	unsent = map[string]bool{}
	if failed := (*events.PublishError)(nil); errors.As(err, &failed) {
		for _, f := range failed.Failed {
			unsent[f.ID] = true
		}
	}
	return unsent, err
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
