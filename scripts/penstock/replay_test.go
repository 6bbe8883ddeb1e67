package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// replayCommand is a `penstock replay` that has not started yet.
func (d *dev) replayCommand(t *testing.T, args ...string) *runningTail {
	t.Helper()
	r := &runningTail{cmd: exec.Command("penstock", append([]string{"replay"}, args...)...)}
	r.cmd.Dir = projectRoot(t)
	r.cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+*d.aws.BaseEndpoint)
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.notes
	return r
}

func TestAReplayThatIsKilledAndResumedForwardsEveryEvent(t *testing.T) {
	const n, subscription = 1500, "trade-allocated/allocations"
	d := startDev(t, t.TempDir())
	queues := sqs.NewFromConfig(d.aws)
	url, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(localNames.Queue("trade-allocated", "allocations"))})
	if err != nil {
		t.Fatal(err)
	}
	disable := exec.Command("penstock", "subscriptions", "disable", subscription, "--reason", "a test")
	disable.Dir, disable.Env = projectRoot(t), append(os.Environ(), "AWS_ENDPOINT_URL="+*d.aws.BaseEndpoint)
	if out, err := disable.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	batch := make([]events.Event, n)
	missing := map[string]bool{}
	for i := range batch {
		e := events.Stamp(t.Context(), trading.SampleTradeAllocated())
		batch[i], missing[e.ID] = e, true
	}
	d.publish(t, batch...)

	killed := d.replayCommand(t, "--subscription", subscription, "--from", "1h", "--rate", "300", "-y")
	killed.begin(t)
	eventually(t, "a part is forwarded", func() bool { return queued(t, queues, *url.QueueUrl) > n+n/4 })
	if err := killed.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = killed.cmd.Wait()
	before := queued(t, queues, *url.QueueUrl) - n
	name := replayName.FindString(killed.notes.String())
	if before >= n || name == "" {
		t.Fatalf("all %d events were forwarded before it was killed:\n%s", before, &killed.notes)
	}

	resumed := d.replayCommand(t, "resume", name)
	resumed.begin(t)
	if status := resumed.ends(t); status != cli.ExitDone {
		t.Fatalf("exit status %d: %s", status, &resumed.notes)
	}
	replayed := 0
	for body := range received(t, queues, *url.QueueUrl) {
		var e struct {
			Replay string `json:"replay-name"`
			Detail struct {
				Metadata events.Metadata `json:"metadata"`
			} `json:"detail"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Replay == name {
			replayed++
			delete(missing, e.Detail.Metadata.ID)
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d events were not forwarded", len(missing), n)
	}
	t.Logf("%d events were forwarded when it was killed; %d arrived in all, %d of them twice; %s", before, replayed, replayed-n, &resumed.out)
	left, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String(localNames.ReplayPrefix())})
	if err != nil || len(left.QueueUrls) > 0 {
		t.Errorf("left: %v; %v", left.QueueUrls, err)
	}
}

// queued is how many messages a queue has.
func queued(t *testing.T, queues *sqs.Client, url string) int {
	t.Helper()
	name := sqstypes.QueueAttributeNameApproximateNumberOfMessages
	out, err := queues.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{name}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(out.Attributes[string(name)])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// received are the bodies of all messages in a queue, once each.
func received(t *testing.T, queues *sqs.Client, url string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for {
			out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 600})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Messages) == 0 {
				return
			}
			for _, m := range out.Messages {
				if !yield(*m.Body) {
					return
				}
			}
		}
	}
}
