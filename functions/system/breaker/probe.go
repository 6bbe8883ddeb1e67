package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
)

// A probe takes ten messages at most, which is what one receive gives, and less
// than Lambda takes in an invocation: 6 MB ("Lambda quotas"), with room for what
// JSON adds.
const (
	probeMessages = 10
	probeBytes    = 4 << 20
)

// probe hands a stopped subscription's function a few of the events that wait, as
// its mapping would, and resumes the subscription if it handles them. The events
// count as received; what fails comes back, or goes to the DLQ, as always.
func (b *breaker) probe(ctx context.Context, r stops.Record) error {
	// Whoever moves the time on is the one that probes.
	r.ProbeAt = time.Now().UTC().Add(r.ProbeAfter).Truncate(time.Millisecond)
	r, err := b.stops.Put(ctx, r)
	if errors.Is(err, stops.ErrChanged) {
		return nil
	}
	if err != nil {
		return err
	}
	url, err := b.queueURL(ctx, r.Queue)
	if err != nil {
		return err
	}
	out, err := b.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: probeMessages, WaitTimeSeconds: 1,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return err
	}
	log := b.log.With("subscription", r.String())
	messages, rest := fitting(out.Messages)
	if err := b.release(ctx, url, rest); err != nil {
		return err
	}
	if len(messages) == 0 {
		log.InfoContext(ctx, "not probed: no event waits that can be received now", "next", r.ProbeAt)
		return nil
	}
	failed, err := b.try(ctx, r, messages)
	if err != nil {
		return err
	}
	if err := b.deleteMessages(ctx, url, slices.DeleteFunc(slices.Clone(messages), func(m types.Message) bool { return failed[*m.MessageId] })); err != nil {
		return err
	}
	limit, err := b.threshold(ctx, r)
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "probed", "events", len(messages), "failed", len(failed))
	if float64(100*len(failed)) >= limit*float64(len(messages)) {
		return nil
	}
	resumed, err := b.stops.Resume(ctx, r.Subscription, stops.Cause{
		By: penstock.ActorBreaker, Reason: fmt.Sprintf("The function handled %d of %d events that it was tried with", len(messages)-len(failed), len(messages)),
	})
	if err != nil {
		return err
	}
	_, err = b.settle(ctx, resumed)
	return err
}

// fitting returns the messages that one invocation holds, and the others.
func fitting(all []types.Message) (fit, rest []types.Message) {
	size := 0
	for i, m := range all {
		if size += len(*m.Body); size > probeBytes && i > 0 {
			return all[:i], all[i:]
		}
	}
	return all, nil
}

// try invokes the function, and returns the ids of the messages that it failed.
func (b *breaker) try(ctx context.Context, r stops.Record, messages []types.Message) (map[string]bool, error) {
	var event awsevents.SQSEvent
	for _, m := range messages {
		event.Records = append(event.Records, record(r.Queue, m))
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	out, err := b.lambda.Invoke(ctx, &awslambda.InvokeInput{FunctionName: &r.Lambda, Payload: payload})
	if err != nil {
		return nil, err
	}
	failed := map[string]bool{}
	var response awsevents.SQSEventResponse
	if out.FunctionError != nil || len(out.Payload) > 0 && json.Unmarshal(out.Payload, &response) != nil {
		for _, m := range messages {
			failed[*m.MessageId] = true
		}
	}
	for _, f := range response.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	return failed, nil
}

// record is a message as an event source mapping hands it over ("Example standard
// queue message event").
func record(queueARN string, m types.Message) awsevents.SQSMessage {
	out := awsevents.SQSMessage{
		MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Md5OfBody: aws.ToString(m.MD5OfBody),
		Attributes: maps.Clone(m.Attributes), MessageAttributes: map[string]awsevents.SQSMessageAttribute{},
		EventSourceARN: queueARN, EventSource: "aws:sqs", AWSRegion: strings.Split(queueARN, ":")[3],
	}
	for name, a := range m.MessageAttributes {
		out.MessageAttributes[name] = awsevents.SQSMessageAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: aws.ToString(a.DataType)}
	}
	return out
}

// threshold is the percentage of failures from which on the alarm breaches; any
// failure, if there is no alarm any more.
func (b *breaker) threshold(ctx context.Context, r stops.Record) (float64, error) {
	alarm, err := b.describeAlarm(ctx, r.Alarm)
	if err != nil || alarm == nil {
		return 1, err
	}
	return aws.ToFloat64(alarm.Threshold), nil
}

func (b *breaker) deleteMessages(ctx context.Context, url string, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &url}
	for _, m := range messages {
		in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
	}
	out, err := b.queues.DeleteMessageBatch(ctx, in)
	if err == nil && len(out.Failed) > 0 {
		// It is handled again, as after any redelivery.
		err = fmt.Errorf("%d of %d handled messages could not be deleted: %s", len(out.Failed), len(messages), aws.ToString(out.Failed[0].Message))
	}
	return err
}

// release makes messages visible again.
func (b *breaker) release(ctx context.Context, url string, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	in := &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
	for _, m := range messages {
		in.Entries = append(in.Entries, types.ChangeMessageVisibilityBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
	}
	_, err := b.queues.ChangeMessageVisibilityBatch(ctx, in)
	return err
}
