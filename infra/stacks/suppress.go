package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// suppress says in a resource's Metadata, for cdk-nag, why a rule of AWS
// Solutions does not hold of it. With findings, it is of these alone, each a
// regular expression. What it said before of the same rule no longer holds.
func suppress(resource awscdk.CfnResource, rule, reason string, findings ...string) {
	one := map[string]any{"id": rule, "reason": reason}
	if len(findings) > 0 {
		var applies []any
		for _, finding := range findings {
			applies = append(applies, map[string]any{"regex": "/" + finding + "/"})
		}
		one["applies_to"] = applies
	}
	rules := []any{one}
	if before, ok := resource.GetMetadata(jsii.String("cdk_nag")).(map[string]any); ok {
		for _, other := range before["rules_to_suppress"].([]any) {
			if other.(map[string]any)["id"] != rule {
				rules = append(rules, other)
			}
		}
	}
	resource.AddMetadata(jsii.String("cdk_nag"), map[string]any{"rules_to_suppress": rules})
}
