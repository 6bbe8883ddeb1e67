package stacks_test

import (
	"slices"
	"strings"
	"testing"
)

func TestAUserPoolCallsTheTriggerThatMayAnnounceWhatPeopleDoAndNothingElse(t *testing.T) {
	tmpl := shopIn(t, prod)["penstock-prod-user-pool"]
	pool := tmpl.named(t, "AWS::Cognito::UserPool", "UserPoolName", "penstock-prod")
	triggers := pool.Properties["LambdaConfig"].(map[string]any)
	for _, trigger := range []string{"PostAuthentication", "PostConfirmation"} {
		if called := text(triggers[trigger]); called != "${Trigger.Arn}" && !strings.Contains(called, "Trigger") {
			t.Errorf("%s calls %q", trigger, called)
		}
	}
	if len(triggers) != 2 {
		t.Errorf("the pool calls %v", triggers)
	}
	var permitted int
	for _, r := range tmpl.Resources {
		if r.Type == "AWS::Lambda::Permission" {
			permitted++
			if r.Properties["Principal"] != "cognito-idp.amazonaws.com" || text(r.Properties["SourceArn"]) != "${Pool.Arn}" {
				t.Errorf("%v may call it by %s", r.Properties["Principal"], text(r.Properties["SourceArn"]))
			}
		}
	}
	if permitted != 1 {
		t.Errorf("%d may call it, want the pool alone", permitted)
	}
	var actions []string
	for _, s := range tmpl.role(t) {
		actions = append(actions, s.actions...)
		if slices.Contains(s.actions, "events:PutEvents") && !strings.Contains(s.conditions, `["AUTH_LOGIN","AUTH_REGISTER"]`) {
			t.Errorf("it may publish under %s", s.conditions)
		}
	}
	slices.Sort(actions)
	want := []string{"events:PutEvents", "logs:CreateLogStream", "logs:PutLogEvents", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"}
	if !slices.Equal(actions, want) {
		t.Errorf("the trigger may do %v, want %v", actions, want)
	}
}

func TestAUserPoolIsAsItsEnvironmentSays(t *testing.T) {
	pool := shopIn(t, prod)["penstock-prod-user-pool"].named(t, "AWS::Cognito::UserPool", "UserPoolName", "penstock-prod")
	if pool.Properties["MfaConfiguration"] != "ON" || pool.Properties["DeletionProtection"] != "ACTIVE" || pool.DeletionPolicy != "Retain" {
		t.Errorf("second factor %v, deletion protection %v, deletion policy %s", pool.Properties["MfaConfiguration"], pool.Properties["DeletionProtection"], pool.DeletionPolicy)
	}
	if only := pool.Properties["AdminCreateUserConfig"].(map[string]any)["AllowAdminCreateUserOnly"]; only != false {
		t.Errorf("only an administrator makes accounts: %v", only)
	}
	if _, ok := shopIn(t, dev)["penstock-dev-user-pool"]; ok {
		t.Error("an environment that asks for no pool has one")
	}
}
