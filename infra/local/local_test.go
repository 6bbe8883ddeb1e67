package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// dirVariable makes the test binary run an environment in that directory
// instead of tests, so that a test can kill it.
const dirVariable = "PENSTOCK_TEST_RUN_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		run := runEnvironment
		if project := os.Getenv(calledVariable); project != "" {
			run = func(dir string) error { return runCalled(project, dir) }
		}
		if err := run(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		select {} // until it is killed
	}
	os.Exit(m.Run())
}

func runEnvironment(dir string) error {
	snapshot, err := quick()
	if err != nil {
		return err
	}
	env, err := local.Start(context.Background(), config(snapshot, dir))
	if err != nil {
		return err
	}
	fmt.Println("serving", env.Endpoint())
	return nil
}

const root = "../.."

// start starts an environment in dir, whose logs are searched for secrets at the
// test's end. The caller closes it.
func start(t *testing.T, snapshot *snapshots.Snapshot, dir string) *local.Environment {
	t.Helper()
	secretstest.SearchAtEnd(t, filepath.Join(dir, "logs"))
	env, err := local.Start(t.Context(), config(snapshot, dir))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func config(snapshot *snapshots.Snapshot, dir string) local.Config {
	return local.Config{Snapshot: snapshot, Root: root, DataDir: dir, Account: "000000000000", Region: "us-east-1", Logger: slog.New(slog.DiscardHandler)}
}

// quick is the project's own snapshot, with a visibility timeout of seconds in
// place of minutes: what a killed environment had in flight comes back while
// the test waits.
func quick() (*snapshots.Snapshot, error) {
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return nil, err
	}
	replace := strings.NewReplacer(`"VisibilityTimeout": 181`, `"VisibilityTimeout": 5`, `"Timeout": 30`, `"Timeout": 5`)
	for stack, template := range snapshot.Templates {
		snapshot.Templates[stack] = json.RawMessage(replace.Replace(string(template)))
	}
	return snapshot, nil
}

// only leaves of the functions' stacks in a snapshot those of these functions.
func only(snapshot *snapshots.Snapshot, functions ...string) {
	keep := append([]string{names.BusStack, names.DataStack, names.OperationsStack, names.AccessStack}, functions...)
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(stack string) bool {
		return !slices.Contains(keep, strings.TrimPrefix(stack, "penstock-local-"))
	})
}

func awsConfig(endpoint string) aws.Config {
	return aws.Config{BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, "")}
}

// createToken makes the secret that withdrawal-fee reads.
func createToken(t *testing.T, endpoint string) {
	t.Helper()
	_, err := secretsmanager.NewFromConfig(awsConfig(endpoint)).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("penstock/local/core-api-token"), SecretString: aws.String(secretstest.Value("token")),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fees counts the fees in the ledger by the withdrawal's event id.
func fees(t *testing.T, db *dynamodb.Client) map[string]int {
	t.Helper()
	out := map[string]int{}
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: aws.String("penstock-local-ledger")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			if id, ok := item["withdrawalId"].(*types.AttributeValueMemberS); ok {
				out[id.Value]++
			}
		}
	}
	return out
}

func TestWhatWasCommittedBeforeAKillIsHandledExactlyOnceAfterARestart(t *testing.T) {
	dir := t.TempDir()
	committed := map[string]bool{}
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), dirVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "serving ")
		if !ok {
			t.Fatalf("the environment did not start: %s %v", line, err)
		}
		if round == 0 {
			createToken(t, endpoint)
		}
		outbox := outboxdynamo.New(dynamodb.NewFromConfig(awsConfig(endpoint)), outboxdynamo.Config{Table: "penstock-local-outbox"})
		for range 40 {
			event := events.Stamp(t.Context(), savings.SampleWithdrawal())
			err := outbox.InTx(t.Context(), func(s *outboxdynamo.Session) error { return s.PublishAfterCommit(t.Context(), event) })
			if err != nil {
				t.Fatal(err)
			}
			committed[event.ID] = true
		}
		// Killed with some of it still in the outbox, in queues, in functions.
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}

	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, dir)
	defer env.Close()
	db := dynamodb.NewFromConfig(awsConfig(env.Endpoint()))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for len(fees(t, db)) < len(committed) {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%d of %d withdrawals have a fee", len(fees(t, db)), len(committed))
		}
	}
	for id, n := range fees(t, db) {
		if n != 1 || !committed[id] {
			t.Errorf("withdrawal %s: %d fees, committed %v", id, n, committed[id])
		}
	}
}

