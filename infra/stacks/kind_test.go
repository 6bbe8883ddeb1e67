package stacks_test

import (
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/infra/names"
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
	environment := text(rates.named(t, "AWS::Lambda::Function", "FunctionName", "penstock-dev-rates").Properties["Environment"])
	if want := `{"Variables":{"PENSTOCK_APP":"penstock","PENSTOCK_BUS":"penstock-dev","PENSTOCK_ENV":"dev","PENSTOCK_FUNCTION":"rates","PENSTOCK_RETRIES":"{\"deposits\":{\"maxReceiveCount\":5,\"baseSeconds\":30,\"capSeconds\":900}}"}}`; environment != want {
		t.Errorf("variables\n%s, want\n%s", environment, want)
	}
}
