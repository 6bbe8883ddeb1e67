package stacks

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// AWS's quotas as they are where an account has no others of its own.
const (
	defaultConcurrency   = 1000 // "Lambda quotas"
	defaultRulesPerBus   = 300  // "Amazon EventBridge quotas", and so is the next
	wildcardRulesPerBus  = 30   // cannot be raised
	resourcesPerStack    = 500  // "Understand CloudFormation quotas", and so is the next
	templateBytes        = 1_000_000
	rolePolicyCharacters = 10_240 // "IAM and AWS STS quotas": inline policies of one role; and so is the next
	policyCharacters     = 6_144
)

// A usage is how much of a quota the templates use.
type usage struct {
	used, quota int
	what        string // after "N of M", such as "rules on bus shop-prod"
	wayOut      string
}

func (u usage) String() string { return fmt.Sprintf("quota: %d of %d %s", u.used, u.quota, u.what) }

// exceeded is an error for more than the quota.
func (u usage) exceeded() error {
	if u.used <= u.quota {
		return nil
	}
	return fmt.Errorf("%d %s, and the quota is %d: %s", u.used, u.what, u.quota, u.wayOut)
}

// quotasOf measures templates, by stack. Of quotas that each stack or policy has
// for itself it tells the one that comes nearest.
func quotasOf(n names.Names, env manifest.Environment, templates map[string]json.RawMessage) ([]usage, error) {
	const settings = manifest.EnvironmentsFile
	rules := usage{quota: cmp.Or(env.Quotas.RulesPerBus, defaultRulesPerBus), what: "rules on bus " + n.Bus(),
		wayOut: "ask AWS for more and say so in " + settings + " (quotas: rulesPerBus), or have fewer subscriptions"}
	wildcards := usage{quota: wildcardRulesPerBus, what: "rules with a wildcard on bus " + n.Bus(),
		wayOut: "AWS does not raise it: use prefix or suffix in filters, or filter in the function"}
	concurrency := usage{quota: cmp.Or(env.Quotas.Concurrency, defaultConcurrency), what: "concurrent invocations of the account, if every subscription is busy",
		wayOut: "lower maxConcurrency in function.json, or ask AWS for more and say so in " + settings + " (quotas: concurrency)"}
	resources := usage{quota: resourcesPerStack, wayOut: "divide the function, or move resources of your own to a stack of your own"}
	bytesUsed := usage{quota: templateBytes, wayOut: "divide the function"}
	rolePolicies := usage{quota: rolePolicyCharacters, wayOut: "name fewer tables, secrets and event types, or divide the function"}
	policies := usage{quota: policyCharacters, wayOut: "divide the source: a policy names all of its event types"}

	for _, stack := range slices.Sorted(maps.Keys(templates)) {
		text := templates[stack]
		var template struct {
			Resources map[string]struct {
				Type       string
				Properties map[string]any
			}
		}
		if err := json.Unmarshal(text, &template); err != nil {
			return nil, fmt.Errorf("template of stack %s: %w", stack, err)
		}
		resources.most(len(template.Resources), "resources in stack "+stack)
		bytesUsed.most(len(text), "bytes in the template of stack "+stack)
		for id, r := range template.Resources {
			switch r.Type {
			case "AWS::Events::Rule":
				if r.Properties["EventBusName"] != n.Bus() {
					continue
				}
				rules.used++
				if pattern, _ := json.Marshal(r.Properties["EventPattern"]); bytes.Contains(pattern, []byte(`{"wildcard":`)) {
					wildcards.used++
				}
			case "AWS::Lambda::EventSourceMapping":
				scaling, _ := r.Properties["ScalingConfig"].(map[string]any)
				most, _ := scaling["MaximumConcurrency"].(float64)
				concurrency.used += int(most)
			case "AWS::IAM::Role":
				size := 0
				inline, _ := r.Properties["Policies"].([]any)
				for _, policy := range inline {
					size += characters(policy.(map[string]any)["PolicyDocument"])
				}
				rolePolicies.most(size, "characters in the policies of role "+id+" of stack "+stack)
			case "AWS::IAM::ManagedPolicy":
				policies.most(characters(r.Properties["PolicyDocument"]), "characters in policy "+fmt.Sprint(r.Properties["ManagedPolicyName"]))
			}
		}
	}
	return slices.DeleteFunc([]usage{rules, wildcards, concurrency, resources, bytesUsed, rolePolicies, policies}, func(u usage) bool { return u.what == "" }), nil
}

// most keeps what uses most. Of two alike it is the one whose name comes first,
// so that the same templates are told the same.
func (u *usage) most(used int, what string) {
	if used > u.used || u.what == "" || used == u.used && what < u.what {
		u.used, u.what = used, what
	}
}

// characters is the size of a policy as IAM counts it, without white space, at
// most: what a reference stands for is taken for as long as the longest.
func characters(document any) int {
	text, err := json.Marshal(resolved(document))
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return len(text)
}

// pseudo are values of CloudFormation's pseudo parameters as long as any.
var pseudo = map[string]string{
	"AWS::Partition": "aws-us-gov",
	"AWS::Region":    "ap-southeast-1",
	"AWS::AccountId": "123456789012",
}

// resolved replaces the references in a value of a template.
func resolved(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i := range value {
			out[i] = resolved(value[i])
		}
		return out
	case map[string]any:
		if ref, ok := value["Ref"].(string); ok {
			return cmp.Or(pseudo[ref], "a-physical-id-of-some-length")
		}
		if _, ok := value["Fn::GetAtt"]; ok {
			return "arn:aws-us-gov:dynamodb:ap-southeast-1:123456789012:table/a-name-of-some-length/stream/2026-11-21T15:00:00.000"
		}
		if join, ok := value["Fn::Join"].([]any); ok && len(join) == 2 {
			var text string
			parts, _ := resolved(join[1]).([]any)
			for i, part := range parts {
				if i > 0 {
					text += fmt.Sprint(join[0])
				}
				text += fmt.Sprint(part)
			}
			return text
		}
		out := make(map[string]any, len(value))
		for key, one := range value {
			out[key] = resolved(one)
		}
		return out
	}
	return value
}
