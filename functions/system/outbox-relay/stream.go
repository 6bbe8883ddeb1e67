package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
)

// stream publishes the events of a batch of the table's stream and removes them
// from the table.
//
// The answer names the first record that failed. Lambda takes a stream's batch
// as done up to there and delivers everything from there on again ("Configuring
// partial batch response with DynamoDB and Lambda"), what has been sent since
// included: an event may reach the bus twice, with the id it has. Lambda waits
// longer before each time, and never gives up: so the relay backs off from a
// bus that it cannot reach.
func (r *relay) stream(ctx context.Context, records []awsevents.DynamoDBEventRecord) awsevents.DynamoDBEventResponse {
	start := time.Now()
	var messages []outbox.Message
	var bad []outbox.Refusal
	keys := make([]string, len(records)) // of the records that are to be sent
	for i, record := range records {
		// An INSERT is a commit, a MODIFY an item that was put back; a REMOVE
		// is the relay's own deletion.
		image := record.Change.NewImage
		if _, setAside := image[outboxdynamo.SetAsideAttribute]; setAside || record.EventName == string(awsevents.DynamoDBOperationTypeRemove) {
			continue
		}
		key := record.Change.Keys["pk"]
		if key.DataType() != awsevents.DataTypeString || image == nil {
			// Not one item's fault, but the deployment's: nothing is sent.
			return r.misconfigured(ctx, records, i)
		}
		keys[i] = key.String()
		m, err := decode(keys[i], image)
		if err != nil {
			bad = append(bad, outbox.Refusal{Message: outbox.Message{Key: keys[i]}, Reason: err.Error()})
			continue
		}
		messages = append(messages, m)
	}
	out := r.send(ctx, messages, bad)
	response := awsevents.DynamoDBEventResponse{BatchItemFailures: []awsevents.DynamoDBBatchItemFailure{}}
	for i, key := range keys {
		if out.unsent[key] { // no event has the key ""
			// Records come in the order of their sequence numbers.
			response.BatchItemFailures = append(response.BatchItemFailures,
				awsevents.DynamoDBBatchItemFailure{ItemIdentifier: records[i].Change.SequenceNumber})
			break
		}
	}
	r.report(ctx, "relayed", out, time.Since(start), nil)
	return response
}

// misconfigured has the whole batch delivered again, until a person has looked:
// what committed is never passed by.
func (r *relay) misconfigured(ctx context.Context, records []awsevents.DynamoDBEventRecord, i int) awsevents.DynamoDBEventResponse {
	record := records[i]
	r.log.ErrorContext(ctx, "unreadable record: is this the stream of an outbox table, with the key pk and the view NEW_IMAGE?",
		slog.String("sequenceNumber", record.Change.SequenceNumber), slog.String("source", record.EventSourceArn))
	return awsevents.DynamoDBEventResponse{BatchItemFailures: []awsevents.DynamoDBBatchItemFailure{{ItemIdentifier: records[0].Change.SequenceNumber}}}
}

// decode reads the outbox item that a transaction wrote.
func decode(key string, image map[string]awsevents.DynamoDBAttributeValue) (outbox.Message, error) {
	list := image["events"]
	if list.DataType() != awsevents.DataTypeList {
		return outbox.Message{}, errors.New("the item has no list events")
	}
	details := make([]string, len(list.List()))
	for i, d := range list.List() {
		if d.DataType() != awsevents.DataTypeString {
			return outbox.Message{}, fmt.Errorf("event %d is not a string", i)
		}
		details[i] = d.String()
	}
	return outboxdynamo.Decode(key, details)
}
