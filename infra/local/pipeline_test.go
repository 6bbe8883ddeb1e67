package local_test

import (
	"encoding/json"
	"fmt"
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

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// stages call portfolio-shares in every way that there is. What it is to do is in
// the trade's id: its mode, a hyphen, a number.
const stages = `[
	{"externalFunction": {"functionName": "portfolio-shares", "as": "first", "onError": "fail", "parallelism": 4, "partitionBy": "$data.instrument.isin",
		"payload": [{"project": {"stage": "first", "trade": "$data.tradeId", "isin": "$data.instrument.isin"}}]}},
	{"externalFunction": {"functionName": "portfolio-shares", "execution": "async",
		"payload": [{"project": {"stage": "async", "trade": "$data.tradeId"}}]}},
	{"externalFunction": {"functionName": "portfolio-shares", "as": "ignored", "onError": "ignore",
		"payload": [{"project": {"stage": "ignored", "trade": "$data.tradeId"}}]}},
	{"externalFunction": {"functionName": "portfolio-shares", "as": "last",
		"payload": [{"project": {"stage": "last", "trade": "$data.tradeId"}}]}},
	{"emit": {"event": "trading/TRADE_ALLOCATED", "data": {
		"tradeId": "$data.tradeId", "instrument": "$first.answer", "side": "$data.side", "executedAt": {"$arrayElemAt": ["$data.fills.executedAt", -1]},
		"allocations": [{"portfolioId": {"$ifNull": ["$ignored.answer", "none"]}, "quantity": 1}]}}}
]`

// callee fails in the stage that a trade's mode names, "ignored" always, and says
// what it was called for.
const callee = `package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

type request struct{ Stage, Trade, ISIN string }

func main() {
	lambda.Start(func(r request) (map[string]string, error) {
		fmt.Println("called", r.Stage, r.Trade, r.ISIN)
		if r.Stage == "ignored" || strings.HasPrefix(r.Trade, r.Stage) {
			return nil, errors.New("no answer")
		}
		return map[string]string{"answer": "for " + r.Trade}, nil
	})
}
`

// startPipeline starts an environment in which trade-allocation has these stages.
func startPipeline(t *testing.T) *local.Environment {
	t.Helper()
	dir, write := project(t)
	write("1") // trade-allocated, which takes note of what the pipeline emits
	schema, err := os.ReadFile(filepath.Join(root, "schemas/trading/TRADE_ALLOCATED.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"functions/trade-allocation/function.json":    `{"name": "trade-allocation", "publishes": ["trading/TRADE_ALLOCATED"], "pipeline": ` + stages + `}`,
		"functions/portfolio-shares/main.go":          callee,
		"schemas/trading/TRADE_ALLOCATED.schema.json": string(schema),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	only(snapshot, "trade-allocated", "trade-allocation", "portfolio-shares")
	const pipeline = "penstock-local-trade-allocation"
	edited := strings.NewReplacer(`\"maxReceiveCount\":5,\"baseSeconds\":30,\"capSeconds\":900`, `\"maxReceiveCount\":2,\"baseSeconds\":1,\"capSeconds\":1`,
		`"maxReceiveCount": 5`, `"maxReceiveCount": 2`).Replace(string(snapshot.Templates[pipeline]))
	if strings.Contains(edited, "900") || !strings.Contains(edited, `"maxReceiveCount": 2`) {
		t.Fatal("the template has other retries")
	}
	snapshot.Templates[pipeline] = json.RawMessage(edited)
	c := config(snapshot, t.TempDir())
	c.Root = dir
	env, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Close() })
	return env
}

// printed is what a function has printed, in order.
func printed(t *testing.T, env *local.Environment, function, match string) []string {
	t.Helper()
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint())), &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String("/aws/lambda/penstock-local-" + function), FilterPattern: aws.String(`"` + match + `"`),
	})
	var out []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			out = append(out, strings.TrimSpace(*e.Message))
		}
	}
	return out
}

func executed(t *testing.T, id, isin string) events.Envelope {
	t.Helper()
	return events.Stamp(t.Context(), trading.SampleTradeExecuted(func(e *trading.TradeExecuted) { e.TradeID, e.Instrument.ISIN = id, isin }))
}

