package main

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops/stopstest"
)

const queues = "arn:aws:sqs:eu-west-1:123456789012:"

// mappings are those of a function, by their queues' names.
type mappings map[string]bool // whether it is enabled

func (m mappings) ListEventSourceMappings(_ context.Context, in *lambda.ListEventSourceMappingsInput, _ ...func(*lambda.Options)) (*lambda.ListEventSourceMappingsOutput, error) {
	out := &lambda.ListEventSourceMappingsOutput{}
	for queue, enabled := range m {
		if arn := queues + queue; in.EventSourceArn == nil || *in.EventSourceArn == arn {
			state := map[bool]string{true: "Enabled", false: "Disabled"}[enabled]
			out.EventSourceMappings = append(out.EventSourceMappings, types.EventSourceMappingConfiguration{UUID: &queue, EventSourceArn: &arn, State: &state})
		}
	}
	return out, nil
}

func (m mappings) UpdateEventSourceMapping(_ context.Context, in *lambda.UpdateEventSourceMappingInput, _ ...func(*lambda.Options)) (*lambda.UpdateEventSourceMappingOutput, error) {
	m[*in.UUID] = *in.Enabled
	return &lambda.UpdateEventSourceMappingOutput{}, nil
}

func TestAnEndpointThatIsGoneHasAllSubscriptionsOfItsFunctionStopped(t *testing.T) {
	all := mappings{"shop-dev-hook-inserts": true, "shop-dev-hook-updates": true, "shop-dev-hook-inserts-more": true}
	table := &stopstest.Table{}
	d := &disabler{
		function: "hook", lambda: "shop-dev-hook", mappings: all, stops: &stops.Switch{Mappings: all, Items: table, Table: "state"},
		subscriptions: []subscription{{Name: "inserts", Event: "storage/STORAGE_INSERT"}, {Name: "updates", Event: "storage/STORAGE_UPDATE"}},
	}
	if err := d.readQueues(`{"inserts": "shop-dev-hook-inserts", "updates": "shop-dev-hook-updates"}`); err != nil {
		t.Fatal(err)
	}
	for range 2 { // as every batch finds out by itself
		if err := d.disable(t.Context(), "gone"); err != nil {
			t.Fatal(err)
		}
	}
	if all["shop-dev-hook-inserts"] || all["shop-dev-hook-updates"] || !all["shop-dev-hook-inserts-more"] {
		t.Errorf("enabled: %v", all)
	}
	records, err := d.stops.All(t.Context())
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, r := range records {
		if !r.Stopped || r.Reason != "gone" || r.Told || !r.ProbeAt.IsZero() || !strings.HasPrefix(r.Queue, queues) || r.Event == "" {
			t.Errorf("record %+v", r)
		}
	}
}

func TestWhatADeploymentMakesIsReadAndWhatIsNotSoIsNamed(t *testing.T) {
	manifest := `{"name": "hook", "http": {"url": "https://hooks.example.com", "secret": "s"}, "subscriptions": [{"name": "all", "event": "a/B"}]}`
	right := map[string]string{
		"PENSTOCK_FUNCTION": "hook", "PENSTOCK_APP": "shop", "PENSTOCK_ENV": "dev", "PENSTOCK_WEBHOOK_URL": "https://hooks.example.com",
		"PENSTOCK_DELIVERIES_TABLE": "deliveries", "PENSTOCK_DELIVERIES_DAYS": "14", "PENSTOCK_RETRIES": `{"all": {"maxReceiveCount": 10}}`, "PENSTOCK_QUEUES": `{"all": "shop-dev-hook-all"}`,
	}
	for _, c := range []struct{ manifest, variable, value, fault string }{
		{manifest: manifest},
		{manifest: "{", fault: "functions/hook/function.json"},
		{manifest, "PENSTOCK_FUNCTION", "other", "functions/other/function.json"},
		{manifest, "PENSTOCK_WEBHOOK_URL", "http://127.0.0.1:8080", "is this machine"},
		{manifest, "PENSTOCK_DELIVERIES_DAYS", "", "PENSTOCK_DELIVERIES_DAYS"},
		{manifest, "PENSTOCK_RETRIES", "many", "PENSTOCK_RETRIES"},
		{manifest, "PENSTOCK_QUEUES", "many", "PENSTOCK_QUEUES"},
	} {
		_, err := newDeliverer(fstest.MapFS{"functions/hook/function.json": {Data: []byte(c.manifest)}}, func(name string) string {
			if name == c.variable {
				return c.value
			}
			return right[name]
		}, aws.Config{Region: "eu-west-1"})
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s=%s: got %v, want %q", c.variable, c.value, err, c.fault)
		}
	}
}
