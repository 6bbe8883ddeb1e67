package scenarios

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// queue makes a queue, whose URL it returns; attributes are names and values in
// turn.
func (r *run) queue(suffix string, attributes ...string) *string {
	in := &sqs.CreateQueueInput{QueueName: str(r.name(suffix)), Attributes: map[string]string{}}
	for i := 0; i+1 < len(attributes); i += 2 {
		in.Attributes[attributes[i]] = attributes[i+1]
	}
	out := must(r.sqs.CreateQueue(r.ctx, in))
	r.later(func() error {
		_, err := r.sqs.DeleteQueue(r.ctx, &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
		return ignore[*types.QueueDoesNotExist](err)
	})
	return out.QueueUrl
}

// queueARN is the ARN of a queue.
func (r *run) queueARN(url *string) string {
	out := must(r.sqs.GetQueueAttributes(r.ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	}))
	return out.Attributes["QueueArn"]
}

// seeAttributes notes attributes of a queue.
func (r *run) seeAttributes(url *string, names ...types.QueueAttributeName) {
	r.see(r.sqs.GetQueueAttributes(r.ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names}))
}

// seeSet notes what setting an attribute of a queue answers.
func (r *run) seeSet(url *string, name, value string) {
	out, err := r.sqs.SetQueueAttributes(r.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{name: value}})
	r.seeAs(name+" = "+value, out, err)
}

