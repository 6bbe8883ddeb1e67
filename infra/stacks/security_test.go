package stacks_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/infra/stacks"
)

// everyTemplate calls do for each template of this project's environments, as
// kept in the snapshots, and of the shop in each of its own.
func everyTemplate(t *testing.T, do func(t *testing.T, stack string, tmpl template)) {
	t.Helper()
	root := os.DirFS("../..")
	environments, err := manifest.LoadEnvironments(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range environments {
		kept, err := snapshots.Load(root, env.Name)
		if err != nil {
			t.Fatal(err)
		}
		for stack, tmpl := range parse(t, kept.Templates) {
			do(t, stack, tmpl)
		}
	}
	for _, env := range []manifest.Environment{dev, prod} {
		for stack, tmpl := range shopIn(t, env) {
			do(t, stack, tmpl)
		}
	}
}

// allowed are the statements of a template that allow something, with the
// resource that they are of. In the policy of a key the resource is that key.
func allowed(t *testing.T, tmpl template) (all []struct {
	of resource
	statement
}) {
	t.Helper()
	for _, r := range tmpl.Resources {
		var documents []any
		for _, property := range []string{"PolicyDocument", "KeyPolicy", "AssumeRolePolicyDocument"} {
			if document, ok := r.Properties[property]; ok {
				documents = append(documents, document)
			}
		}
		for _, policy := range list(r.Properties["Policies"]) {
			if document, ok := policy.(map[string]any)["PolicyDocument"]; ok { // a user pool's is about passwords
				documents = append(documents, document)
			}
		}
		if s, ok := r.Properties["Statement"]; ok {
			documents = append(documents, map[string]any{"Statement": s})
		}
		for _, document := range documents {
			if joined, ok := document.(map[string]any)["Fn::Join"]; ok && joined != nil { // a document as text
				var parsed any
				if err := json.Unmarshal([]byte(text(document)), &parsed); err != nil {
					t.Fatalf("%s: %v", r.Type, err)
				}
				document = parsed
			}
			for _, s := range statementsOf(document) {
				if s.effect == "Allow" {
					all = append(all, struct {
						of resource
						statement
					}{r, s})
				}
			}
		}
	}
	return all
}

func TestNoPolicyAllowsEveryActionAndFewEveryResource(t *testing.T) {
	var reasoned []string
	for _, actions := range stacks.AnyResource {
		reasoned = append(reasoned, actions...)
	}
	seen := map[string]bool{}
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		for _, s := range allowed(t, tmpl) {
			for _, action := range s.actions {
				if strings.Contains(action, "*") {
					t.Errorf("%s: a %s allows %s", stack, s.of.Type, action)
				}
				if slices.Contains(s.resources, "*") && s.of.Type != "AWS::KMS::Key" {
					seen[action] = true
					if !slices.Contains(reasoned, action) {
						t.Errorf("%s: a %s allows %s on every resource, and the list of those does not have it", stack, s.of.Type, action)
					}
				}
			}
		}
	})
	for _, action := range reasoned {
		// Nothing in these projects is in a VPC: bus_test.go has that.
		if !seen[action] && !strings.HasPrefix(action, "ec2:") {
			t.Errorf("%s is in the list of what is allowed on every resource, and no template has it", action)
		}
	}
}

// confusedDeputy are the conditions that say on whose behalf a service acts.
var confusedDeputy = regexp.MustCompile(`"(aws:SourceArn|aws:SourceAccount|kms:EncryptionContext:aws:(events:event-bus|logs):arn)":`)

func TestAServiceActsOnBehalfOfThisAccountAlone(t *testing.T) {
	count := 0
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		for _, s := range allowed(t, tmpl) {
			if !strings.Contains(s.principal, `"Service"`) {
				continue
			}
			if s.principal == `{"Service":"lambda.amazonaws.com"}` && slices.Equal(s.actions, []string{"sts:AssumeRole"}) {
				continue // Lambda assumes a role as none but the function that was given it; it sends no source
			}
			count++
			if !confusedDeputy.MatchString(s.conditions) {
				t.Errorf("%s: a %s allows %s %v on behalf of anyone: %s", stack, s.of.Type, s.principal, s.actions, s.conditions)
			}
		}
		for _, permission := range tmpl.resources("AWS::Lambda::Permission") {
			if permission.Properties["SourceArn"] == nil && permission.Properties["SourceAccount"] == nil {
				t.Errorf("%s: %v may invoke a function on behalf of anyone", stack, permission.Properties["Principal"])
			}
		}
	})
	if count < 20 {
		t.Errorf("only %d statements for services", count)
	}
}

func TestEverybodyIsAllowedNothingWithoutACondition(t *testing.T) {
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		for _, s := range allowed(t, tmpl) {
			if (s.principal == `{"AWS":"*"}` || s.principal == "*") && !strings.Contains(s.conditions, `"kms:CallerAccount":"${AWS::AccountId}"`) {
				t.Errorf("%s: a %s allows everybody %v", stack, s.of.Type, s.actions)
			}
		}
	})
}

// names of secrets are followed by six characters that Secrets Manager adds.
func TestASecretIsReadByTheFunctionThatNamesItAlone(t *testing.T) {
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		for _, s := range allowed(t, tmpl) {
			if !slices.Contains(s.actions, "secretsmanager:GetSecretValue") {
				continue
			}
			if s.of.Type != "AWS::IAM::Role" || (!strings.HasSuffix(stack, "-fee") && !strings.HasSuffix(stack, "-callback") && !strings.HasSuffix(stack, "-hook") && !strings.HasSuffix(stack, "-storage")) {
				t.Errorf("%s: a %s reads secrets", stack, s.of.Type)
			}
			for _, secret := range s.resources {
				if !strings.HasSuffix(secret, "-??????") || strings.Contains(secret, "*") {
					t.Errorf("%s reads %s", stack, secret)
				}
			}
		}
	})
}

func TestEverythingIsEncryptedAndTakesOnlyTLS(t *testing.T) {
	everyTemplate(t, func(t *testing.T, stack string, tmpl template) {
		tls := map[string]bool{}
		for _, policy := range tmpl.resources("AWS::SQS::QueuePolicy") {
			for _, s := range statementsOf(policy.Properties["PolicyDocument"]) {
				if s.effect == "Deny" && strings.Contains(s.conditions, `"aws:SecureTransport":"false"`) {
					for _, queue := range list(policy.Properties["Queues"]) {
						tls[text(queue)] = true
					}
				}
			}
		}
		for id, r := range tmpl.Resources {
			if r.Type == "AWS::SQS::Queue" {
				if r.Properties["SqsManagedSseEnabled"] != true && r.Properties["KmsMasterKeyId"] == nil {
					t.Errorf("%s: queue %s is not encrypted", stack, id)
				}
				if !tls["${"+id+"}"] {
					t.Errorf("%s: queue %s takes requests without TLS", stack, id)
				}
			}
		}
	})
}
