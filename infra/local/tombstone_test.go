package local_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// deleted is the project's own snapshot in which the subscription of trades has
// a tombstone: it lacks the mapping, and the alarms on its figures.
func deleted(t *testing.T) *snapshots.Snapshot {
	t.Helper()
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	var template map[string]any
	if err := json.Unmarshal(snapshot.Templates[trades], &template); err != nil {
		t.Fatal(err)
	}
	resources := template["Resources"].(map[string]any)
	mapping := ""
	for id, r := range resources {
		if r.(map[string]any)["Type"] == "AWS::Lambda::EventSourceMapping" {
			mapping = id
		}
	}
	maps.DeleteFunc(resources, func(id string, r any) bool {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return id == mapping || bytes.Contains(text, []byte(`"`+mapping+`"`))
	})
	if snapshot.Templates[trades], err = json.Marshal(template); err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestASubscriptionThatIsDeletedAndCreatedAgainHandlesWhatWasPublishedInBetween(t *testing.T) {
	env := startLocal(t)
	changes, err := env.Update(t.Context(), deleted(t))
	if err != nil || !slices.ContainsFunc(changes.Removed, func(c local.Change) bool { return c.Type == "AWS::Lambda::EventSourceMapping" }) {
		t.Fatalf("changes: %+v, %v", changes, err)
	}
	mappings, err := lambda.NewFromConfig(awsConfig(env.Endpoint())).ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(trades)})
	if err != nil || len(mappings.EventSourceMappings) != 0 {
		t.Fatalf("mappings: %+v, %v", mappings, err)
	}
	publisher := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	published := map[string]bool{}
	for range 3 {
		e := events.Stamp(t.Context(), trading.SampleTradeAllocated())
		published[e.ID] = true
		if err := publisher.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	again, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := env.Update(t.Context(), again); err != nil || len(changes.Created) == 0 || len(changes.Changed) != 0 {
		t.Fatalf("changes: %+v, %v", changes, err)
	}
	logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
	until(t, "all three to be handled", func() bool {
		lines, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/" + trades), FilterPattern: aws.String(`{ $.outcome = "handled" }`),
		})
		if err != nil {
			return false // the function has not written yet
		}
		handled := map[string]bool{}
		for _, line := range lines.Events {
			var record struct{ ID string }
			if json.Unmarshal([]byte(*line.Message), &record) == nil && published[record.ID] {
				handled[record.ID] = true
			}
		}
		return len(handled) == len(published)
	})
}
