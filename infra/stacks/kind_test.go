package stacks_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/stacks"
)

func TestAPipelineIsPenstocksOwnProgramWithTheManifestBesideIt(t *testing.T) {
	rates := shopIn(t, dev)["penstock-dev-rates"]
	program := rates.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-rates")
	if got := program.Metadata[names.CodeMetadata]; got != names.SystemPackages+"pipeline" {
		t.Errorf("its code is %v", got)
	}
	if got, want := text(program.Metadata[names.FilesMetadata]),
		`["functions/rates/function.json","schemas/savings/FEE_CHARGED.schema.json","schemas/savings/FEE_WAIVED.schema.json","schemas/trading/TRADE_ALLOCATED.schema.json"]`; got != want {
		t.Errorf("files\n%s, want\n%s", got, want)
	}
	if _, there := shopIn(t, dev)["penstock-dev-fee"].named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-fee").Metadata[names.FilesMetadata]; there {
		t.Error("a function with code has files besides")
	}
	rates.mapping(t, "penstock-dev-rates-deposits") // and all else that a subscription has
	rates.queue(t, "penstock-dev-rates-deposits-dlq")
}

// A pipeline has no transaction that its events could belong to: they go to the
// bus at once.
func TestAPipelinePublishesOnTheBusWhatItsManifestNamesAndNothingElse(t *testing.T) {
	rates := shopIn(t, dev)["penstock-dev-rates"]
	var got []string
	for _, s := range rates.statements() {
		if slices.Contains(s.actions, "events:PutEvents") {
			got = append(got, s.conditions)
			if want := "arn:${AWS::Partition}:events:" + region + "event-bus/penstock-dev"; !slices.Equal(s.resources, []string{want}) {
				t.Errorf("on %q, want %q", s.resources, want)
			}
		}
		if slices.ContainsFunc(s.actions, func(a string) bool { return len(a) > 8 && a[:8] == "dynamodb" }) {
			t.Errorf("it may use tables: %v", s)
		}
	}
	if want := []string{
		`{"StringEquals":{"events:detail-type":["FEE_CHARGED","FEE_WAIVED"],"events:source":"savings"}}`,
		`{"StringEquals":{"events:detail-type":["TRADE_ALLOCATED"],"events:source":"trading"}}`,
	}; !slices.Equal(got, want) {
		t.Errorf("conditions\n%q, want\n%q", got, want)
	}
	if _, there := variablesOf(t, rates, "rates")["PENSTOCK_OUTBOX_TABLE"]; there || variablesOf(t, rates, "rates")["PENSTOCK_BUS"] != "penstock-dev" {
		t.Errorf("variables %v", variablesOf(t, rates, "rates"))
	}
}

// variablesOf are the environment variables of a function.
func variablesOf(t *testing.T, stack template, function string) map[string]any {
	t.Helper()
	return stack.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-"+function).Properties["Environment"].(map[string]any)["Variables"].(map[string]any)
}

func TestAPipelineMayInvokeTheFunctionsAndAssumeTheRolesThatItNamesAndNoOthers(t *testing.T) {
	rates := shopIn(t, dev)["penstock-dev-rates"]
	got := map[string][]string{}
	for _, s := range rates.statements() {
		for _, action := range []string{"lambda:InvokeFunction", "sts:AssumeRole"} {
			if slices.Contains(s.actions, action) && s.resources != nil { // the role's own trust policy has none
				got[action] = append(got[action], s.resources...)
			}
		}
	}
	lambda := "arn:${AWS::Partition}:lambda:"
	want := map[string][]string{
		"lambda:InvokeFunction": {
			lambda + region + "function:penstock-dev-plain",
			lambda + region + "function:rates-of-others:live",
			lambda + "${AWS::Region}:210987654321:function:quotes",
			"arn:aws:lambda:eu-west-1:210987654321:function:quotes",
			lambda + "ap-south-1:${AWS::AccountId}:function:plain",
		},
		"sts:AssumeRole": {"arn:aws:iam::123456789012:role/caller"},
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	variables := variablesOf(t, rates, "rates")
	if variables["PENSTOCK_FUNCTIONS"] != `{"plain":"penstock-dev-plain"}` ||
		variables["PENSTOCK_CONNECTIONS"] != `{"core":{"roleArn":"arn:aws:iam::123456789012:role/caller","externalId":"shop"},"far":{"region":"ap-south-1"}}` {
		t.Errorf("variables %v", variables)
	}
}

func TestAPipelineThatCallsByAConnectionThatTheEnvironmentLacksIsRefused(t *testing.T) {
	env := dev
	env.Connections = nil
	needsNode(t)
	err := panicOf(func() { stacks.New(newApp(t), &stacks.Props{Root: shop, Env: env, Build: noProgram(t)}) })
	const want = `function "rates": pipeline[5].externalFunction.connectionName: environment "dev" has no connection "far" in infra/environments.json: add it there`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