func TestAPipelineRunsAsAFunctionOfItsOwn(t *testing.T) {
	env := startPipeline(t)
	client := awsConfig(env.Endpoint())
	const sap, bmw = "DE0007164600", "DE0005190003"

	t.Run("what it emits arrives; what fails comes back, and dies with its receives; what is dead dies at once", func(t *testing.T) {
		good, failing, dead := executed(t, "good-1", sap), executed(t, "first-2", sap), executed(t, "last-3", bmw)
		if err := eventbus.New(eventbridge.NewFromConfig(client), "penstock-local").PublishBatch(t.Context(), []events.Event{good, failing, dead}); err != nil {
			t.Fatal(err)
		}
		dlq := &letters{client: sqs.NewFromConfig(client), url: aws.String(env.Endpoint() + "/000000000000/penstock-local-trade-allocation-executions-dlq")}
		until(t, "both are in the DLQ, and the good trade is allocated", func() bool {
			return len(dlq.all(t)) == 2 && len(printed(t, env, "trade-allocated", "handled by")) == 1
		})
		for _, m := range dlq.all(t) {
			attribute := func(name string) string { return aws.ToString(m.MessageAttributes[name].StringValue) }
			if strings.Contains(*m.Body, failing.ID) {
				if len(m.MessageAttributes) != 0 {
					t.Errorf("SQS moved it, and it says %v", m.MessageAttributes)
				}
				continue
			}
			if !strings.Contains(*m.Body, dead.ID) {
				t.Errorf("in the DLQ: %s", *m.Body)
			}
			for name, want := range map[string]string{
				queue.Processor: "trade-allocation", queue.Operator: "pipeline[3].externalFunction", queue.Receives: "1",
				queue.Reason: "pipeline[3].externalFunction: function portfolio-shares: errorString: no answer",
			} {
				if got := attribute(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			var document struct {
				First struct{ Answer string }
				Data  trading.TradeExecuted
			}
			if err := json.Unmarshal([]byte(attribute(queue.Document)), &document); err != nil || document.First.Answer != "for last-3" || document.Data.Instrument.ISIN != bmw {
				t.Errorf("document %s: %v", attribute(queue.Document), err)
			}
			if !strings.HasSuffix(attribute(queue.Source), ":penstock-local-trade-allocation-executions") || attribute(queue.Time) == "" {
				t.Errorf("attributes %v", m.MessageAttributes)
			}
		}
		if calls := printed(t, env, "portfolio-shares", "called first first-2"); len(calls) != 2 {
			t.Errorf("the failing trade was tried %d times, want 2: %q", len(calls), calls)
		}
		if calls := printed(t, env, "portfolio-shares", "called async good-1"); len(calls) != 1 {
			t.Errorf("%d asynchronous calls, want 1", len(calls))
		}
		allocated := printed(t, env, "trade-allocated", "handled by")[0]
		if !strings.Contains(allocated, events.DeriveID(good.OccurredAt, "trade-allocation/executions/"+good.ID, trading.TradeAllocated{}.EventType(), 0)) {
			t.Errorf("allocated: %s", allocated)
		}
		if ignored := printed(t, env, "trade-allocation", "a call failed, and is ignored"); len(ignored) == 0 {
			t.Error("the call that fails without consequence is not logged")
		}
	})

	t.Run("with partitionBy the calls of a key are in the order of the batch, and delivered again the same is emitted", func(t *testing.T) {
		var batch []events.Event
		want := map[string][]string{}
		for i := range 12 {
			isin := []string{sap, bmw}[i%2]
			batch = append(batch, executed(t, fmt.Sprintf("order-%d", i), isin))
			want[isin] = append(want[isin], fmt.Sprintf("called first order-%d %s", i, isin))
		}
		before := len(printed(t, env, "trade-allocated", "handled by"))
		payload := handlertest.Payload(t, "penstock-local-trade-allocation-executions", batch...)
		for range 2 {
			out, err := lambda.NewFromConfig(client).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("penstock-local-trade-allocation"), Payload: payload})
			if err != nil || out.FunctionError != nil || string(out.Payload) != `{"batchItemFailures":[]}` {
				t.Fatalf("%s %v", out.Payload, err)
			}
		}
		for isin, calls := range want {
			got := slices.DeleteFunc(printed(t, env, "portfolio-shares", "called first order-"), func(l string) bool { return !strings.HasSuffix(l, isin) })
			if !slices.Equal(got, append(calls, calls...)) {
				t.Errorf("%s: got %q, want twice %q", isin, got, calls)
			}
		}
		until(t, "all allocations were handled", func() bool { return len(printed(t, env, "trade-allocated", "handled by")) == before+24 })
		times := map[string]int{}
		for _, l := range printed(t, env, "trade-allocated", "handled by")[before:] {
			var said struct{ Event string }
			if err := json.Unmarshal([]byte(l), &said); err != nil {
				t.Fatal(err)
			}
			times[said.Event]++
		}
		if len(times) != 12 {
			t.Errorf("%d events were emitted, by their ids, want 12, each twice", len(times))
		}
	})
}
