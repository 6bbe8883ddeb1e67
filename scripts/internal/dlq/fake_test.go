package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// fakeSQS has two queues, "dlq" and "queue", by the clock of the test.
type fakeSQS struct {
	mu     sync.Mutex
	queues map[string][]*fakeMessage
	policy string // the DLQ's redrive policy
	next   int

	refuseDeletes bool
	loseAnswers   bool               // of sends: SQS takes the messages, and nobody hears of it
	onDelete      func(ids []string) // before messages are deleted
	refuseSend    string             // a body
}

type fakeMessage struct {
	types.Message
	sent     time.Time
	visible  time.Time
	received int
}

func newFake() *fakeSQS { return &fakeSQS{queues: map[string][]*fakeMessage{"dlq": nil, "queue": nil}} }

func (f *fakeSQS) put(queue, body string, attributes map[string]types.MessageAttributeValue) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	id := fmt.Sprintf("m-%d", f.next)
	now := time.Now()
	f.queues[queue] = append(f.queues[queue], &fakeMessage{Message: types.Message{MessageId: &id, Body: &body, MessageAttributes: attributes}, sent: now, visible: now})
	return id
}

// visible are the ids of the messages that can be received.
func (f *fakeSQS) visible(queue string) (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.queues[queue] {
		if !m.visible.After(time.Now()) {
			ids = append(ids, *m.MessageId)
		}
	}
	return ids
}

func (f *fakeSQS) bodies(queue string) (bodies []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.queues[queue] {
		bodies = append(bodies, *m.Body)
	}
	return bodies
}

func (f *fakeSQS) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	if _, exists := f.queues[*in.QueueName]; !exists {
		return nil, &types.QueueDoesNotExist{}
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: in.QueueName}, nil
}

func (f *fakeSQS) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	visible := len(f.visible(*in.QueueUrl))
	out := map[string]string{
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(len(f.bodies(*in.QueueUrl)) - visible),
	}
	if f.policy != "" {
		out["RedrivePolicy"] = f.policy
	}
	return &sqs.GetQueueAttributesOutput{Attributes: out}, nil
}

func (f *fakeSQS) ReceiveMessage(_ context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	if in.WaitTimeSeconds > 0 && len(f.visible(*in.QueueUrl)) == 0 {
		time.Sleep(time.Duration(in.WaitTimeSeconds) * time.Second) // the test's clock
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.ReceiveMessageOutput{}
	now := time.Now()
	for _, m := range f.queues[*in.QueueUrl] {
		if len(out.Messages) == int(in.MaxNumberOfMessages) {
			break
		}
		if m.visible.After(now) {
			continue
		}
		m.received++
		m.visible = now.Add(time.Duration(in.VisibilityTimeout) * time.Second)
		copied := m.Message
		copied.ReceiptHandle = aws.String(fmt.Sprintf("%s/%d", *m.MessageId, m.received))
		copied.Attributes = map[string]string{
			"SentTimestamp": strconv.FormatInt(m.sent.UnixMilli(), 10), "ApproximateReceiveCount": strconv.Itoa(m.received),
		}
		out.Messages = append(out.Messages, copied)
	}
	return out, nil
}

var errLost = errors.New("the connection broke")

func (f *fakeSQS) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	out := &sqs.SendMessageBatchOutput{}
	bytes := 0
	for _, e := range in.Entries {
		bytes += len(*e.MessageBody)
		if *e.MessageBody == f.refuseSend {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError"), Message: aws.String("try again")})
			continue
		}
		f.put(*in.QueueUrl, *e.MessageBody, e.MessageAttributes)
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
	}
	if len(in.Entries) > 10 || bytes > 1<<20 {
		return nil, errors.New("the batch is too large")
	}
	if f.loseAnswers {
		return nil, errLost
	}
	return out, nil
}

// find finds the message of a handle that is its latest.
func (f *fakeSQS) find(queue string, handle *string) int {
	return slices.IndexFunc(f.queues[queue], func(m *fakeMessage) bool { return fmt.Sprintf("%s/%d", *m.MessageId, m.received) == *handle })
}

func (f *fakeSQS) DeleteMessageBatch(_ context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuseDeletes {
		return nil, errLost
	}
	out := &sqs.DeleteMessageBatchOutput{}
	for _, e := range in.Entries {
		i := f.find(*in.QueueUrl, e.ReceiptHandle)
		if i < 0 {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("ReceiptHandleIsInvalid")})
			continue
		}
		if f.onDelete != nil {
			f.onDelete([]string{*f.queues[*in.QueueUrl][i].MessageId})
		}
		f.queues[*in.QueueUrl] = slices.Delete(f.queues[*in.QueueUrl], i, i+1)
		out.Successful = append(out.Successful, types.DeleteMessageBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

func (f *fakeSQS) ChangeMessageVisibilityBatch(_ context.Context, in *sqs.ChangeMessageVisibilityBatchInput, _ ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &sqs.ChangeMessageVisibilityBatchOutput{}
	for _, e := range in.Entries {
		i := f.find(*in.QueueUrl, e.ReceiptHandle)
		if i < 0 {
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("ReceiptHandleIsInvalid")})
			continue
		}
		f.queues[*in.QueueUrl][i].visible = time.Now().Add(time.Duration(e.VisibilityTimeout) * time.Second)
		out.Successful = append(out.Successful, types.ChangeMessageVisibilityBatchResultEntry{Id: e.Id})
	}
	return out, nil
}

// event is the body of a message with an event.
func event(id string, amount int) string {
	return fmt.Sprintf(`{"version":"0","id":"x","source":"savings","detail-type":"SAVINGS_WITHDRAWAL","resources":[],"detail":{"metadata":{"id":%q,"correlationId":"c","occurredAt":"2026-03-02T09:00:00Z"},"data":{"amount":%d}}}`, id, amount)
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// given are the attributes of a message that its function gave up.
func given(reason string, more map[string]string) map[string]types.MessageAttributeValue {
	out := map[string]types.MessageAttributeValue{queue.Reason: text(reason), queue.Source: text("arn:aws:sqs:eu-west-1:1:queue"), queue.Receives: text("1")}
	for name, value := range more {
		out[name] = text(value)
	}
	return out
}

func texts(attributes map[string]types.MessageAttributeValue) map[string]string {
	out := map[string]string{}
	for name, a := range maps.All(attributes) {
		out[name] = aws.ToString(a.StringValue)
	}
	return out
}
