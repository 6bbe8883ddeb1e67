package scenarios

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// ignore drops an error of type E.
func ignore[E error](err error) error {
	var e E
	if errors.As(err, &e) {
		return nil
	}
	return err
}

// send sends a message, without noting it.
func (r *run) send(url *string, body string) {
	must(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}))
}

// receive notes what is in a queue now.
func (r *run) receive(url *string) {
	out, err := r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"}})
	r.see(out, err)
}

// await waits until a queue hands out a message, notes and returns it.
func (r *run) await(url *string) types.Message {
	var out *sqs.ReceiveMessageOutput
	r.until("a message", func() bool {
		out = must(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5,
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"}, MessageAttributeNames: []string{"All"}}))
		return len(out.Messages) > 0
	})
	r.see(out, nil)
	return out.Messages[0]
}

// depth is how many messages of a queue are visible.
func (r *run) depth(url *string) string {
	name := types.QueueAttributeNameApproximateNumberOfMessages
	return must(r.sqs.GetQueueAttributes(r.ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: []types.QueueAttributeName{name}})).Attributes[string(name)]
}

// counts are the attributes that count a queue's messages.
var counts = []types.QueueAttributeName{
	"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
}

// seeVisibility notes what changing a message's visibility answers.
func (r *run) seeVisibility(url, handle *string, seconds int32) {
	r.see(r.sqs.ChangeMessageVisibility(r.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: handle, VisibilityTimeout: seconds}))
}

func text(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: str("String"), StringValue: &value}
}