func queues() []Scenario {
	return scenarios("sqs",
		Scenario{Name: "a new queue has the default attributes", play: func(r *run) {
			r.see(r.sqs.CreateQueue(r.ctx, &sqs.CreateQueueInput{QueueName: str(r.name("q"))}))
			url := r.queue("q")
			r.seeAttributes(url, "All")
		}},
		Scenario{Name: "attributes are set, and read one by one", play: func(r *run) {
			url := r.queue("q", "DelaySeconds", "3", "VisibilityTimeout", "45")
			r.seeSet(url, "ReceiveMessageWaitTimeSeconds", "7")
			r.seeSet(url, "MessageRetentionPeriod", "1209600")
			r.seeSet(url, "MaximumMessageSize", "1048576")
			r.seeAttributes(url, "DelaySeconds", "VisibilityTimeout", "ReceiveMessageWaitTimeSeconds", "MessageRetentionPeriod", "MaximumMessageSize")
		}},
		Scenario{Name: "attributes that a queue lacks are left out, and unknown ones refused", play: func(r *run) {
			url := r.queue("q")
			r.seeAttributes(url, "RedrivePolicy", "Policy", "QueueArn")
			r.seeAttributes(url)
			r.seeAttributes(url, "Colour")
			r.seeSet(url, "Colour", "red")
		}},
		Scenario{Name: "attributes out of their range are refused", play: func(r *run) {
			url := r.queue("q")
			for _, c := range [][2]string{
				{"VisibilityTimeout", "43201"}, {"VisibilityTimeout", "-1"}, {"DelaySeconds", "901"}, {"MessageRetentionPeriod", "59"},
				{"MessageRetentionPeriod", "1209601"}, {"ReceiveMessageWaitTimeSeconds", "21"}, {"MaximumMessageSize", "1023"},
				{"MaximumMessageSize", "1048577"}, {"DelaySeconds", "soon"},
			} {
				r.seeSet(url, c[0], c[1])
			}
			r.seeAttributes(url, "VisibilityTimeout", "DelaySeconds", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "MaximumMessageSize")
		}},
		Scenario{Name: "creating a queue again needs the same attributes", play: func(r *run) {
			r.queue("q", "DelaySeconds", "5")
			for _, delay := range []string{"5", "6"} {
				r.see(r.sqs.CreateQueue(r.ctx, &sqs.CreateQueueInput{QueueName: str(r.name("q")), Attributes: map[string]string{"DelaySeconds": delay}}))
			}
			r.see(r.sqs.CreateQueue(r.ctx, &sqs.CreateQueueInput{QueueName: str(r.name("q"))}))
		}},
		Scenario{Name: "names that are not valid are refused", play: func(r *run) {
			for _, name := range []string{"with.dot", "with space", strings.Repeat("x", 81)} {
				r.see(r.sqs.CreateQueue(r.ctx, &sqs.CreateQueueInput{QueueName: &name}))
			}
		}},
		Scenario{Name: "the URL of a queue is found by its name", play: func(r *run) {
			r.queue("q")
			r.see(r.sqs.GetQueueUrl(r.ctx, &sqs.GetQueueUrlInput{QueueName: str(r.name("q"))}))
			r.see(r.sqs.GetQueueUrl(r.ctx, &sqs.GetQueueUrlInput{QueueName: str(r.name("none"))}))
		}},
		Scenario{Name: "every operation on a queue that is not there says so", play: func(r *run) {
			url := r.queue("q")
			must(r.sqs.DeleteQueue(r.ctx, &sqs.DeleteQueueInput{QueueUrl: url}))
			r.see(r.sqs.SendMessage(r.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: str("x")}))
			r.see(r.sqs.ReceiveMessage(r.ctx, &sqs.ReceiveMessageInput{QueueUrl: url}))
			r.seeAttributes(url, "All")
			r.seeSet(url, "DelaySeconds", "1")
			r.see(r.sqs.PurgeQueue(r.ctx, &sqs.PurgeQueueInput{QueueUrl: url}))
			r.see(r.sqs.ListQueueTags(r.ctx, &sqs.ListQueueTagsInput{QueueUrl: url}))
			r.see(r.sqs.DeleteMessage(r.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: str("x")}))
			r.see(r.sqs.DeleteQueue(r.ctx, &sqs.DeleteQueueInput{QueueUrl: url}))
		}},
		Scenario{Name: "queues are listed by prefix, in pages", play: func(r *run) {
			for _, suffix := range []string{"a-1", "a-2", "a-3", "b-1"} {
				r.queue(suffix)
			}
			r.see(r.sqs.ListQueues(r.ctx, &sqs.ListQueuesInput{QueueNamePrefix: str(r.name("a"))}))
			r.see(r.sqs.ListQueues(r.ctx, &sqs.ListQueuesInput{QueueNamePrefix: str(r.name("none"))}))
			in := &sqs.ListQueuesInput{QueueNamePrefix: str(r.name("")), MaxResults: new(int32(3))}
			first := must(r.sqs.ListQueues(r.ctx, in))
			r.note("first page", len(first.QueueUrls))
			in.NextToken = first.NextToken
			second := must(r.sqs.ListQueues(r.ctx, in))
			r.note("second page", len(second.QueueUrls))
			r.note("more", second.NextToken != nil)
		}},
		Scenario{Name: "tags are added, replaced and removed", play: func(r *run) {
			out, err := r.sqs.CreateQueue(r.ctx, &sqs.CreateQueueInput{QueueName: str(r.name("q")), Tags: map[string]string{"team": "a", "cost": "1"}})
			url := must(out, err).QueueUrl
			r.queue("q") // to remove it
			r.see(r.sqs.TagQueue(r.ctx, &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"team": "b", "env": "x"}}))
			r.see(r.sqs.UntagQueue(r.ctx, &sqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"cost", "none"}}))
			r.see(r.sqs.ListQueueTags(r.ctx, &sqs.ListQueueTagsInput{QueueUrl: url}))
		}},
		Scenario{Name: "a purged queue is empty", play: func(r *run) {
			url := r.queue("q")
			r.send(url, "one")
			r.send(url, "two")
			r.see(r.sqs.PurgeQueue(r.ctx, &sqs.PurgeQueueInput{QueueUrl: url}))
			r.until("the queue is empty", func() bool { return r.depth(url) == "0" })
			r.receive(url)
		}},
		Scenario{Name: "permissions make a policy", play: func(r *run) {
			url := r.queue("q")
			account := strings.Split(r.queueARN(url), ":")[4]
			add := func(label string, actions ...string) {
				r.see(r.sqs.AddPermission(r.ctx, &sqs.AddPermissionInput{QueueUrl: url, Label: &label, AWSAccountIds: []string{account}, Actions: actions}))
			}
			add("send", "SendMessage")
			add("send", "SendMessage")
			add("odd", "Dance")
			r.seeAttributes(url, "Policy")
			r.see(r.sqs.RemovePermission(r.ctx, &sqs.RemovePermissionInput{QueueUrl: url, Label: str("send")}))
			r.see(r.sqs.RemovePermission(r.ctx, &sqs.RemovePermissionInput{QueueUrl: url, Label: str("send")}))
		}},
		Scenario{Name: "a policy that is no JSON is refused", play: func(r *run) {
			url := r.queue("q")
			r.seeSet(url, "Policy", "{")
			r.seeSet(url, "RedrivePolicy", "{")
			r.seeAttributes(url, "Policy", "RedrivePolicy")
		}},
	)
}
