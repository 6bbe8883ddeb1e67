package stacks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// one returns the template's one resource of a type.
func (tmpl template) one(t *testing.T, resourceType string) resource {
	t.Helper()
	var found []resource
	for _, r := range tmpl.Resources {
		if r.Type == resourceType {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d resources are a %s, want 1", len(found), resourceType)
	}
	return found[0]
}

func TestAFunctionsTagsTellConnectorsItsTopics(t *testing.T) {
	shop := shopIn(t, dev)
	tags := text(shop["penstock-dev-printer"].one(t, "AWS::Lambda::Function").Properties["Tags"])
	for key, value := range map[string]string{
		"penstock:environment": "penstock-dev", "penstock:function": "printer", "penstock:namespace": "billing", "penstock:topics": "payment.=2A refund",
	} {
		if want := fmt.Sprintf(`{"Key":%q,"Value":%q}`, key, value); !strings.Contains(tags, want) {
			t.Errorf("%s is not in %s", want, tags)
		}
	}
	if tags := shop["penstock-dev-plain"].one(t, "AWS::Lambda::Function").Properties["Tags"]; tags != nil {
		t.Errorf("a function without topics has the tags %v", tags)
	}
}

func TestOnlyAFunctionWithTopicsHasDestinations(t *testing.T) {
	shop := shopIn(t, dev)
	config := shop["penstock-dev-printer"].one(t, "AWS::Lambda::EventInvokeConfig")
	bus := `{"Destination":"arn:${AWS::Partition}:events:` + region + `event-bus/penstock-dev"}`
	if got := text(config.Properties["DestinationConfig"]); got != `{"OnFailure":`+bus+`,"OnSuccess":`+bus+`}` {
		t.Errorf("destinations: %s", got)
	}
	for property, want := range map[string]any{"Qualifier": "$LATEST", "MaximumRetryAttempts": 1.0, "MaximumEventAgeInSeconds": 3600.0} {
		if got := config.Properties[property]; got != want {
			t.Errorf("%s is %v, want %v", property, got, want)
		}
	}
	for stack, tmpl := range shop {
		for _, r := range tmpl.Resources {
			if r.Type == "AWS::Lambda::EventInvokeConfig" && stack != "penstock-dev-printer" {
				t.Errorf("%s has one, too", stack)
			}
		}
	}
}

func TestAFunctionMayPutItsResultsOnTheBusAndNothingElse(t *testing.T) {
	for _, s := range shopIn(t, dev)["penstock-dev-printer"].role(t) {
		if !slices.Contains(s.actions, "events:PutEvents") {
			continue
		}
		if want := `{"StringEqualsIfExists":{"events:detail-type":["Lambda Function Invocation Result - Success","Lambda Function Invocation Result - Failure"],"events:source":"lambda"}}`; s.conditions != want || len(s.actions) != 1 ||
			!slices.Equal(s.resources, []string{"arn:${AWS::Partition}:events:" + region + "event-bus/penstock-dev"}) {
			t.Errorf("got %+v", s)
		}
		return
	}
	t.Error("it may not")
}

func TestWhatFailsForGoodLandsInADLQOfItsFunction(t *testing.T) {
	printer := shopIn(t, dev)["penstock-dev-printer"]
	rule := printer.named(t, "AWS::Events::Rule", "Name", "penstock-dev-printer-async")
	want := `{"detail":{"requestContext":{"functionArn":["arn:${AWS::Partition}:lambda:` + region + `function:penstock-dev-printer:$LATEST"]}},"detail-type":["Lambda Function Invocation Result - Failure"],"source":["lambda"]}`
	if got := text(rule.Properties["EventPattern"]); got != want {
		t.Errorf("the pattern is\n%s\nwant\n%s", got, want)
	}
	dlq := printer.queue(t, "penstock-dev-printer-async-dlq")
	if dlq.Properties["MessageRetentionPeriod"] != 14.0*24*60*60 {
		t.Errorf("it keeps a call for %v s", dlq.Properties["MessageRetentionPeriod"])
	}
	printer.queue(t, "penstock-dev-printer-async-rule-dlq")
	for _, name := range []string{"penstock-dev-printer-async/dlq", "penstock-dev-printer-async/rule-dlq", "penstock-dev-printer/results-lost"} {
		printer.named(t, "AWS::CloudWatch::Alarm", "AlarmName", name)
	}
}

func TestTheCallbackProgramGetsTheResultsThatSomebodyWaitsFor(t *testing.T) {
	callback := shopIn(t, prod)["penstock-prod-callback"]
	rule := callback.named(t, "AWS::Events::Rule", "Name", "penstock-prod-callback-results")
	want := `{"detail":{"requestPayload":{"headers":{"x-callback-url":[{"exists":true}]}}},"detail-type":["Lambda Function Invocation Result - Success","Lambda Function Invocation Result - Failure"],"source":["lambda"]}`
	if got := text(rule.Properties["EventPattern"]); got != want {
		t.Errorf("the pattern is\n%s\nwant\n%s", got, want)
	}
	function := callback.one(t, "AWS::Lambda::Function")
	variables := text(function.Properties["Environment"])
	for _, want := range []string{
		`"PENSTOCK_CALLBACK_HOSTS":"hooks.example.com *.shop.example"`,
		`"PENSTOCK_RETRIES":"{\"results\":{\"maxReceiveCount\":12,\"baseSeconds\":10,\"capSeconds\":900}}"`,
	} {
		if !strings.Contains(variables, want) {
			t.Errorf("%s is not in %s", want, variables)
		}
	}
	if strings.Contains(variables, "PENSTOCK_EGRESS") {
		t.Errorf("on AWS it may send to the machine itself: %s", variables)
	}
	if function.Metadata["penstock:code"] != "github.com/penstock-dev/penstock/functions/system/callback" {
		t.Errorf("its code is %v", function.Metadata)
	}
	if got := callback.queue(t, "penstock-prod-callback-results").Properties["VisibilityTimeout"]; got != 360.0 {
		t.Errorf("a result is hidden for %v s", got)
	}
}

func TestWithoutTopicsThereIsNoCallbackProgramAndOnOneMachineItMaySendToIt(t *testing.T) {
	needsNode(t)
	without := fstest.MapFS{}
	for name, file := range shop {
		if name != "functions/printer/function.json" {
			without[name] = file
		}
	}
	if _, ok := synthesize(t, without, dev).Templates["penstock-dev-callback"]; ok {
		t.Error("there is one")
	}
	local := dev
	local.Name, local.Endpoint, local.CallbackHosts = "local", "http://127.0.0.1:4566", []string{"127.0.0.1"}
	templates := parse(t, synthesize(t, shop, local).Templates)
	if variables := text(templates["penstock-local-callback"].one(t, "AWS::Lambda::Function").Properties["Environment"]); !strings.Contains(variables, `"PENSTOCK_EGRESS":"local"`) {
		t.Errorf("its variables are %s", variables)
	}
}
