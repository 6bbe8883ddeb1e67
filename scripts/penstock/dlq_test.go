package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/mototest"
)

const dlqSubscription = "withdrawal-fee/withdrawals"

var (
	ofQueue = localNames.Queue("withdrawal-fee", "withdrawals")
	ofDLQ   = localNames.DLQ("withdrawal-fee", "withdrawals")
)

// dlqEnvironment is an environment, and a project of its own for the command.
type dlqEnvironment struct {
	project  string
	endpoint string
	region   string
	account  string
	sqs      *sqs.Client
	cfg      aws.Config
	log      tailScreen // of the environment, one JSON object a line
}

// dlqProject copies what the command needs of this project: what it notes of a
// redrive is by the project.
func dlqProject(t *testing.T) string {
	t.Helper()
	root, dir := projectRoot(t), t.TempDir()
	manifests, err := fs.Glob(os.DirFS(root), "functions/*/function.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(manifests, "cdk.json", "infra/environments.json", "infra/tables.json") {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, path), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"infra/snapshots", "schemas"} {
		if err := os.CopyFS(filepath.Join(dir, path), os.DirFS(filepath.Join(root, path))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startDLQs starts an environment whose withdrawal-fee fails every event, since
// its secret is missing, and gives each up after two receives, about a second
// apart.
func startDLQs(t *testing.T) *dlqEnvironment {
	t.Helper()
	root := projectRoot(t)
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	const stack = "penstock-local-withdrawal-fee"
	template := string(snapshot.Templates[stack])
	for was, is := range map[string]string{
		`\"maxReceiveCount\":5,\"baseSeconds\":30`: `\"maxReceiveCount\":2,\"baseSeconds\":1`, `"maxReceiveCount": 5`: `"maxReceiveCount": 2`,
	} {
		if strings.Count(template, was) != 1 {
			t.Fatalf("%s is not once in the template of %s", was, stack)
		}
		template = strings.Replace(template, was, is, 1)
	}
	snapshot.Templates[stack] = []byte(template)
	const topics = "penstock-local-operations"
	snapshot.Templates[topics] = bytes.Replace(snapshot.Templates[topics], []byte(`"Resources": {`),
		[]byte(`"Resources": {"OnCall": {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": "oncall@example.org"}},`), 1)
	e := &dlqEnvironment{}
	env, err := local.Start(t.Context(), local.Config{
		Snapshot: snapshot, Root: root, DataDir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.NewJSONHandler(&e.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	e.at(t, env.Endpoint(), "us-east-1", "000000000000")
	return e
}

// at sets where the environment is.
func (e *dlqEnvironment) at(t *testing.T, endpoint, region, account string) {
	t.Helper()
	cfg := aws.Config{
		BaseEndpoint: &endpoint, Region: region, Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}
	e.project, e.endpoint, e.region, e.account, e.sqs, e.cfg = dlqProject(t), endpoint, region, account, sqs.NewFromConfig(cfg), cfg
}

func (e *dlqEnvironment) url(queue string) *string {
	return aws.String(e.endpoint + "/" + e.account + "/" + queue)
}

// dlq is `penstock dlq`, not started yet.
func (e *dlqEnvironment) dlq(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "penstock", append([]string{"dlq"}, args...)...)
	cmd.Dir = e.project
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+e.endpoint)
	return cmd
}

// prints is what a `penstock dlq` prints, which must not fail.
func (e *dlqEnvironment) prints(t *testing.T, args ...string) string {
	t.Helper()
	cmd := e.dlq(t, args...)
	var notes strings.Builder
	cmd.Stderr = &notes
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("penstock dlq %s: %v\n%s%s", strings.Join(args, " "), err, out, &notes)
	}
	t.Logf("penstock dlq %s\n%s%s", strings.Join(args, " "), out, &notes)
	return string(out)
}

// read reads what a `penstock dlq` prints for programs.
func (e *dlqEnvironment) read(t *testing.T, v any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.prints(t, append(args, "--output", "json")...)), v); err != nil {
		t.Fatal(err)
	}
}

func (e *dlqEnvironment) depth(t *testing.T, queue string) int {
	t.Helper()
	out, err := e.sqs.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: e.url(queue), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessages}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fill puts n events into a queue, whose ids are event-0 and so on.
func (e *dlqEnvironment) fill(t *testing.T, queue string, n int) {
	t.Helper()
	slots := make(chan struct{}, 8)
	var calls sync.WaitGroup
	for start := 0; start < n; start += 10 {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			var entries []types.SendMessageBatchRequestEntry
			for i := start; i < min(start+10, n); i++ {
				entries = append(entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(withdrawalBody(fmt.Sprintf("event-%d", i)))})
			}
			out, err := e.sqs.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: e.url(queue), Entries: entries})
			if err != nil || len(out.Failed) > 0 {
				t.Error(err, out)
			}
		})
	}
	calls.Wait()
}

