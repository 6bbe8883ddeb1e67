package local_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// failing is a function that does as the trade's instrument says; the first
// "late" one that a process sees takes all the time of its invocation.
const failing = `package main

import (
	"context"
	"errors"
	"sync"

	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
)

var late sync.Once

func main() {
	handler.Start(handler.Each(func(ctx context.Context, m *handler.Message[trading.TradeAllocated]) error {
		switch m.Event.Instrument {
		case "permanent":
			return handler.Permanent(errors.New("no such instrument"))
		case "failed":
			return errors.New("the exchange is closed")
		case "late":
			late.Do(func() { <-ctx.Done() })
		}
		return nil
	}, handler.Concurrency(1)))
}
`

// startFailing starts an environment with that function, whose subscription
// allows so many receives and brings what failed back within 2 seconds. The
// queue's own visibility timeout is 12 hours: what comes back within the test
// has had its own set.
func startFailing(t *testing.T, receives int) *local.Environment {
	t.Helper()
	dir, _ := project(t)
	if err := os.MkdirAll(filepath.Join(dir, "functions/trade-allocated"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "functions/trade-allocated/main.go"), []byte(failing), 0o644); err != nil {
		t.Fatal(err)
	}
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	only(snapshot, "trade-allocated")
	var template map[string]any
	if err := json.Unmarshal(snapshot.Templates[trades], &template); err != nil {
		t.Fatal(err)
	}
	retries, err := json.Marshal(map[string]any{"allocations": map[string]int{"maxReceiveCount": receives, "baseSeconds": 1, "capSeconds": 2}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range template["Resources"].(map[string]any) {
		resource := r.(map[string]any)
		properties, _ := resource["Properties"].(map[string]any)
		switch resource["Type"] {
		case "AWS::Lambda::Function":
			properties["Timeout"] = 3
			properties["Environment"].(map[string]any)["Variables"].(map[string]any)["PENSTOCK_RETRIES"] = string(retries)
		case "AWS::SQS::Queue":
			if redrive, ok := properties["RedrivePolicy"].(map[string]any); ok {
				redrive["maxReceiveCount"] = receives
				properties["VisibilityTimeout"] = 43200
			}
		}
	}
	if snapshot.Templates[trades], err = json.Marshal(template); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	secretstest.SearchAtEnd(t, filepath.Join(data, "logs"))
	c := config(snapshot, data)
	c.Root = dir
	env, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { env.Close() })
	return env
}

func trade(t *testing.T, instrument string) events.Envelope {
	t.Helper()
	return events.Stamp(t.Context(), trading.SampleTradeAllocated(func(a *trading.TradeAllocated) { a.Instrument = instrument }))
}

// attempts are the outcomes of an event, "OUTCOME ATTEMPT: REASON" each.
func attempts(t *testing.T, env *local.Environment, match string) []string {
	t.Helper()
	logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(logs, &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String("/aws/lambda/" + trades), FilterPattern: aws.String(`"` + match + `"`),
	})
	var out []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			var l struct {
				Msg, Outcome, Reason string
				Attempt              json.Number
			}
			_ = json.Unmarshal([]byte(*e.Message), &l) // Lambda's own lines are not JSON
			if l.Msg == "outcome" {
				out = append(out, l.Outcome+" "+l.Attempt.String()+": "+l.Reason)
			}
		}
	}
	return out
}

// letters gathers what arrives in the function's DLQ.
type letters struct {
	client *sqs.Client
	url    *string
	got    []sqstypes.Message
}

func dlqOf(env *local.Environment) *letters {
	return &letters{client: sqs.NewFromConfig(awsConfig(env.Endpoint())), url: aws.String(env.Endpoint() + "/000000000000/" + trades + "-allocations-dlq")}
}

// all returns everything that has arrived until now.
func (l *letters) all(t *testing.T) []sqstypes.Message {
	t.Helper()
	out, err := l.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: l.url, MessageAttributeNames: []string{"All"}, MaxNumberOfMessages: 10, VisibilityTimeout: 43200,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.got = append(l.got, out.Messages...)
	return l.got
}

