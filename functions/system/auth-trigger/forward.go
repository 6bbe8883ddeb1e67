package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
)

// unsent is a message of the queue: an event that did not get onto the bus in
// time.
type unsent struct {
	ID         string          `json:"id"`
	Source     string          `json:"source"`
	DetailType string          `json:"detailType"`
	Detail     json.RawMessage `json:"detail"`
}

// forward puts what is in the queue on the bus. A message that fails comes back,
// and goes to the queue's DLQ in the end.
func (t *trigger) forward(ctx context.Context, messages []awsevents.SQSMessage) awsevents.SQSEventResponse {
	response := awsevents.SQSEventResponse{BatchItemFailures: []awsevents.SQSBatchItemFailure{}}
	for _, m := range messages {
		var u unsent
		err := json.Unmarshal([]byte(m.Body), &u)
		typ := events.Type{Source: u.Source, Name: u.DetailType}
		if err == nil && u.ID == "" {
			err = errors.New("the message has no event")
		}
		if err == nil {
			err = t.bus.PutEntries(ctx, []events.Entry{{ID: u.ID, Type: typ, Detail: u.Detail}})
		}
		if err != nil {
			t.log.ErrorContext(ctx, "not forwarded", "messageId", m.MessageId, "reason", fmt.Sprint(err))
			response.BatchItemFailures = append(response.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			continue
		}
		t.count(ctx, metricSent, nil, about(u.ID, typ, "")...)
	}
	return response
}