func TestAnEventThatItsQueueRefusesIsKeptInTheRulesDeadLetterQueue(t *testing.T) {
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, t.TempDir())
	defer env.Close()
	queues := sqs.NewFromConfig(awsConfig(env.Endpoint()))
	const queue = "penstock-local-withdrawal-fee-withdrawals"
	url := env.Endpoint() + "/000000000000/" + queue
	_, err = queues.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"Policy": ""}})
	if err != nil {
		t.Fatal(err)
	}
	publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	if err := publisher.PublishBatch(t.Context(), []events.Event{savings.SampleWithdrawal(), savings.SampleFeeCharged()}); err != nil {
		t.Fatal(err)
	}
	dlq := url + "-rule-dlq"
	got, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &dlq, MessageAttributeNames: []string{"All"}})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].MessageAttributes["ERROR_CODE"].StringValue != "NO_PERMISSIONS" {
		t.Fatalf("the rule's DLQ: %+v, %v", got, err)
	}
	stats := env.BusStats()
	if stats.DeadLettered != 1 || stats.Unmatched["savings/FEE_CHARGED"] != 1 {
		t.Fatalf("stats %+v", stats)
	}
}

func TestAResourceThatTheTemplatesNoLongerHaveIsRemovedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (*local.Environment, *sqs.Client, *eventbridge.Client) {
		t.Helper()
		env := start(t, snapshot, dir)
		return env, sqs.NewFromConfig(awsConfig(env.Endpoint())), eventbridge.NewFromConfig(awsConfig(env.Endpoint()))
	}
	// What there is, but for what belongs to the function that goes.
	are := func(queues *sqs.Client, bus *eventbridge.Client) (all, others []string) {
		t.Helper()
		names, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		if err != nil {
			t.Fatal(err)
		}
		rules, err := bus.ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("penstock-local")})
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range names.QueueUrls {
			all = append(all, url[strings.LastIndexByte(url, '/')+1:])
		}
		for _, rule := range rules.Rules {
			all = append(all, "rule "+*rule.Name)
		}
		return all, slices.DeleteFunc(slices.Clone(all), func(name string) bool { return strings.Contains(name, "penstock-local-trade-allocated") })
	}
	env, queues, bus := begin()
	before, others := are(queues, bus)
	if len(before)-len(others) != 4 || len(others) == 0 {
		t.Fatalf("there are %v: want a queue, two DLQs and a rule of trade-allocated, and others", before)
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	const gone = "penstock-local-trade-allocated"
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(name string) bool { return name == gone })
	env, queues, bus = begin()
	defer env.Close()
	if after, _ := are(queues, bus); !slices.Equal(after, others) {
		t.Errorf("there are %v, want %v", after, others)
	}
}

func TestWhatATemplateAsksForAndIsNotSupportedIsNamedBeforeAnythingIsCreated(t *testing.T) {
	snapshot := &snapshots.Snapshot{App: "penstock", Env: "local", Stacks: []string{"a"}, Templates: map[string]json.RawMessage{
		"a": json.RawMessage(`{"Resources":{
			"Queue": {"Type":"AWS::SQS::Queue","Properties":{"QueueName":"q","FifoQueue":true}},
			"Topic": {"Type":"AWS::CloudWatch::CompositeAlarm","Properties":{}},
			"Rule":  {"Type":"AWS::Events::Rule","Properties":{"Name":"r","EventPattern":{"source":"savings"},"Targets":[]}},
			"Other": {"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"f","Runtime":"python3.13"}}}}`),
	}}
	dir := filepath.Join(t.TempDir(), "data")
	env, err := local.Start(t.Context(), config(snapshot, dir))
	if err == nil {
		env.Close()
		t.Fatal("it started")
	}
	for _, want := range []string{
		`AWS::SQS::Queue "Queue" (stack a): property FifoQueue is not supported`,
		`resource type AWS::CloudWatch::CompositeAlarm is not supported`,
		`AWS::Events::Rule "Rule" (stack a): property EventPattern`,
		`property Runtime: "python3.13"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s was made: %v", dir, err)
	}
}
