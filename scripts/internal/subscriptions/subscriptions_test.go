package subscriptions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"

	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

const (
	root   = "../../.." // the repository
	region = "us-east-1"
)

var n = names.New("penstock", "local")

// calls counts the calls of a client.
type calls struct {
	mu sync.Mutex
	of map[string]int
}

func (c *calls) count(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Count", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.of[awsmiddleware.GetOperationName(ctx)]++
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// take returns how many calls there were since it was last called.
func (c *calls) take() (total int, of map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of, c.of = c.of, map[string]int{}
	for _, n := range of {
		total += n
	}
	return total, of
}

// start runs an environment in which the project's function trade-allocated is
// deployed so many times, as f000 and so on, and returns its subscriptions.
func start(t *testing.T, functions int) (*subscriptions.Environment, *calls) {
	t.Helper()
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	stack := n.Stack("trade-allocated")
	template := string(snapshot.Templates[stack])
	var stacks []string
	for _, name := range snapshot.Stacks {
		if name == n.Stack(names.BusStack) || name == n.Stack(names.DataStack) || name == n.Stack(names.OperationsStack) {
			stacks = append(stacks, name)
		}
	}
	snapshot.Stacks = stacks
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(root, "functions/trade-allocated", manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range functions {
		fn := fmt.Sprintf("f%03d", i)
		snapshot.Stacks = append(snapshot.Stacks, n.Stack(fn))
		snapshot.Templates[n.Stack(fn)] = json.RawMessage(strings.ReplaceAll(template, stack, n.Stack(fn)))
		write(t, dir, fn, bytes.Replace(text, []byte("trade-allocated"), []byte(fn), 1))
	}
	env, err := local.Start(t.Context(), local.Config{
		Snapshot: snapshot, Root: root, DataDir: t.TempDir(), Account: "000000000000", Region: region, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	counted := &calls{of: map[string]int{}}
	return open(t, dir, aws.Config{
		BaseEndpoint: aws.String(env.Endpoint()), Region: region,
		Credentials: credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
		APIOptions:  []func(*middleware.Stack) error{counted.count},
	}), counted
}

func open(t *testing.T, dir string, config aws.Config) *subscriptions.Environment {
	t.Helper()
	e, err := subscriptions.Open(&cli.Target{Root: dir, Names: n, AWS: config})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func write(t *testing.T, dir, fn string, text []byte) {
	t.Helper()
	dir = filepath.Join(dir, manifest.FunctionsDir, fn)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifest.FileName), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAListMakesCallsByTheHundredAndNotForEachAndFindsWhatDiffers(t *testing.T) {
	const many = 300
	e, counted := start(t, many)
	all, err := e.List(t.Context())
	if err != nil || len(all) != many {
		t.Fatalf("%d subscriptions, %v", len(all), err)
	}
	for _, l := range all {
		if l.State != subscriptions.Enabled || len(l.Drift) > 0 {
			t.Fatalf("%s is %s, with drift %v", l, l.State, l.Drift)
		}
	}
	// Mappings and rules come 100 at a time, metrics 500: 4 of each subscription.
	// The relay of the outbox has a mapping, too.
	total, of := counted.take()
	t.Logf("%d calls: %v", total, of)
	if total > 11 {
		t.Errorf("%d calls: %v, want 4 for mappings, 3 for rules, 3 for figures, 1 for records", total, of)
	}

	// Each of the first few comes to differ from its manifest in a way of its own.
	functions, rules, queues := lambda.NewFromConfig(e.AWS), eventbridge.NewFromConfig(e.AWS), sqs.NewFromConfig(e.AWS)
	rule := func(i int) *string { return &all[i].Rule }
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, err = functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &all[0].Mapping.UUID, BatchSize: aws.Int32(7)})
	check("another batch size", err)
	_, err = functions.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: &all[1].Mapping.UUID, Enabled: aws.Bool(false)})
	check("disabled by hand", err)
	write(t, e.Root, "f999", []byte(`{"name": "f999", "subscriptions": [{"name": "allocations", "event": "trading/TRADE_ALLOCATED"}]}`))
	_, err = rules.DisableRule(t.Context(), &eventbridge.DisableRuleInput{EventBusName: aws.String(n.Bus()), Name: rule(3)})
	check("a rule that does nothing", err)
	_, err = rules.PutRule(t.Context(), &eventbridge.PutRuleInput{EventBusName: aws.String(n.Bus()), Name: rule(4), EventPattern: aws.String(`{"source": ["trading"]}`)})
	check("another pattern", err)
	check("a manifest that is gone", os.RemoveAll(filepath.Join(e.Root, manifest.FunctionsDir, "f005")))
	write(t, e.Root, "f006", []byte(`{"name": "f006", "tombstones": [{"name": "allocations", "event": "trading/TRADE_ALLOCATED", "deletedAt": "2026-11-21T15:00:00Z"}]}`))
	write(t, e.Root, "f007", []byte(`{"name": "f007", "subscriptions": [{"name": "allocations", "event": "trading/TRADE_ALLOCATED", "batchSize": 10, "batchWindowSeconds": 0, "maxReceiveCount": 3}]}`))
	dlq, err := queues.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &all[7].DLQ})
	check("a DLQ", err)
	_, err = queues.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: dlq.QueueUrl, MessageBody: aws.String("failed")})
	check("a failure", err)

	e = open(t, e.Root, e.AWS)
	if all, err = e.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]subscriptions.Live{}
	for _, l := range all {
		got[l.Function] = l
	}
	for fn, want := range map[string]string{
		"f000": "enabled [batchSize is 7, the manifest says 10]",
		"f001": "disabled [enabled is false, the manifest says true]",
		"f999": "not deployed [missing: in the manifest, and not deployed]",
		"f003": "enabled [rule is disabled: it does not fill the queue, the manifest says enabled]",
		"f004": `enabled [filter is {"source":["trading"]}, the manifest says {"detail-type":["TRADE_ALLOCATED"],"source":["trading"]}]`,
		"f005": "enabled [orphaned: deployed, and in no manifest]",
		"f006": "enabled [event source mapping is enabled, the manifest says deleted]",
		"f007": "enabled []",
		"f008": "enabled []",
	} {
		if is := fmt.Sprintf("%s %v", strings.NewReplacer("disabling", "disabled").Replace(got[fn].State), got[fn].Drift); is != want {
			t.Errorf("%s: %s, want %s", fn, is, want)
		}
	}
	if got["f007"].Figures.DLQ != 1 || got["f008"].Figures.DLQ != 0 {
		t.Errorf("DLQs hold %d and %d, want 1 and 0", got["f007"].Figures.DLQ, got["f008"].Figures.DLQ)
	}

	// One alone is asked of in full; one that is in no manifest is found, too.
	counted.take()
	live, err := e.Get(t.Context(), got["f007"].Subscription)
	if want := "[maxReceiveCount is 5, the manifest says 3]"; err != nil || fmt.Sprint(live.Drift) != want || live.Figures.DLQ != 1 || !live.Figures.Exact {
		t.Errorf("%v, %+v, %v; want %s and a DLQ of 1", live.Drift, live.Figures, err, want)
	}
	if total, of := counted.take(); total > 10 {
		t.Errorf("%d calls for one: %v", total, of)
	}
	if s, err := e.Find(t.Context(), "f005/allocations"); err != nil || s.Manifest != nil || s.Queue != n.Queue("f005", "allocations") {
		t.Errorf("the orphan: %+v, %v", s, err)
	}
	for name, want := range map[string]string{"f008/allocation": "did you mean f008/allocations", "allocations": "a NAME is function/subscription"} {
		if _, err := e.Find(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestThoseOfPenstocksOwnProgramsAreKnownAndNotChanged(t *testing.T) {
	e, err := subscriptions.Open(&cli.Target{Root: root, Names: n, AWS: aws.Config{Region: region}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Find(t.Context(), "callback/results") // there, since message-log has topics
	if err != nil || s.Manifest == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	var misuse cli.Misuse
	if _, err := e.Update(s, nil); !errors.As(err, &misuse) || !strings.Contains(err.Error(), "one of Penstock's own") {
		t.Errorf("changing it: %v", err)
	}
}
