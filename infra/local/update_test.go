package local_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

const trades = "penstock-local-trade-allocated"

// edited returns the project's own snapshot with replacements in the template
// of one stack, pairs of old and new text.
func edited(t *testing.T, stack string, pairs ...string) *snapshots.Snapshot {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	template := string(snapshot.Templates[stack])
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(template, pairs[i]) {
			t.Fatalf("the template of %s does not hold %s", stack, pairs[i])
		}
	}
	snapshot.Templates[stack] = json.RawMessage(strings.NewReplacer(pairs...).Replace(template))
	return snapshot
}

func startLocal(t *testing.T) *local.Environment {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

// resourceNames lists the physical names of an update's resources.
func resourceNames(changes []local.Change) (out []string) {
	for _, c := range changes {
		out = append(out, c.Name)
	}
	slices.Sort(out)
	return out
}

func TestAnUpdateChangesOnlyWhatDiffersAndKeepsMessagesAndWhatAPersonHasChanged(t *testing.T) {
	env := startLocal(t)
	client, queues := lambda.NewFromConfig(awsConfig(env.Endpoint())), sqs.NewFromConfig(awsConfig(env.Endpoint()))
	mappings, err := client.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(trades)})
	if err != nil || len(mappings.EventSourceMappings) != 1 {
		t.Fatal(mappings, err)
	}
	id := mappings.EventSourceMappings[0].UUID
	if _, err := client.UpdateEventSourceMapping(t.Context(), &lambda.UpdateEventSourceMappingInput{UUID: id, Enabled: aws.Bool(false)}); err != nil {
		t.Fatal(err)
	}
	publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	for range 3 {
		if err := publisher.Publish(t.Context(), trading.SampleTradeAllocated()); err != nil {
			t.Fatal(err)
		}
	}

	same, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := env.Update(t.Context(), same); err != nil || !changes.None() {
		t.Fatalf("the same templates again: %+v, %v", changes, err)
	}
	changes, err := env.Update(t.Context(), edited(t, trades, `"BatchSize": 10`, `"BatchSize": 7`, `"maxReceiveCount": 5`, `"maxReceiveCount": 9`))
	if err != nil {
		t.Fatal(err)
	}
	queue := trades + "-allocations"
	if len(changes.Created)+len(changes.Removed)+len(changes.Swapped) > 0 || !slices.Equal(resourceNames(changes.Changed), []string{queue, queue}) {
		t.Errorf("changes: %+v", changes)
	}
	m, err := client.GetEventSourceMapping(t.Context(), &lambda.GetEventSourceMappingInput{UUID: id})
	if err != nil || *m.BatchSize != 7 || !strings.HasPrefix(*m.State, "Disabl") {
		t.Errorf("the mapping: %+v, %v", m, err)
	}
	url := env.Endpoint() + "/000000000000/" + queue
	got, err := queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil || got.Attributes["ApproximateNumberOfMessages"] == "0" || !strings.Contains(got.Attributes["RedrivePolicy"], "9") {
		t.Errorf("the queue: %v, %v", got, err)
	}
}

func TestAnUpdateRemovesAFunctionWithItsRuleAndQueuesAndBringsItBack(t *testing.T) {
	env := startLocal(t)
	client, queues := lambda.NewFromConfig(awsConfig(env.Endpoint())), sqs.NewFromConfig(awsConfig(env.Endpoint()))
	left := func() (counts [3]int) {
		names, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		if err != nil {
			t.Fatal(err)
		}
		rules, err := eventbridge.NewFromConfig(awsConfig(env.Endpoint())).ListRules(t.Context(), &eventbridge.ListRulesInput{EventBusName: aws.String("penstock-local")})
		if err != nil {
			t.Fatal(err)
		}
		functions, err := client.ListFunctions(t.Context(), &lambda.ListFunctionsInput{})
		if err != nil {
			t.Fatal(err)
		}
		return [3]int{len(names.QueueUrls), len(rules.Rules), len(functions.Functions)}
	}
	all, deployed := left(), len(env.Deployed())
	without := edited(t, trades)
	without.Stacks = slices.DeleteFunc(without.Stacks, func(name string) bool { return name == trades })
	changes, err := env.Update(t.Context(), without)
	if err != nil || len(changes.Removed) == 0 || !slices.Contains(resourceNames(changes.Removed), trades) {
		t.Fatalf("changes: %+v, %v", changes, err)
	}
	if got, want := left(), [3]int{all[0] - 3, all[1] - 1, all[2] - 1}; got != want {
		t.Errorf("without it there are %v queues, rules and functions; want %v", got, want)
	}
	if changes, err = env.Update(t.Context(), edited(t, trades)); err != nil || !slices.Contains(resourceNames(changes.Created), trades) {
		t.Fatalf("changes: %+v, %v", changes, err)
	}
	if got := left(); got != all {
		t.Errorf("with it again there are %v queues, rules and functions; want %v", got, all)
	}
	if got := len(env.Deployed()); got != deployed {
		t.Errorf("%d functions are deployed, want %d", got, deployed)
	}
}

func TestAnUpdateThatIsRefusedChangesNothing(t *testing.T) {
	env := startLocal(t)
	client, queues := lambda.NewFromConfig(awsConfig(env.Endpoint())), sqs.NewFromConfig(awsConfig(env.Endpoint()))
	state := func() string {
		f, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(trades)})
		if err != nil {
			t.Fatal(err)
		}
		all, err := queues.ListQueues(t.Context(), &sqs.ListQueuesInput{})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(*f.MemorySize, *f.CodeSha256, all.QueueUrls)
	}
	before := state()
	for what, c := range map[string]struct {
		snapshot *snapshots.Snapshot
		want     string
	}{
		"not supported":     {edited(t, trades, `"BatchSize"`, `"Topics"`), "property Topics is not supported"},
		"does not compile":  {edited(t, trades, `"functions/trade-allocated"`, `"functions/no-such"`), "building the functions failed"},
		"refused by Lambda": {edited(t, trades, `"MemorySize": 256`, `"MemorySize": 192`, `"BatchSize": 10`, `"BatchSize": 99999`), "BatchSize 99999"},
		"refused by SQS": {edited(t, trades, `"QueueName": "`+trades+`-allocations-dlq"`, `"RedriveAllowPolicy": {"redrivePermission": "denyAll"}, "QueueName": "`+trades+`-allocations-dlq"`,
			`"maxReceiveCount": 5`, `"maxReceiveCount": 6`), `the RedriveAllowPolicy of queue "` + trades + `-allocations-dlq" (denyAll)`},
		"of others": {&snapshots.Snapshot{App: "shop", Env: "local"}, "restart to run these"},
	} {
		changes, err := env.Update(t.Context(), c.snapshot)
		if err == nil || !strings.Contains(err.Error(), c.want) || !changes.None() {
			t.Errorf("%s: %+v, %v", what, changes, err)
		}
		if after := state(); after != before {
			t.Errorf("%s: before %s, after %s", what, before, after)
		}
	}
	same, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := env.Update(t.Context(), same); err != nil || !changes.None() {
		t.Errorf("and then the same templates again: %+v, %v", changes, err)
	}
	if _, err := env.Rebuild(t.Context(), "./functions/no-such"); err == nil || !strings.Contains(err.Error(), "is not that of a function") {
		t.Errorf("rebuilding what is no function: %v", err)
	}
	if swapped, err := env.Rebuild(t.Context(), env.Packages()...); err != nil || len(swapped) > 0 {
		t.Errorf("rebuilding unchanged code: %v, %v", swapped, err)
	}
}
