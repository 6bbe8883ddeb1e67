package manifest_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

var shop = names.New("shop", "prod")

func function(name string, subscriptions ...string) manifest.Function {
	f := manifest.Function{Name: name}
	for _, s := range subscriptions {
		f.Subscriptions = append(f.Subscriptions, manifest.Subscription{Name: s})
	}
	return f
}

func TestCheckFindsResourcesThatWouldHaveTheSameName(t *testing.T) {
	for _, c := range []struct {
		what      string
		functions []manifest.Function
		want      string // empty: no fault
	}{
		{"apart", []manifest.Function{function("fee", "withdrawals", "deposits"), function("note", "withdrawals")}, ""},
		{"the hyphen at another place", []manifest.Function{function("withdrawal", "fee-x"), function("withdrawal-fee", "x")},
			`subscription "fee-x" of function "withdrawal" and subscription "x" of function "withdrawal-fee" would both have the queue "shop-prod-withdrawal-fee-x": rename one`},
		{"a queue like another's DLQ", []manifest.Function{function("fee", "x", "x-dlq")}, `the queue "shop-prod-fee-x-dlq"`},
		{"a DLQ like another's rule DLQ", []manifest.Function{function("fee", "x", "x-rule")}, `the queue "shop-prod-fee-x-rule-dlq"`},
		{"only the case differs", []manifest.Function{function("Fee"), function("fee")}, `function "Fee" and function "fee" would both have the function "shop-prod-fee"`},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := manifest.Check(c.functions, shop)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no error", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestCheckFindsNamesThatAreTooLong(t *testing.T) {
	err := manifest.Check([]manifest.Function{function("fee", strings.Repeat("s", 51))}, shop)
	if err == nil || !strings.Contains(err.Error(), `function "fee": rule name`) {
		t.Errorf("got %v, want an error of the rule's name", err)
	}
}

func TestCheckCountsAllVariablesOfAFunction(t *testing.T) {
	f := function("fee")
	size := 0
	for name, value := range f.Environment(shop) {
		size += len(name) + len(value)
	}
	f.Variables = map[string]string{"BIG": strings.Repeat("x", 4096-size-len("BIG"))}
	if err := manifest.Check([]manifest.Function{f}, shop); err != nil {
		t.Errorf("4096 bytes: %v", err)
	}
	f.Variables["BIG"] += "x"
	if err := manifest.Check([]manifest.Function{f}, shop); err == nil || !strings.Contains(err.Error(), "4097 bytes") {
		t.Errorf("got %v, want an error of 4097 bytes", err)
	}
}

func TestAFunctionInAVPCNeedsOneInTheEnvironmentUnlessItIsThisMachine(t *testing.T) {
	inVPC := []manifest.Function{{Name: "fee", VPC: true}}
	for _, c := range []struct {
		what string
		env  manifest.Environment
		want string // empty: no fault
	}{
		{"none", manifest.Environment{Name: "prod"}, `function "fee": "vpc" is true, and environment "prod" has no "vpc" in infra/environments.json`},
		{"one", manifest.Environment{Name: "prod", VPC: &manifest.VPC{}}, ""},
		{"this machine", manifest.Environment{Name: "local", Endpoint: "http://127.0.0.1:4566"}, ""},
	} {
		switch err := manifest.CheckEnvironment(inVPC, c.env); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.what, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %s", c.what, err, c.want)
		}
	}
	if err := manifest.CheckEnvironment([]manifest.Function{{Name: "fee"}}, manifest.Environment{Name: "prod"}); err != nil {
		t.Errorf("a function outside: %v", err)
	}
}

func TestEnvironmentGivesTablesOnlyWhereTheyAreUsed(t *testing.T) {
	plain := map[string]string{"PENSTOCK_APP": "shop", "PENSTOCK_ENV": "prod", "PENSTOCK_FUNCTION": "fee"}
	sessions := with(plain, map[string]string{"PENSTOCK_OUTBOX_TABLE": "shop-prod-outbox", "PENSTOCK_IDEMPOTENCY_TABLE": "shop-prod-idempotency"})
	for _, c := range []struct {
		what string
		f    manifest.Function
		want map[string]string
	}{
		{"nothing", manifest.Function{Name: "fee"}, plain},
		{"variables", manifest.Function{Name: "fee", Variables: map[string]string{"FEE_PERCENT": "0.5"}}, with(plain, map[string]string{"FEE_PERCENT": "0.5"})},
		{"publishes", manifest.Function{Name: "fee", Publishes: []string{"savings/FEE_CHARGED"}}, sessions},
		{"idempotency", manifest.Function{Name: "fee", Idempotency: true}, with(plain, map[string]string{"PENSTOCK_IDEMPOTENCY_TABLE": "shop-prod-idempotency"})},
		{"subscriptions", manifest.Function{Name: "fee", Subscriptions: []manifest.Subscription{
			{Name: "withdrawals", MaxReceiveCount: 5, Retry: manifest.Retry{BaseSeconds: 30, CapSeconds: 900}},
			{Name: "deposits", MaxReceiveCount: 1, Retry: manifest.Retry{BaseSeconds: 1, CapSeconds: 2}},
		}}, with(plain, map[string]string{"PENSTOCK_RETRIES": `{"deposits":{"maxReceiveCount":1,"baseSeconds":1,"capSeconds":2},"withdrawals":{"maxReceiveCount":5,"baseSeconds":30,"capSeconds":900}}`})},
		{"tables", manifest.Function{Name: "fee", Tables: map[string]manifest.Access{"fee-ledger": manifest.Read}}, with(sessions, map[string]string{"PENSTOCK_TABLE_FEE_LEDGER": "shop-prod-fee-ledger"})},
	} {
		if got := c.f.Environment(shop); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
}

func with(a, b map[string]string) map[string]string {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

func TestTheTagsOfTopicsAndOfTheEnvironmentTogetherAreNoMoreThanAWSTakes(t *testing.T) {
	functions := []manifest.Function{{Name: "print", Topics: []string{"payment"}}, {Name: "other"}}
	env := manifest.Environment{Name: "dev", Tags: map[string]string{}}
	for i := range 47 {
		env.Tags[fmt.Sprint("tag", i)] = ""
	}
	if err := manifest.CheckEnvironment(functions, env); err != nil {
		t.Error(err)
	}
	env.Tags["one more"] = ""
	if err := manifest.CheckEnvironment(functions, env); err == nil || !strings.Contains(err.Error(), `function "print": its topics need 3 tags, and environment "dev" has 48, AWS takes 50`) {
		t.Errorf("got %v", err)
	}
}
