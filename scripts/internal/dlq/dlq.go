// Package dlq works on what a subscription has given up: it looks into its
// DLQs, moves messages back, and removes them.
//
// A subscription has two. A message is in the DLQ of its queue because the
// function sent it there, for good, or because SQS moved it there after
// maxReceiveCount receives; and in that of its rule because EventBridge could not
// put it into the queue.
//
// SQS cannot peek. To see a message is to receive it, which hides it from
// everybody else for a while. A [Queue.Walk] is one way through a queue:
//
//  1. It receives messages, some at a time, and hides them for ten seconds;
//     while the walk goes on, it hides them for longer.
//  2. A visitor looks at them, and says which are done with. These are deleted.
//  3. However the walk ends, what it still holds is visible again at once. What
//     a kill leaves behind is visible again after a minute at the most.
//
// A receive counts, and a message that is received too often is moved on, but
// only where the queue has a redrive policy. A DLQ has none, and a walk refuses
// to begin where somebody has given it one.
//
// A [Redrive] moves messages by sending them to the subscription's queue and then
// deleting them. Killed in between, it leaves a message in both places, never in
// none: the event is the same, with the same id, and its function handles it
// once by its event key. A [Journal] on disk knows what was sent, so that the next
// run only deletes that. SQS's own StartMessageMoveTask is not used: it moves
// everything or nothing, at most 500 a second, counts no redrives, and says
// neither what it moved nor why a message had been there.
package dlq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// API is what is asked of SQS. *sqs.Client implements it.
type API interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
}

// Kind is which of a subscription's DLQs a queue is.
type Kind string

const (
	Failed      Kind = "dlq"      // what the function failed to handle
	Undelivered Kind = "rule-dlq" // what EventBridge could not put into the queue
)

// Queue is a DLQ. Only [Open] makes one.
type Queue struct {
	Kind Kind
	Name string
	// Depth is how many messages it had when it was opened.
	Depth Depth
	// Opened is when, by the clock of SQS, to the second.
	Opened time.Time

	api API
	url string
}

// Depth is how many messages a queue has. SQS counts approximately: it may be a
// minute late ("GetQueueAttributes", Amazon SQS API Reference).
type Depth struct {
	Visible int // can be received
	Hidden  int // somebody has received them, and not deleted them yet
	Delayed int // cannot be received yet
}

// Total is how many messages there are.
func (d Depth) Total() int { return d.Visible + d.Hidden + d.Delayed }

var (
	// ErrNoQueue is the error of a queue that does not exist.
	ErrNoQueue = errors.New("there is no such queue")
	// ErrRedrivePolicy is the error of a DLQ that gives messages up itself.
	ErrRedrivePolicy = errors.New("it has a redrive policy of its own: to look at its messages is to receive them, and would push them on into another queue; take the policy away first")
)

// URL finds a queue by its name; the error is [ErrNoQueue] where there is none.
func URL(ctx context.Context, api API, name string) (string, error) {
	out, err := api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if _, missing := errors.AsType[*types.QueueDoesNotExist](err); missing {
		return "", fmt.Errorf("queue %s: %w", name, ErrNoQueue)
	}
	if err != nil {
		return "", err
	}
	return aws.ToString(out.QueueUrl), nil
}

// Open finds a DLQ. The error is [ErrNoQueue] where there is none, and
// [ErrRedrivePolicy] for one that is not to be looked into.
func Open(ctx context.Context, api API, kind Kind, name string) (*Queue, error) {
	url, err := URL(ctx, api, name)
	if err != nil {
		return nil, err
	}
	q := &Queue{Kind: kind, Name: name, api: api, url: url}
	q.Depth, q.Opened, err = q.depth(ctx)
	return q, err
}

// depth counts the queue's messages, and tells when, by the clock of SQS.
func (q *Queue) depth(ctx context.Context) (d Depth, at time.Time, err error) {
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed, types.QueueAttributeNameRedrivePolicy,
	}})
	if err != nil {
		return d, at, err
	}
	if out.Attributes[string(types.QueueAttributeNameRedrivePolicy)] != "" {
		return d, at, fmt.Errorf("queue %s: %w", q.Name, ErrRedrivePolicy)
	}
	number := func(name types.QueueAttributeName) int {
		n, _ := strconv.Atoi(out.Attributes[string(name)])
		return n
	}
	d = Depth{
		Visible: number(types.QueueAttributeNameApproximateNumberOfMessages),
		Hidden:  number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed: number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
	}
	at, known := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !known {
		at = time.Now()
	}
	return d, at.UTC(), nil
}