func messages() []Scenario {
	return scenarios("sqs",
		Scenario{Name: "a message is sent, received and deleted", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("hello")}))
			out, err := r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
			r.see(out, err)
			r.see(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle}))
			r.see(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: out.Messages[0].ReceiptHandle}))
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "message attributes of every type come back, with their MD5", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("hello"), MessageAttributes: map[string]types.MessageAttributeValue{
				"Reason": text("why"), "Count": {DataType: str("Number"), StringValue: str("12.50")}, "Raw": {DataType: str("Binary"), BinaryValue: []byte{1, 2, 3}},
				"Unit.Of": {DataType: str("Number.seconds"), StringValue: str("7")},
			}}))
			r.await(url)
		}},
		Scenario{Name: "only the attributes asked for are received", play: func(r *run) {
			url := r.queue("q", "VisibilityTimeout", "0")
			must(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("hello"), MessageAttributes: map[string]types.MessageAttributeValue{
				"app.one": text("1"), "app.two": text("2"), "other": text("3"),
			}}))
			for _, names := range [][]string{nil, {"app.one"}, {"app.*"}, {".*"}, {"none"}} {
				out := must(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageAttributeNames: names}))
				r.note(fmt.Sprint(names), out.Messages[0].MessageAttributes)
				r.note(fmt.Sprint("MD5 of ", names), out.Messages[0].MD5OfMessageAttributes)
			}
		}},
		Scenario{Name: "message attributes that are not valid are refused", play: func(r *run) {
			url := r.queue("q")
			for _, c := range []struct {
				name  string
				value types.MessageAttributeValue
			}{
				{"a b", text("x")}, {"AWS.x", text("x")}, {".x", text("x")}, {"x..y", text("x")}, {"empty", text("")},
				{"kind", types.MessageAttributeValue{DataType: str("Text"), StringValue: str("x")}},
				{"number", types.MessageAttributeValue{DataType: str("Number"), StringValue: str("seven")}},
				{"mixed", types.MessageAttributeValue{DataType: str("Binary"), StringValue: str("x")}},
			} {
				r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x"), MessageAttributes: map[string]types.MessageAttributeValue{c.name: c.value}}))
			}
			many := map[string]types.MessageAttributeValue{}
			for i := range 11 {
				many[fmt.Sprint("a", i)] = text("x")
			}
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x"), MessageAttributes: many}))
		}},
		Scenario{Name: "a trace header is a system attribute", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("hello"), MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: str("String"), StringValue: str("Root=1-5759e988-bd862e3fe1be46a994272793")},
			}}))
			r.see(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"AWSTraceHeader"}}))
		}},
		Scenario{Name: "bodies have a size and a character set", play: func(r *run) {
			url := r.queue("q", "MaximumMessageSize", "1024")
			for _, body := range []string{"", "bell\x07", strings.Repeat("x", 1024), strings.Repeat("x", 1025), "tab\tand ünïcode 🎈"} {
				r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}))
			}
		}},
		Scenario{Name: "message attributes count towards the size", play: func(r *run) {
			url := r.queue("q", "MaximumMessageSize", "1024")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str(strings.Repeat("x", 1000)), MessageAttributes: map[string]types.MessageAttributeValue{"name": text(strings.Repeat("y", 20))}}))
		}},
		Scenario{Name: "a delayed message shows later", play: func(r *run) {
			url := r.queue("q")
			must(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("in a second"), DelaySeconds: 1}))
			r.await(url)
			must(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("much later"), DelaySeconds: 900}))
			r.receive(url)
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "a delay is at most 15 minutes", play: func(r *run) {
			url := r.queue("q")
			for _, delay := range []int32{900, 901, -1} {
				r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x"), DelaySeconds: delay}))
			}
		}},
		Scenario{Name: "the delay of a queue is that of its messages", play: func(r *run) {
			url := r.queue("q", "DelaySeconds", "900")
			r.send(url, "much later")
			r.receive(url)
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "a message comes back after its visibility timeout, with another receipt", play: func(r *run) {
			url := r.queue("q", "VisibilityTimeout", "1")
			r.send(url, "again")
			first := r.await(url)
			second := r.await(url)
			r.note("another receipt", *first.ReceiptHandle != *second.ReceiptHandle)
		}},
		Scenario{Name: "a visibility of zero hands a message out again at once", play: func(r *run) {
			url := r.queue("q")
			r.send(url, "again")
			m := r.await(url)
			r.seeVisibility(url, m.ReceiptHandle, 0)
			r.await(url)
		}},
		Scenario{Name: "a receive may hide a message for longer than its queue does", play: func(r *run) {
			url := r.queue("q", "VisibilityTimeout", "0")
			r.send(url, "long")
			r.await(url)
			must(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, VisibilityTimeout: 600}))
			r.receive(url)
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "visibility out of range, and receipts that are none, are refused", play: func(r *run) {
			url := r.queue("q")
			r.send(url, "x")
			m := r.await(url)
			r.seeVisibility(url, m.ReceiptHandle, 43_201)
			r.seeVisibility(url, m.ReceiptHandle, -1)
			r.seeVisibility(url, str("nonsense"), 5)
			r.see(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: str("nonsense")}))
		}},
		Scenario{Name: "the visibility of what is not in flight cannot change", play: func(r *run) {
			url := r.queue("q")
			r.send(url, "x")
			m := r.await(url)
			must(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}))
			r.seeVisibility(url, m.ReceiptHandle, 5)
		}},
		Scenario{Name: "receiving has its ranges", play: func(r *run) {
			url := r.queue("q")
			for _, in := range []sqs.ReceiveMessageInput{
				{MaxNumberOfMessages: 11}, {MaxNumberOfMessages: -1}, {WaitTimeSeconds: 21}, {VisibilityTimeout: 43_201},
			} {
				in.QueueUrl = url
				r.see(r.sqs.ReceiveMessage(r.ctx, &in))
			}
		}},
		Scenario{Name: "a batch is sent and deleted entry by entry", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessageBatch(r.ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
				{Id: str("one"), MessageBody: str("1")}, {Id: str("two"), MessageBody: str("2"), MessageAttributes: map[string]types.MessageAttributeValue{"x": text("x")}},
			}}))
			m := r.await(url)
			r.see(r.sqs.DeleteMessageBatch(r.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
				{Id: str("good"), ReceiptHandle: m.ReceiptHandle}, {Id: str("bad"), ReceiptHandle: str("nonsense")},
			}}))
		}},
		Scenario{Name: "a batch fails entry by entry", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessageBatch(r.ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
				{Id: str("one"), MessageBody: str("1")},
				{Id: str("delay"), MessageBody: str("2"), DelaySeconds: 901},
				{Id: str("kind"), MessageBody: str("3"), MessageAttributes: map[string]types.MessageAttributeValue{"x": {DataType: str("Text"), StringValue: str("x")}}},
				{Id: str("character"), MessageBody: str("\x07")},
			}}))
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "a batch as a whole has its rules", play: func(r *run) {
			url := r.queue("q")
			entries := func(ids ...string) *sqs.SendMessageBatchInput {
				in := &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{}}
				for _, id := range ids {
					in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: str(id), MessageBody: str("x")})
				}
				return in
			}
			for _, ids := range [][]string{{}, {"a", "a"}, {"a b"}, {strings.Repeat("x", 81)}, {"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}} {
				r.see(r.sqs.SendMessageBatch(r.ctx, entries(ids...)))
			}
			half := strings.Repeat("x", 600<<10)
			r.see(r.sqs.SendMessageBatch(r.ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
				{Id: str("a"), MessageBody: &half}, {Id: str("b"), MessageBody: &half},
			}}))
			r.seeAttributes(url, counts...)
		}},
		Scenario{Name: "visibility is changed in a batch", play: func(r *run) {
			url := r.queue("q")
			r.send(url, "x")
			m := r.await(url)
			r.see(r.sqs.ChangeMessageVisibilityBatch(r.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
				{Id: str("good"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}, {Id: str("bad"), ReceiptHandle: str("nonsense"), VisibilityTimeout: 5},
				{Id: str("long"), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 43_201},
			}}))
			r.see(r.sqs.ChangeMessageVisibilityBatch(r.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{}}))
			r.await(url)
		}},
		Scenario{Name: "what only FIFO queues have is refused", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x"), MessageDeduplicationId: str("d")}))
			r.seeSet(url, "ContentBasedDeduplication", "true")
		}},
		Scenario{Name: "a message may have a group, for fairness", play: func(r *run) {
			url := r.queue("q")
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x"), MessageGroupId: str("tenant-1")}))
			r.see(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId"}}))
		}},
	)
}
