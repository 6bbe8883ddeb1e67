package scenarios_test

import (
	"net/http"
	"strings"
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
	config, endpoint := server.AWS("us-east-1"), server.URL

	// Its functions answer without Docker, and want their code in a bucket.
	for _, r := range []struct{ method, url, body string }{
		{"POST", endpoint + "/moto-api/config", `{"lambda": {"use_docker": false}}`},
		{"PUT", endpoint + "/code", ""},
		{"PUT", endpoint + "/code/code.zip", "zip"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, r.url, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s", r.method, r.url, answer.Status)
		}
	}
	_, err := cloudformation.NewFromConfig(config).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(stack), TemplateBody: aws.String(string(scenarios.Template(stack, scenarios.Code{Bucket: "code", Key: "code.zip"}))),
		Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}
