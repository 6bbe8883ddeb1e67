package names_test

import (
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/names"
)

func TestNamesAreComposedOfApplicationAndEnvironment(t *testing.T) {
	n := names.New("shop", "prod")
	for _, c := range []struct{ got, want string }{
		{n.Bus(), "shop-prod"},
		{n.Stack(names.BusStack), "shop-prod-bus"},
		{n.Stack("withdrawal-fee"), "shop-prod-withdrawal-fee"},
		{n.Function("withdrawal-fee"), "shop-prod-withdrawal-fee"},
		{n.LogGroup("withdrawal-fee"), "/aws/lambda/shop-prod-withdrawal-fee"},
		{n.Rule("withdrawal-fee", "withdrawals"), "shop-prod-withdrawal-fee-withdrawals"},
		{n.Queue("withdrawal-fee", "withdrawals"), "shop-prod-withdrawal-fee-withdrawals"},
		{n.DLQ("withdrawal-fee", "withdrawals"), "shop-prod-withdrawal-fee-withdrawals-dlq"},
		{n.RuleDLQ("withdrawal-fee", "withdrawals"), "shop-prod-withdrawal-fee-withdrawals-rule-dlq"},
		{n.Table(names.OutboxTable), "shop-prod-outbox"},
		{n.Table(names.IdempotencyTable), "shop-prod-idempotency"},
		{n.Topic(), "shop-prod-alarms"},
		{n.Dashboard(1), "shop-prod"},
		{n.Dashboard(2), "shop-prod-2"},
		{n.Alarm("withdrawal-fee", "withdrawals", names.BreakerAlarm), "shop-prod-withdrawal-fee-withdrawals/breaker"},
		{n.FunctionAlarm("withdrawal-fee", "throttles"), "shop-prod-withdrawal-fee/throttles"},
		{n.Secret("core-api-token"), "shop/prod/core-api-token"},
		{n.BusDLQ(), "shop-prod-bus-dlq"},
		{n.BusLogGroup(), "/aws/vendedlogs/events/event-bus/shop-prod"},
		{n.Archive(), "shop-prod"},
		{n.PublishPolicy("savings"), "shop-prod-publish-savings"},
		{n.OperatePolicy(), "shop-prod-operate"},
		{n.TailPrefix(), "shop-prod-tail-"},
		{n.KeyAlias(), "alias/shop-prod"},
		{n.Parameter("bus/name"), "/shop/prod/bus/name"},
		{n.Export("bus-arn"), "shop-prod-bus-arn"},
		{names.TableVar("savings-ledger"), "PENSTOCK_TABLE_SAVINGS_LEDGER"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestCheckFindsEachNameThatAWSWouldRefuse(t *testing.T) {
	n := names.New("shop", "prod")
	for _, c := range []struct {
		what, fn, sub string
		want          []string // what the error says; empty: all fit
	}{
		{"all fit", "fee", "withdrawals", nil},
		{"a function of 64 characters fits", strings.Repeat("f", 54), "", nil},
		{"a function of 65 does not", strings.Repeat("f", 55), "", []string{"Lambda function", "65 characters", "AWS takes 64"}},
		{"a rule of 64 characters fits", "fee", strings.Repeat("s", 50), nil},
		{"a rule of 65 does not", "fee", strings.Repeat("s", 51), []string{"rule", "65 characters", "AWS takes 64"}},
		{"a queue counts with its longest ending", "fee", strings.Repeat("s", 58), []string{"rule", "queue", "81 characters", "AWS takes 80"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			var subs []string
			if c.sub != "" {
				subs = append(subs, c.sub)
			}
			err := n.Check(c.fn, subs...)
			if c.want == nil {
				if err != nil {
					t.Errorf("got %v, want no error", err)
				}
				return
			}
			if err == nil {
				t.Fatalf("got no error, want one with %q", c.want)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestApplicationAndEnvironmentHaveAnAlphabet(t *testing.T) {
	for _, n := range []names.Names{names.New("shop", "prod"), names.New("my-shop2", "dev-1")} {
		if err := n.Validate(); err != nil {
			t.Errorf("%+v: %v", n, err)
		}
	}
	for _, wrong := range []string{"", "Shop", "my shop", "my_shop", "1shop", "-shop", "shop-", "shop/prod"} {
		err := names.New(wrong, wrong).Validate()
		if err == nil || !strings.Contains(err.Error(), "application name") || !strings.Contains(err.Error(), "environment name") {
			t.Errorf("%q: got %v, want an error of both names", wrong, err)
		}
	}
}

func TestApplicationAndEnvironmentTogetherFitAnArchivesName(t *testing.T) {
	if err := names.New(strings.Repeat("a", 43), "prod").Validate(); err != nil {
		t.Errorf("48 characters: %v", err)
	}
	err := names.New(strings.Repeat("a", 44), "prod").Validate()
	if err == nil || !strings.Contains(err.Error(), "49 characters, AWS takes 48") {
		t.Errorf("49 characters: %v", err)
	}
}

func TestNamesOfPenstocksOwnAreReserved(t *testing.T) {
	for _, name := range []string{"bus", "data", "operations", "schemas", "access", "breaker", "outbox-relay", "pipeline"} {
		if !names.Reserved(name) {
			t.Errorf("%q is free for a function, but names a stack or a program of Penstock's", name)
		}
	}
	if names.Reserved("withdrawal-fee") {
		t.Error(`"withdrawal-fee" is reserved`)
	}
}

func TestPackageTellsAFolderFromAnImportPath(t *testing.T) {
	for code, want := range map[string]string{
		"functions/withdrawal-fee":                  "./functions/withdrawal-fee",
		names.SystemPackages + names.OutboxRelay:    names.SystemPackages + names.OutboxRelay,
		"functions/example.com":                     "./functions/example.com",
		"example.com/shop/functions/withdrawal-fee": "example.com/shop/functions/withdrawal-fee",
	} {
		if got := names.Package(code); got != want {
			t.Errorf("Package(%q) = %q, want %q", code, got, want)
		}
	}
}
