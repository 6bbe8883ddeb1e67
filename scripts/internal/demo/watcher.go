package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
)

// watcher sees what passes on the bus: a temporary rule, and a queue of its
// own behind it.
type watcher struct {
	bus   *eventbridge.Client
	sqs   *sqs.Client
	name  string // of the rule and the queue
	on    string // the bus
	queue string // the queue's URL
}

// busEvent is what the demo reads of an event on the bus.
type busEvent struct {
	DetailType string `json:"detail-type"`
	Detail     struct {
		Metadata events.Metadata `json:"metadata"`
		Data     struct {
			WithdrawalID string `json:"withdrawalId"`
		} `json:"data"`
	} `json:"detail"`
}

func (e busEvent) withdrawal() bool { return e.DetailType == savings.Withdrawal{}.EventType().Name }

// visibility is how many seconds a received message is hidden: messages whose
// receive was lost on its way come again well before the demo gives up.
const visibility = "10"

// newWatcher begins to watch the events of the savings module. On an error it
// has removed what it made.
func newWatcher(ctx context.Context, bus *eventbridge.Client, queues *sqs.Client, config Config) (_ *watcher, err error) {
	w := &watcher{bus: bus, sqs: queues, on: config.Names.Bus(), name: config.Names.Bus() + "-demo-" + uuid.NewString()[:8]}
	defer func() {
		if err != nil {
			w.remove(context.WithoutCancel(ctx))
			err = fmt.Errorf("watching the bus: %w", err)
		}
	}()
	pattern := fmt.Sprintf(`{"source":[%q],"detail-type":[%q,%q]}`, savings.Source, savings.Withdrawal{}.EventType().Name, savings.FeeCharged{}.EventType().Name)
	rule, err := bus.PutRule(ctx, &eventbridge.PutRuleInput{Name: &w.name, EventBusName: &w.on, EventPattern: &pattern, State: ebtypes.RuleStateEnabled})
	if err != nil {
		return nil, err
	}
	created, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &w.name, Attributes: map[string]string{"VisibilityTimeout": visibility}})
	if err != nil {
		return nil, err
	}
	w.queue = *created.QueueUrl
	attributes, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &w.queue, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn}})
	if err != nil {
		return nil, err
	}
	arn := attributes.Attributes["QueueArn"]
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Principal": map[string]string{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
		"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": *rule.RuleArn}},
	}}})
	if err != nil {
		return nil, err
	}
	if _, err := queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &w.queue, Attributes: map[string]string{"Policy": string(policy)}}); err != nil {
		return nil, err
	}
	_, err = bus.PutTargets(ctx, &eventbridge.PutTargetsInput{Rule: &w.name, EventBusName: &w.on, Targets: []ebtypes.Target{{Id: aws.String("queue"), Arn: &arn}}})
	return w, err
}

// readers is how many receives of ten are under way at once.
const readers = 4

// each hands over what the queue holds, in rounds, until visit says that it is
// done. A round with nothing in it means that the queue was empty.
func (w *watcher) each(ctx context.Context, visit func([]busEvent) (done bool)) error {
	for {
		rounds := make([][]busEvent, readers)
		group, groupCtx := errgroup.WithContext(ctx)
		for i := range rounds {
			group.Go(func() (err error) {
				rounds[i], err = w.receive(groupCtx)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return fmt.Errorf("watching the bus: %w", err)
		}
		var all []busEvent
		for _, r := range rounds {
			all = append(all, r...)
		}
		if visit(all) {
			return nil
		}
		if len(all) > 0 {
			continue
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *watcher) receive(ctx context.Context) ([]busEvent, error) {
	out, err := w.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &w.queue, MaxNumberOfMessages: 10})
	if err != nil || len(out.Messages) == 0 {
		return nil, err
	}
	batch := make([]busEvent, len(out.Messages))
	entries := make([]sqstypes.DeleteMessageBatchRequestEntry, len(out.Messages))
	for i, m := range out.Messages {
		if err := json.Unmarshal([]byte(*m.Body), &batch[i]); err != nil {
			return nil, fmt.Errorf("an event is not JSON: %w", err)
		}
		entries[i] = sqstypes.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle}
	}
	_, err = w.sqs.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &w.queue, Entries: entries})
	return batch, err
}

// removeTimeout bounds the removal, which also runs after an interruption.
const removeTimeout = 10 * time.Second

// remove takes the rule and the queue away. What was never made is no error.
func (w *watcher) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	_, err1 := w.bus.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &w.name, EventBusName: &w.on, Ids: []string{"queue"}})
	_, err2 := w.bus.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &w.name, EventBusName: &w.on})
	var err3 error
	if w.queue != "" {
		_, err3 = w.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &w.queue})
	}
	_ = errors.Join(err1, err2, err3) // the environment itself may be gone by now
}
