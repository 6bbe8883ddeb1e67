package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/mototest"
	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

// moto stands in for an environment on AWS, one that differs.
func TestVerifyDeploysItsStackFindsDifferencesAndLeavesNothing(t *testing.T) {
	server := mototest.Start(t)
	config := server.AWS("eu-west-1")
	bucket, key := server.Code(t)
	n := names.New("shop", "dev")
	stacks := cloudformation.NewFromConfig(config)
	// A data stack: one with a function, whose code the scenarios' stack takes.
	if _, err := stacks.CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(n.Stack(names.DataStack)), Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
		TemplateBody: aws.String(string(scenarios.Template(n.Stack(names.DataStack), scenarios.Code{Bucket: bucket, Key: key}))),
	}); err != nil {
		t.Fatal(err)
	}
	list, err := chooseScenarios([]string{"sts", "logs", "secrets"})
	if err != nil {
		t.Fatal(err)
	}
	v := &verification{Target: &cli.Target{Env: manifest.Environment{Name: "dev"}, Names: n, AWS: config}, scenarios: list, notes: t.Output()}
	got, err := v.run(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	differs := func(what, path string) bool {
		return slices.ContainsFunc(got.Differences, func(m verificationMismatch) bool { return m.What == what && m.Path == path })
	}
	if !differs("logs: a log group is described", "group.LogGroupClass") {
		t.Errorf("what moto leaves out of a log group is not found: %+v", got.Differences)
	}
	if slices.ContainsFunc(got.Differences, func(m verificationMismatch) bool { return strings.HasPrefix(m.What, "sts: ") }) {
		t.Errorf("moto answers for STS as AWS does: %+v", got.Differences)
	}
	if got.Same == 0 || got.NotPlayed != 0 {
		t.Errorf("%d are the same, %d were not played", got.Same, got.NotPlayed)
	}
	left, err := stacks.DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range left.Stacks {
		if aws.ToString(s.StackName) != n.Stack(names.DataStack) && s.StackStatus != types.StackStatusDeleteComplete {
			t.Errorf("stack %s is left: %s", aws.ToString(s.StackName), s.StackStatus)
		}
	}
}
