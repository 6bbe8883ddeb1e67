package local

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
)

// Services do not know each other: what one needs of another it declares, and
// the adapters here provide it.

// ruleTargets are the queues as EventBridge sees them.
type ruleTargets struct{ sqs *sqs.Service }

// Send implements [eventbridge.Queues].
func (t ruleTargets) Send(messages []eventbridge.QueueMessage) ([]error, error) {
	out := make([]sqs.Outgoing, len(messages))
	for i, m := range messages {
		out[i] = sqs.Outgoing{QueueARN: m.QueueARN, Body: m.Body, SourceARN: m.RuleARN, TraceHeader: m.TraceHeader}
		for name, value := range m.Attributes {
			if out[i].Attributes == nil {
				out[i].Attributes = map[string]sqs.MessageAttribute{}
			}
			out[i].Attributes[name] = sqs.MessageAttribute{DataType: "String", StringValue: &value}
		}
	}
	return t.sqs.SendFromService("events.amazonaws.com", out)
}

// scheduledFunctions are the functions as EventBridge's schedules see them.
type scheduledFunctions struct{ lambda *lambda.Lambda }

// Invoke implements [eventbridge.Functions].
func (f scheduledFunctions) Invoke(functionARN, ruleARN string, event []byte) error {
	return f.lambda.InvokeFromService("events.amazonaws.com", ruleARN, functionARN, event)
}

// resultBuses are the event buses as the destinations of functions.
type resultBuses struct{ e *Environment }

// PutEvent implements [lambda.Destinations].
func (b resultBuses) PutEvent(ctx context.Context, busARN, source, detailType string, resources []string, detail []byte) error {
	results, err := b.e.events.Put(ctx, []eventbridge.Entry{{
		EventBusName: busARN, Source: source, DetailType: detailType, Detail: string(detail), Resources: resources,
	}})
	if err == nil && results[0].ErrorCode != "" {
		err = &awswire.Error{Code: results[0].ErrorCode, Message: results[0].ErrorMessage}
	}
	return err
}

// mappedQueues are the queues as Lambda's pollers see them.
type mappedQueues struct{ sqs *sqs.Service }

// Receive implements [lambda.Queues].
func (q mappedQueues) Receive(ctx context.Context, queueARN string, most, mostBytes int, wait time.Duration) ([]lambda.QueueMessage, error) {
	got, err := q.sqs.Receive(ctx, queueARN, most, mostBytes, wait)
	if err != nil {
		return nil, err
	}
	out := make([]lambda.QueueMessage, len(got))
	for i, r := range got {
		out[i] = lambda.QueueMessage{
			ID: r.ID, ReceiptHandle: r.ReceiptHandle, Body: r.Body, BodyMD5: r.BodyMD5(), SenderID: r.SenderID,
			SentAt: r.SentAt, FirstReceivedAt: r.FirstReceived, ReceiveCount: r.ReceiveCount, DeadLetterSource: r.DeadLetterSource,
			GroupID: r.GroupID, TraceHeader: r.TraceHeader,
		}
		for name, a := range r.Attributes {
			if out[i].Attributes == nil {
				out[i].Attributes = map[string]lambda.QueueAttribute{}
			}
			out[i].Attributes[name] = lambda.QueueAttribute(a)
		}
	}
	return out, nil
}

// Delete implements [lambda.Queues].
func (q mappedQueues) Delete(_ context.Context, queueARN string, handles []string) error {
	return q.sqs.Delete(queueARN, handles)
}

// Send implements [lambda.Queues].
func (q mappedQueues) Send(_ context.Context, queueARN, body string) error {
	return q.sqs.Send(queueARN, body)
}

// Policy implements [lambda.Queues].
func (q mappedQueues) Policy(queueARN string) *policy.Policy { return q.sqs.Policy(queueARN) }

// VisibilityTimeout implements [lambda.Queues].
func (q mappedQueues) VisibilityTimeout(queueARN string) (time.Duration, error) {
	return q.sqs.VisibilityTimeout(queueARN)
}

// mappedStreams are the tables' streams as Lambda's pollers see them.
type mappedStreams struct{ dynamodb *dynamodb.Service }

// Read implements [lambda.Streams].
func (s mappedStreams) Read(ctx context.Context, streamARN string, after uint64, most int) ([]lambda.StreamRecord, error) {
	got, err := s.dynamodb.ReadStream(ctx, streamARN, after, most)
	if err != nil {
		return nil, err
	}
	out := make([]lambda.StreamRecord, len(got))
	for i, r := range got {
		out[i] = lambda.StreamRecord{Sequence: r.Sequence, Key: r.Key, At: r.At, JSON: r.JSON}
	}
	return out, nil
}

// Latest implements [lambda.Streams].
func (s mappedStreams) Latest(_ context.Context, streamARN string) (uint64, error) {
	return s.dynamodb.LatestRecord(streamARN)
}

// Trim implements [lambda.Streams].
func (s mappedStreams) Trim(ctx context.Context, streamARN string, upTo uint64) error {
	return s.dynamodb.TrimStream(ctx, streamARN, upTo)
}
