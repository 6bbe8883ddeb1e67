package scenarios_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/penstock-dev/penstock/scripts/internal/mototest"
	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

func TestMotoAnswersTheSameExceptForTheListedDifferences(t *testing.T) {
	config := startMoto(t)
	seen := make([]bool, len(differences))
	play(t, scenarios.Target{Config: config, Stack: stack, Prefix: "s", OldCloudWatch: true}, scenarios.All(), func(t *testing.T, s scenarios.Scenario, theirs scenarios.Transcript) {
		for _, d := range scenarios.Compare(want(t, s), theirs) {
			known := false
			for i, listed := range differences {
				if listed.of(s, d.Path) {
					known, seen[i] = true, true
				}
			}
			if !known {
				t.Errorf("%s: ours %q, moto's %q: which does AWS's documentation side with?", d.Path, d.One, d.Other)
			}
		}
	}, "dynamodb") // its transactions take back what others write meanwhile
	for i, d := range differences {
		if !seen[i] {
			t.Errorf("%s: %s: %s: there is no such difference any more: take it from the list", d.service, d.scenario, d.paths)
		}
	}
}

// startMoto starts moto's server with the scenarios' stack.
func startMoto(t *testing.T) aws.Config {
	t.Helper()
	server := mototest.Start(t)
	config := server.AWS("us-east-1")
	bucket, key := server.Code(t)
	_, err := cloudformation.NewFromConfig(config).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(stack), TemplateBody: aws.String(string(scenarios.Template(stack, scenarios.Code{Bucket: bucket, Key: key}))),
		Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}