func withdrawalBody(id string) string {
	return `{"version":"0","id":"x","source":"savings","detail-type":"SAVINGS_WITHDRAWAL","resources":[],"detail":{"metadata":{"id":"` + id +
		`","correlationId":"c","occurredAt":"2026-03-02T09:00:00Z"},"data":{"accountId":"A","transactionId":"T","amount":1,"currency":"EUR","channel":"ATM"}}}`
}

// drain takes all messages out of a queue, and counts them by their event's id.
func (e *dlqEnvironment) drain(t *testing.T, queue string) map[string]int {
	t.Helper()
	ids := map[string]int{}
	var mu sync.Mutex
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			for {
				out, err := e.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: e.url(queue), MaxNumberOfMessages: 10, VisibilityTimeout: 600, MessageAttributeNames: []string{"All"}})
				if err != nil {
					t.Error(err)
					return
				}
				if len(out.Messages) == 0 {
					return
				}
				for _, m := range out.Messages {
					var body struct {
						Detail struct{ Metadata struct{ ID string } }
					}
					if err := json.Unmarshal([]byte(*m.Body), &body); err != nil || *m.MessageAttributes["penstock.redrives"].StringValue != "1" {
						t.Errorf("%s, %v: %v", *m.Body, m.MessageAttributes, err)
					}
					mu.Lock()
					ids[body.Detail.Metadata.ID]++
					mu.Unlock()
				}
			}
		})
	}
	calls.Wait()
	return ids
}

func TestDLQ(t *testing.T) {
	t.Parallel()
	e := startDLQs(t)
	t.Run("what SQS moved has its reason from the log, and its redrives from itself", e.sqsMoved)
	t.Run("the day of a person on call goes as the README says", e.onCall)
	t.Run("what was moved twice is handled once, by its id", e.movedTwice)
	t.Run("a redrive of 10,000 that is killed half-way loses nothing", e.killed)
}

type shownFailure struct {
	By, Reason, EventID     string
	Receives, Redrives      int
	FirstFailed, LastFailed string
}

func (e *dlqEnvironment) sqsMoved(t *testing.T) {
	const id = "01976e5a-8c00-7000-8000-000000000001"
	if _, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: e.url(ofQueue), MessageBody: aws.String(withdrawalBody(id))}); err != nil {
		t.Fatal(err)
	}
	var first string
	for redrives := range 2 {
		eventually(t, "the event is in the DLQ", func() bool { return e.depth(t, ofDLQ) == 1 })
		var got []shownFailure
		e.read(t, &got, "show", dlqSubscription, "--queue", "dlq")
		if len(got) != 1 || got[0].By != "sqs" || !strings.Contains(got[0].Reason, "core-api-token") || got[0].Receives != 2 || got[0].Redrives != redrives ||
			got[0].EventID != id || got[0].FirstFailed >= got[0].LastFailed || redrives > 0 && got[0].FirstFailed != first {
			t.Fatalf("after %d redrives: %+v", redrives, got)
		}
		first = got[0].FirstFailed
		var moved struct{ Moved int }
		e.read(t, &moved, "redrive", dlqSubscription, "--queue", "dlq", "--reason", "core-api-token")
		if moved.Moved != 1 {
			t.Errorf("moved %+v", moved)
		}
	}
	eventually(t, "the event is in the DLQ again", func() bool { return e.depth(t, ofDLQ) == 1 })
	if out := e.prints(t, "drop", dlqSubscription, "--queue", "dlq", "--id", id, "-y"); !strings.Contains(out, "1 event\n") {
		t.Error(out)
	}
}

