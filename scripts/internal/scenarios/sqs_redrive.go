package scenarios

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// redriven makes a queue with a dead-letter queue; a message goes there after
// the given number of receives.
func (r *run) redriven(receives int) (source, dlq *string) {
	dlq = r.queue("dlq")
	source = r.queue("q", "VisibilityTimeout", "0", "RedrivePolicy", fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, r.queueARN(dlq), receives))
	return source, dlq
}

// exhaust brings the messages of a queue into its dead-letter queue.
func (r *run) exhaust(source, dlq *string, messages int) {
	r.until("the messages are in the dead-letter queue", func() bool {
		must(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: source, MaxNumberOfMessages: 10}))
		return r.depth(dlq) == fmt.Sprint(messages)
	})
}

func redrives() []Scenario {
	return scenarios("sqs",
		Scenario{Name: "a message that was received too often goes to the dead-letter queue", play: func(r *run) {
			source, dlq := r.redriven(2)
			r.send(source, "poison")
			r.await(source)
			r.await(source)
			r.receive(source)
			r.see(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: dlq, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount", "DeadLetterQueueSourceArn"}}))
		}},
		Scenario{Name: "the sources of a dead-letter queue are listed", play: func(r *run) {
			source, dlq := r.redriven(2)
			r.see(r.sqs.ListDeadLetterSourceQueues(r.ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dlq}))
			r.see(r.sqs.ListDeadLetterSourceQueues(r.ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: source}))
		}},
		Scenario{Name: "redrive policies are checked", play: func(r *run) {
			dlq := r.queue("dlq")
			arn := r.queueARN(dlq)
			url := r.queue("q")
			for _, policy := range []string{
				`{"deadLetterTargetArn":"` + arn + `"}`,
				`{"maxReceiveCount":"3"}`,
				`{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"0"}`,
				`{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":"1001"}`,
				`{"deadLetterTargetArn":"` + arn + `-none","maxReceiveCount":"3"}`,
				`{"deadLetterTargetArn":"nonsense","maxReceiveCount":"3"}`,
				`{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":3}`,
			} {
				r.seeSet(url, "RedrivePolicy", policy)
			}
			r.seeAttributes(url, "RedrivePolicy")
			r.seeSet(url, "RedrivePolicy", "")
			r.seeAttributes(url, "RedrivePolicy")
		}},
		Scenario{Name: "a dead-letter queue may choose its sources", play: func(r *run) {
			dlq := r.queue("dlq", "RedriveAllowPolicy", `{"redrivePermission":"denyAll"}`)
			url := r.queue("q")
			r.seeSet(url, "RedrivePolicy", `{"deadLetterTargetArn":"`+r.queueARN(dlq)+`","maxReceiveCount":"3"}`)
			r.seeSet(dlq, "RedriveAllowPolicy", `{"redrivePermission":"sometimes"}`)
			r.seeAttributes(dlq, "RedriveAllowPolicy")
		}},
		Scenario{Name: "messages are moved back to their source", play: func(r *run) {
			source, dlq := r.redriven(1)
			r.send(source, "one")
			r.send(source, "two")
			r.exhaust(source, dlq, 2)
			out, err := r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: str(r.queueARN(dlq))})
			if err != nil {
				r.see(out, err)
				return
			}
			r.until("the messages are back", func() bool { return r.depth(source) == "2" })
			r.seeAttributes(dlq, counts...)
			var tasks *sqs.ListMessageMoveTasksOutput
			r.until("the task is over", func() bool {
				tasks = must(r.sqs.ListMessageMoveTasks(r.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: str(r.queueARN(dlq))}))
				return len(tasks.Results) > 0 && *tasks.Results[0].Status == "COMPLETED"
			})
			r.see(tasks, nil)
		}},
		Scenario{Name: "messages are moved to another queue", play: func(r *run) {
			source, dlq := r.redriven(1)
			other := r.queue("other")
			r.send(source, "one")
			r.exhaust(source, dlq, 1)
			out, err := r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: str(r.queueARN(dlq)), DestinationArn: str(r.queueARN(other)), MaxNumberOfMessagesPerSecond: new(int32(500))})
			if err != nil {
				r.see(out, err)
				return
			}
			r.await(other)
		}},
		Scenario{Name: "move tasks are checked", play: func(r *run) {
			source, dlq := r.redriven(1)
			arn := r.queueARN(dlq)
			r.see(r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: str(r.queueARN(source))}))
			r.see(r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: str(arn + "-none")}))
			r.see(r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, DestinationArn: str(arn + "-none")}))
			r.see(r.sqs.StartMessageMoveTask(r.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn, MaxNumberOfMessagesPerSecond: new(int32(501))}))
			r.see(r.sqs.ListMessageMoveTasks(r.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: str(arn + "-none")}))
			r.see(r.sqs.CancelMessageMoveTask(r.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: str("nonsense")}))
		}},
	)
}
