package stacks_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const bus = "arn:${AWS::Partition}:events:" + region + "event-bus/penstock-dev"

func TestEachSourceHasAPolicyToPublishItsOwnTypesAndNoOthers(t *testing.T) {
	access := shopIn(t, dev)["penstock-dev-access"]
	for source, want := range map[string][]statement{
		"savings": {
			{effect: "Allow", actions: []string{"events:PutEvents"}, resources: []string{bus},
				conditions: `{"StringEquals":{"events:detail-type":["FEE_CHARGED","FEE_WAIVED","SAVINGS_DEPOSIT","SAVINGS_WITHDRAWAL"],"events:source":"savings"}}`},
			{effect: "Allow", actions: []string{"dynamodb:PutItem"}, resources: []string{dynamodb + "outbox"},
				conditions: `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["savings/FEE_CHARGED#*","savings/FEE_WAIVED#*","savings/SAVINGS_DEPOSIT#*","savings/SAVINGS_WITHDRAWAL#*"]}}`},
		},
		"trading": {
			{effect: "Allow", actions: []string{"events:PutEvents"}, resources: []string{bus},
				conditions: `{"StringEquals":{"events:detail-type":["TRADE_ALLOCATED"],"events:source":"trading"}}`},
			{effect: "Allow", actions: []string{"dynamodb:PutItem"}, resources: []string{dynamodb + "outbox"},
				conditions: `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["trading/TRADE_ALLOCATED#*"]}}`},
		},
	} {
		policy := access.named(t, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", "penstock-dev-publish-"+source)
		if got := statementsOf(policy.Properties["PolicyDocument"]); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\ngot  %v\nwant %v", source, got, want)
		}
	}
}

func TestConnectorsMayFindAndInvokeFunctionsAndNothingElse(t *testing.T) {
	policy := shopIn(t, dev)["penstock-dev-access"].named(t, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", "penstock-dev-connect")
	want := []statement{
		{effect: "Allow", actions: []string{"tag:GetResources"}, resources: []string{"*"}},
		{effect: "Allow", actions: []string{"lambda:InvokeFunction"}, resources: []string{"arn:${AWS::Partition}:lambda:" + region + "function:penstock-dev-*"}},
	}
	if got := statementsOf(policy.Properties["PolicyDocument"]); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestOperatorsNeitherReadSecretsNorDeploy(t *testing.T) {
	for env, stack := range map[string]template{"dev": shopIn(t, dev)["penstock-dev-access"], "prod": shopIn(t, prod)["penstock-prod-access"]} {
		policy := stack.named(t, "AWS::IAM::ManagedPolicy", "ManagedPolicyName", "penstock-"+env+"-operate")
		denied := false
		changes := regexp.MustCompile(`^(iam|sts|s3|kms|ecr):|^cloudformation:[^D]|^lambda:(Create|Delete|UpdateFunction|AddPermission|PutFunction)|^dynamodb:(Create|DeleteTable|UpdateTable)|^events:(CreateEventBus|DeleteEventBus|CreateArchive|DeleteArchive)`)
		for _, s := range statementsOf(policy.Properties["PolicyDocument"]) {
			if s.effect == "Deny" {
				denied = slices.Contains(s.actions, "secretsmanager:GetSecretValue") && slices.Contains(s.actions, "secretsmanager:BatchGetSecretValue") &&
					slices.Equal(s.resources, []string{"*"}) && s.conditions == ""
				continue
			}
			for _, action := range s.actions {
				if changes.MatchString(action) {
					t.Errorf("%s: operators may %s", env, action)
				}
			}
			for _, r := range s.resources {
				if strings.HasSuffix(r, ":parameter/cdk-bootstrap/*") {
					continue // the account's, whatever the environment
				}
				if r != "*" && !strings.Contains(r, "penstock-"+env) && !strings.Contains(r, "penstock/"+env) && !strings.Contains(s.conditions, "penstock-"+env) {
					t.Errorf("%s: operators may %v of another environment: %s", env, s.actions, r)
				}
			}
		}
		if !denied {
			t.Errorf("%s: nothing keeps operators from reading secrets", env)
		}
	}
}