// What is in the DLQ after it was sent, and before it was noted, is sent again by the
// next redrive. withdrawal-fee handles an event once, however often it comes.
func (e *dlqEnvironment) movedTwice(t *testing.T) {
	const events = 20
	before := fees(t, e.cfg)
	ids := map[string]bool{}
	for range events {
		id := uuid.Must(uuid.NewV7()).String()
		ids[id] = true
		for range 2 {
			if _, err := e.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: e.url(ofDLQ), MessageBody: aws.String(withdrawalBody(id))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got struct{ Moved int }
	e.read(t, &got, "redrive", dlqSubscription, "--queue", "dlq", "--all")
	if got.Moved != 2*events {
		t.Errorf("moved %d, want each of %d events twice", got.Moved, events)
	}
	eventually(t, "both of each have come to the function, by the same id", func() bool {
		log := e.runs(t, `penstock functions logs withdrawal-fee --filter '"outcome":"handled"'`)
		for id := range ids {
			if strings.Count(log, `"id":"`+id+`"`) != 2 {
				return false
			}
		}
		return true
	})
	after := fees(t, e.cfg)
	if len(after) != len(before)+events {
		t.Errorf("there are %d fees, want %d", len(after), len(before)+events)
	}
	for id := range ids {
		if after[id] != 1 {
			t.Errorf("event %s, which was moved twice, was charged %d times", id, after[id])
		}
	}
}

func (e *dlqEnvironment) killed(t *testing.T) {
	const events = 10_000
	functions := lambda.NewFromConfig(e.cfg)
	mappings, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(localNames.Function("withdrawal-fee"))})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatal(mappings, err)
	}
	mapping := mappings.EventSourceMappings[0].UUID
	if _, err := functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: mapping, Enabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is delivered any more", func() bool {
		got, err := functions.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: mapping})
		return err == nil && *got.State == "Disabled"
	})
	e.fill(t, ofDLQ, events)

	args := []string{"redrive", dlqSubscription, "--queue", "dlq", "--all"}
	cmd := e.dlq(t, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for e.depth(t, ofQueue) < events/3 { // it goes on while this is asked, and heard
	}
	if err := cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if n := e.depth(t, ofQueue); n >= events*9/10 {
		t.Fatalf("it was killed after %d events, which is not half-way", n)
	}

	var got struct{ Moved, MovedBefore, MovedTwice, Cleared int }
	e.read(t, &got, args...)
	if n := e.depth(t, ofDLQ); n != 0 {
		t.Errorf("%d are left in the DLQ", n)
	}
	arrived := e.drain(t, ofQueue)
	twice := 0
	for i := range events {
		switch n := arrived[fmt.Sprintf("event-%d", i)]; n {
		case 0:
			t.Errorf("event-%d is lost", i)
		case 1:
		case 2:
			twice++
		default:
			t.Errorf("event-%d arrived %d times", i, n)
		}
	}
	// What is moved twice is handled once: see movedTwice.
	if len(arrived) != events || twice > got.MovedTwice || got.MovedTwice > 100 {
		t.Errorf("%d different events arrived, %d of them twice; said %+v", len(arrived), twice, got)
	}
	if got.MovedBefore < events/4 || got.Moved+got.MovedBefore-twice > events || got.Moved+got.MovedBefore+got.MovedTwice < events {
		t.Errorf("said %+v", got)
	}
	if left, err := fs.Glob(os.DirFS(e.project), ".penstock/redrive/*"); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestDLQShowPrintsAllThatAMessageSaysOfItsFailure(t *testing.T) {
	var out strings.Builder
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	err := printFailure(&out, dlq.Failure{
		Queue: dlq.Failed, MessageID: "m-1", EventID: "e-1", Type: "savings/SAVINGS_WITHDRAWAL", CorrelationID: "c-1", OccurredAt: at,
		By: dlq.ByFunction, Reason: "the function timed out", Receives: 2, Redrives: 1, SentAt: at, LastFailed: at.Add(time.Minute),
		Body: json.RawMessage(`{"detail":{}}`),
		Attributes: map[string]string{
			queue.Reason: "the function timed out", queue.Receives: "2", queue.Redrives: "1", queue.Source: "arn:aws:sqs:eu-west-1:1:queue",
			queue.Processor: "enrich", queue.Operator: "pipeline[2].externalFunction", queue.Document: `{"amount":1}`, queue.Time: "2026-03-02T09:01:00Z", "tenant": "A",
		},
	})
	want := `e-1 savings/SAVINGS_WITHDRAWAL
  reason        the function timed out
  given up by   its function, which can never handle it
  receives      2
  redriven      1 time before
  first failed  -
  last failed   2026-03-02T09:01:00Z
  occurred      2026-03-02T09:00:00Z
  correlation   c-1
  message       m-1
  document      {
                  "amount": 1
                }
  operator      pipeline[2].externalFunction
  processor     enrich
  source        arn:aws:sqs:eu-west-1:1:queue
  time          2026-03-02T09:01:00Z
  tenant        A
  {
    "detail": {}
  }
`
	if err != nil || out.String() != want {
		t.Errorf("%v, got\n%s", err, &out)
	}
}

// TestDLQsAtMoto runs the verbs at an independent implementation of SQS.
func TestDLQsAtMoto(t *testing.T) {
	t.Parallel()
	moto := mototest.Start(t)
	e := &dlqEnvironment{}
	e.at(t, moto.URL, "us-east-1", mototest.Account)
	path := filepath.Join(e.project, "infra/environments.json")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "000000000000") {
		t.Fatal(err, "the account of the local environment is not in", path)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "000000000000", mototest.Account)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range localNames.Queues("withdrawal-fee", "withdrawals") {
		if _, err := e.sqs.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	const n = 25
	e.fill(t, ofDLQ, n)
	if out := e.prints(t, "list", dlqSubscription); !strings.Contains(out, " dlq    25      0 ") {
		t.Error(out)
	}
	if out := e.prints(t, "redrive", dlqSubscription, "--all", "--dry-run"); !strings.Contains(out, " 25 ") || e.depth(t, ofDLQ) != n {
		t.Error(out)
	}
	e.prints(t, "drop", dlqSubscription, "--id", "event-7", "-y", "--keep", "dropped.jsonl")
	var got struct{ Moved, TooOften int }
	e.read(t, &got, "redrive", dlqSubscription, "--all")
	if got.Moved != n-1 || e.depth(t, ofDLQ) != 0 {
		t.Errorf("%+v", got)
	}
	e.read(t, &got, "redrive", dlqSubscription, "--from", "dropped.jsonl")
	if arrived := e.drain(t, ofQueue); got.Moved != 1 || len(arrived) != n {
		t.Errorf("%+v, %d arrived", got, len(arrived))
	}
}
