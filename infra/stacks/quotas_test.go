package stacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// many makes n resources that are alike.
func many(n int, resource string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`"R%d": %s`, i, resource)
	}
	return `{"Resources": {` + strings.Join(all, ",") + `}}`
}

func TestEachQuotaIsMeasuredAndExceededByOne(t *testing.T) {
	const (
		rule     = `{"Type": "AWS::Events::Rule", "Properties": {"EventBusName": "shop-prod", "EventPattern": {"source": ["savings"]}}}`
		wildcard = `{"Type": "AWS::Events::Rule", "Properties": {"EventBusName": "shop-prod", "EventPattern": {"detail": {"$or": [{"a": [{"wildcard": "x*"}]}]}}}}`
		schedule = `{"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 minute)"}}`
		mapping  = `{"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"ScalingConfig": {"MaximumConcurrency": 10}}}`
		role     = `{"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyDocument": {"a": %q}}]}}`
		policy   = `{"Type": "AWS::IAM::ManagedPolicy", "Properties": {"ManagedPolicyName": "p", "PolicyDocument": {"a": %q}}}`
	)
	padded := func(resource string, n int) string {
		return many(1, fmt.Sprintf(resource, strings.Repeat("x", n-len(`{"a":""}`))))
	}
	own := manifest.Environment{Quotas: manifest.Quotas{Concurrency: 50, RulesPerBus: 7}}
	for _, c := range []struct {
		env           manifest.Environment
		fits, exceeds string
		want          string
	}{
		{manifest.Environment{}, many(300, rule), many(301, rule), "301 rules on bus shop-prod, and the quota is 300: ask AWS for more and say so in infra/environments.json (quotas: rulesPerBus)"},
		{own, many(7, rule), many(8, rule), "8 rules on bus shop-prod, and the quota is 7"},
		{own, many(9, schedule), many(8, rule), "8 rules"},
		{manifest.Environment{}, many(30, wildcard), many(31, wildcard), "31 rules with a wildcard on bus shop-prod, and the quota is 30: AWS does not raise it"},
		{manifest.Environment{}, many(100, mapping), many(101, mapping), "1010 concurrent invocations of the account"},
		{own, many(5, mapping), many(6, mapping), "60 concurrent invocations of the account, if every subscription is busy, and the quota is 50"},
		{manifest.Environment{}, many(500, schedule), many(501, schedule), "501 resources in stack shop-prod-x, and the quota is 500"},
		{manifest.Environment{}, padded(role, 10_240), padded(role, 10_241), "10241 characters in the policies of role R0 of stack shop-prod-x, and the quota is 10240"},
		{manifest.Environment{}, padded(policy, 6144), padded(policy, 6145), "6145 characters in policy p, and the quota is 6144"},
	} {
		check := func(template string) error {
			t.Helper()
			usages, err := quotasOf(names.New("shop", "prod"), c.env, map[string]json.RawMessage{"shop-prod-x": json.RawMessage(template)})
			if err != nil {
				t.Fatal(err)
			}
			var faults []error
			for _, u := range usages {
				faults = append(faults, u.exceeded())
			}
			return errors.Join(faults...)
		}
		if err := check(c.fits); err != nil {
			t.Errorf("at the quota: %v", err)
		}
		if err := check(c.exceeds); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("above the quota: %v\nwant %s", err, c.want)
		}
	}
}

func TestAPolicyIsAsLongAsItsReferencesAtMost(t *testing.T) {
	var document any
	if err := json.Unmarshal([]byte(`{"Resource": {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":sqs:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}, ":q"]]}}`), &document); err != nil {
		t.Fatal(err)
	}
	if got, want := characters(document), len(`{"Resource":"arn:aws-us-gov:sqs:ap-southeast-1:123456789012:q"}`); got != want {
		t.Errorf("%d characters, want %d", got, want)
	}
}
