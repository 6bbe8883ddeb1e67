package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/time/rate"

	"github.com/penstock-dev/penstock/events/pattern"
)

// forwarder moves events from a temporary queue to a subscription's.
type forwarder struct {
	queues   *sqs.Client
	from, to string // URLs
	rate     float64
	limiter  *rate.Limiter
	matches  *pattern.Pattern // nil: all
	group    *string          // the message group that the rule's target gives its messages; nil: none

	forwarded, leftOut atomic.Int64
}

const (
	// batch is how many messages one call takes, and maxBatchBytes how many bytes
	// ("Amazon SQS message quotas"); a little is left for what is around them.
	batch         = 10
	maxBatchBytes = 1<<20 - 16<<10

	// perWorker is how many events a second one worker forwards: three calls of up to
	// 100 ms for ten of them, and some.
	perWorker  = 25
	maxWorkers = 32
)

// newForwarder forwards so many events a second; 0 is as many as it can.
func newForwarder(queues *sqs.Client, from, to string, perSecond float64) *forwarder {
	f := &forwarder{queues: queues, from: from, to: to, rate: perSecond}
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	f.limiter = rate.NewLimiter(limit, f.atOnce())
	return f
}

// workers is how many work at once.
func (f *forwarder) workers() int {
	if f.rate == 0 {
		return 8
	}
	return min(maxWorkers, 1+int(f.rate/perWorker))
}

// atOnce is how many messages a worker receives at once: as many as have their turn
// within two seconds, so that none becomes visible again before (a received message
// is hidden for 30 s by default).
func (f *forwarder) atOnce() int {
	if f.rate == 0 {
		return batch
	}
	return max(1, min(batch, int(2*f.rate)))
}

// work forwards until ctx ends, which is no error.
func (f *forwarder) work(ctx context.Context) error {
	for {
		err := f.next(ctx)
		var gone *types.QueueDoesNotExist
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &gone):
			return fmt.Errorf("a queue is gone (was the replay cancelled, or the subscription removed?): %w", err)
		case err != nil:
			return err
		}
	}
}

// next receives some messages, forwards those that match, and deletes those that were
// forwarded or do not match. A message that is not deleted comes back.
func (f *forwarder) next(ctx context.Context) error {
	slow := f.rate > 0 && f.rate < 1
	if slow { // the wait for its turn is not the message's
		if err := f.limiter.Wait(ctx); err != nil {
			return err
		}
	}
	out, err := f.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &f.from, MaxNumberOfMessages: int32(f.atOnce()), WaitTimeSeconds: 1,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAWSTraceHeader},
	})
	if err != nil {
		return err
	}
	var send, done []types.Message
	for _, m := range out.Messages {
		if f.matches != nil {
			matches, err := f.matches.Match([]byte(aws.ToString(m.Body)))
			if err != nil {
				return fmt.Errorf("an event in the temporary queue: %w", err)
			}
			if !matches {
				done = append(done, m)
				continue
			}
		}
		send = append(send, m)
	}
	f.leftOut.Add(int64(len(done)))
	if len(send) > 0 && !slow {
		if err := f.limiter.WaitN(ctx, len(send)); err != nil {
			return err
		}
	}
	for len(send) > 0 {
		n := fits(send)
		sent, err := f.send(ctx, send[:n])
		f.forwarded.Add(int64(len(sent)))
		if errs := errors.Join(err, f.delete(ctx, sent)); errs != nil {
			return errs
		}
		send = send[n:]
	}
	return f.delete(ctx, done)
}

// fits is how many of the messages go into one call.
func fits(messages []types.Message) int {
	size := 0
	for i, m := range messages {
		if size += len(aws.ToString(m.Body)); size > maxBatchBytes && i > 0 {
			return i
		}
	}
	return len(messages)
}

// send sends messages as EventBridge would have, and returns those that SQS took.
// Once it has begun it is not cut short, so that what was sent is known.
func (f *forwarder) send(ctx context.Context, messages []types.Message) ([]types.Message, error) {
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: m.Body, MessageGroupId: f.group}
		if header, ok := m.Attributes[string(types.MessageSystemAttributeNameAWSTraceHeader)]; ok {
			entries[i].MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &header},
			}
		}
	}
	out, err := f.queues.SendMessageBatch(context.WithoutCancel(ctx), &sqs.SendMessageBatchInput{QueueUrl: &f.to, Entries: entries})
	if err != nil {
		return nil, err
	}
	var sent []types.Message
	for _, s := range out.Successful {
		i, err := strconv.Atoi(aws.ToString(s.Id))
		if err != nil || i < 0 || i >= len(messages) {
			return sent, fmt.Errorf("SQS answered for a message %q that was not sent", aws.ToString(s.Id))
		}
		sent = append(sent, messages[i])
	}
	for _, failed := range out.Failed {
		if failed.SenderFault {
			return sent, fmt.Errorf("the subscription's queue refused an event: %s: %s", aws.ToString(failed.Code), aws.ToString(failed.Message))
		}
	}
	return sent, nil
}

// delete deletes messages. One that it could not delete comes back, and is forwarded
// again.
func (f *forwarder) delete(ctx context.Context, messages []types.Message) error {
	if len(messages) == 0 {
		return nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle}
	}
	_, err := f.queues.DeleteMessageBatch(context.WithoutCancel(ctx), &sqs.DeleteMessageBatchInput{QueueUrl: &f.from, Entries: entries})
	return err
}

// result is what was done so far; s may be nil.
func (f *forwarder) result(s *Status) Result {
	forwarded, leftOut := int(f.forwarded.Load()), int(f.leftOut.Load())
	r := Result{Forwarded: &forwarded, Status: s}
	if f.matches != nil {
		r.LeftOut = &leftOut
	}
	if s != nil {
		r.Name, r.State = s.Name, s.State
	}
	return r
}
