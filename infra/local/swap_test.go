package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// versioned is a function that says which version of it handled an event: what
// its main package says, and what a package says that it imports. It takes its
// time, so that a swap comes in the middle of batches.
const versioned = `package main

import (
	"context"
	"time"

	"example.com/shop/version"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
)

func main() {
	handler.Start(handler.Batch(func(ctx context.Context, trades []*handler.Message[trading.TradeAllocated]) error {
		time.Sleep(20 * time.Millisecond)
		for _, m := range trades {
			handler.Logger(ctx).InfoContext(ctx, "handled by", "event", m.Metadata.ID, "main", %q, "library", version.Version)
		}
		return nil
	}))
}
`

// project makes a project of one function in a folder of its own, and returns
// what writes a version of the function's code.
func project(t *testing.T) (dir string, write func(version string)) {
	t.Helper()
	dir = t.TempDir()
	house, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(house, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(house, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	const own = "module github.com/penstock-dev/penstock"
	file := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file("go.sum", string(sums))
	file("go.mod", strings.Replace(string(module), own, "module example.com/shop", 1)+
		"\nrequire github.com/penstock-dev/penstock v0.0.0\n\nreplace github.com/penstock-dev/penstock => "+house+"\n")
	return dir, func(version string) {
		t.Helper()
		file("functions/trade-allocated/main.go", fmt.Sprintf(versioned, version))
		file("version/version.go", fmt.Sprintf("package version\n\nconst Version = %q\n", version))
	}
}

// Events come all the time while the function's code is swapped. Since no
// message is tried again within the test (its visibility timeout is hours), what
// a swap lost would be missing at the end.
func TestCodeIsSwappedUnderLoadAndEveryEventIsHandledOnceByOneVersion(t *testing.T) {
	const swaps = 6
	dir, write := project(t)
	write("0")
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	only(snapshot, "trade-allocated")
	snapshot.Templates[trades] = json.RawMessage(strings.Replace(string(snapshot.Templates[trades]), `"VisibilityTimeout": 180`, `"VisibilityTimeout": 43200`, 1))
	if !strings.Contains(string(snapshot.Templates[trades]), "43200") {
		t.Fatal("the template has another visibility timeout")
	}
	data := t.TempDir()
	secretstest.SearchAtEnd(t, filepath.Join(data, "logs"))
	c := config(snapshot, data)
	c.Root = dir
	env, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()

	publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	published := map[string]bool{}
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for ctx.Err() == nil {
			batch := make([]events.Event, 10)
			for i := range batch {
				e := events.Stamp(t.Context(), trading.SampleTradeAllocated())
				published[e.ID], batch[i] = true, e
			}
			if err := publisher.PublishBatch(t.Context(), batch); err != nil {
				t.Error(err)
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	})

	logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
	for swap := range swaps {
		version := fmt.Sprint(swap + 1)
		write(version)
		swapped, err := env.Rebuild(t.Context(), "./functions/trade-allocated")
		if err != nil || !slices.Equal(swapped, []string{"trade-allocated"}) {
			t.Fatalf("swapped %q, %v", swapped, err)
		}
		await(t, "the new version handles events", func() bool { return len(lines(t, logs, `{ $.main = "`+version+`" }`)) > 0 })
	}
	stop()
	publishing.Wait()

	outcomes := map[string]int{}
	await(t, "every event has an outcome", func() bool {
		clear(outcomes)
		for _, l := range lines(t, logs, `{ $.msg = "outcome" }`) {
			if l.Outcome != "handled" {
				t.Fatalf("event %s: %s", l.ID, l.Outcome)
			}
			outcomes[l.ID]++
		}
		return len(outcomes) >= len(published)
	})
	for id, n := range outcomes {
		if n != 1 || !published[id] {
			t.Errorf("event %s was handled %d times (published: %v)", id, n, published[id])
		}
	}
	versions, handled := map[string]int{}, map[string]int{}
	for _, l := range lines(t, logs, `{ $.msg = "handled by" }`) {
		if l.Main != l.Library {
			t.Errorf("event %s was handled by half of version %s and half of %s", l.Event, l.Main, l.Library)
		}
		versions[l.Main]++
		handled[l.Event]++
	}
	if len(versions) != swaps+1 || len(handled) != len(published) {
		t.Errorf("%d of %d events were handled, by versions %v", len(handled), len(published), versions)
	}
	for id, n := range handled {
		if n != 1 {
			t.Errorf("event %s reached the handler %d times", id, n)
		}
	}
	t.Logf("%d events, by version: %v", len(published), versions)

	// Each invocation that began has ended, and well: no process was killed with a
	// batch in hand.
	if begun, ended := len(lines(t, logs, `"START RequestId"`)), len(lines(t, logs, `"REPORT RequestId"`)); begun != ended || begun == 0 {
		t.Errorf("%d invocations began, %d ended", begun, ended)
	}
	if failed := lines(t, logs, `"Error"`); len(failed) > 0 {
		t.Errorf("%d lines tell of errors", len(failed))
	}
	// And the queue holds nothing, in flight or waiting.
	queues, url := sqs.NewFromConfig(awsConfig(env.Endpoint())), env.Endpoint()+"/000000000000/"+trades+"-allocations"
	await(t, "the queue is empty", func() bool {
		got, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		return got.Attributes["ApproximateNumberOfMessages"] == "0" && got.Attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
	})
}

// logLine is what the tests read of a line that the function has logged.
type logLine struct {
	Outcome, ID          string // of an outcome record
	Event, Main, Library string // of "handled by"
}

// lines returns the lines of the function's log that match a pattern.
func lines(t *testing.T, logs *cloudwatchlogs.Client, pattern string) (out []logLine) {
	t.Helper()
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(logs, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + trades), FilterPattern: &pattern})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			var l logLine
			_ = json.Unmarshal([]byte(*e.Message), &l) // Lambda's own lines are not JSON
			out = append(out, l)
		}
	}
	return out
}

// await waits for a condition, as long as a slow machine may need.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