func TestAnEventThatFailsForGoodIsInTheDLQAtOnceWithItsReasonAndSource(t *testing.T) {
	env := startFailing(t, 4)
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	bad, good := trade(t, "permanent"), trade(t, "ACME")
	if err := bus.PublishBatch(t.Context(), []events.Event{bad, good}); err != nil {
		t.Fatal(err)
	}
	_, err := sqs.NewFromConfig(awsConfig(env.Endpoint())).SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: aws.String(env.Endpoint() + "/000000000000/" + trades + "-allocations"), MessageBody: aws.String("no event"),
	})
	if err != nil {
		t.Fatal(err)
	}
	dlq := dlqOf(env)
	until(t, "both are in the DLQ, and the good event is handled", func() bool {
		return len(dlq.all(t)) == 2 && len(attempts(t, env, good.ID)) == 1
	})
	for _, m := range dlq.all(t) {
		want := "no such instrument"
		if *m.Body == "no event" {
			want = "the message is not an event from the bus: "
		} else if !strings.Contains(*m.Body, bad.ID) {
			t.Errorf("another event is in the DLQ: %s", *m.Body)
		}
		if got := aws.ToString(m.MessageAttributes[queue.Reason].StringValue); !strings.HasPrefix(got, want) {
			t.Errorf("reason %q, want %q", got, want)
		}
		if got := aws.ToString(m.MessageAttributes[queue.Source].StringValue); got != "arn:aws:sqs:us-east-1:000000000000:"+trades+"-allocations" {
			t.Errorf("source %q", got)
		}
	}
	if got := attempts(t, env, bad.ID); !slices.Equal(got, []string{"permanent 1: no such instrument"}) {
		t.Errorf("outcomes %q", got)
	}
	if got := attempts(t, env, good.ID); !slices.Equal(got, []string{"handled 1: "}) {
		t.Errorf("outcomes of its neighbour %q", got)
	}
	needed(t, env, "sqs:SendMessage", ":"+trades+"-allocations-dlq")
}

func TestAnEventThatFailsComesBackUntilItsReceivesHaveRunOut(t *testing.T) {
	env := startFailing(t, 4)
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	bad := trade(t, "failed")
	if err := bus.Publish(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	dlq := dlqOf(env)
	until(t, "it is in the DLQ", func() bool { return len(dlq.all(t)) == 1 })
	want := []string{"failed 1: the exchange is closed", "failed 2: the exchange is closed", "failed 3: the exchange is closed", "failed 4: the exchange is closed"}
	if got := attempts(t, env, bad.ID); !slices.Equal(got, want) {
		t.Errorf("outcomes %q", got)
	}
	if m := dlq.got[0]; !strings.Contains(*m.Body, bad.ID) || len(m.MessageAttributes) != 0 {
		t.Errorf("in the DLQ is %s with %v", *m.Body, m.MessageAttributes)
	}
	needed(t, env, "sqs:ChangeMessageVisibility", ":"+trades+"-allocations")
}

func TestAnEventThatIsNotStartedOnItsLastReceiveIsHandledLater(t *testing.T) {
	env := startFailing(t, 1)
	functions := lambda.NewFromConfig(awsConfig(env.Endpoint()))
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(trades)})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatal(mappings, err)
	}
	enable := func(enabled bool) {
		t.Helper()
		id := mappings.EventSourceMappings[0].UUID
		_, err := functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: &enabled})
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the mapping has changed", func() bool {
			m, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: id})
			return err == nil && strings.HasSuffix(*m.State, "ed")
		})
	}
	enable(false) // until all of them are there, to be one batch
	var batch []events.Event
	for range 5 {
		batch = append(batch, trade(t, "late"))
	}
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	if err := bus.PublishBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	enable(true)
	until(t, "every event is handled", func() bool { return len(attempts(t, env, `outcome\":\"handled`)) == len(batch) })
	const again = "failed 1: not started: the time of the invocation had run out (it was sent afresh, since this was its last receive)"
	afresh := 0
	for _, e := range batch {
		got := attempts(t, env, e.(events.Envelope).ID)
		handled := slices.DeleteFunc(slices.Clone(got), func(outcome string) bool { return outcome == again })
		if !slices.Equal(handled, []string{"handled 1: "}) {
			t.Errorf("outcomes %q", got)
		}
		afresh += len(got) - len(handled)
	}
	if afresh == 0 {
		t.Error("no event was left over: there is nothing to see")
	}
	if letters := dlqOf(env).all(t); len(letters) != 0 {
		t.Errorf("%d in the DLQ", len(letters))
	}
	needed(t, env, "sqs:SendMessage", ":"+trades+"-allocations")
}
