package scenarios_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

// motoVariable names moto's server, which .ci/run installs.
const motoVariable = "PENSTOCK_MOTO"

func TestMotoAnswersTheSameExceptForTheListedDifferences(t *testing.T) {
	program := os.Getenv(motoVariable)
	if program == "" {
		t.Skipf("skipped: %s does not name moto_server, as `pip install 'moto[server]==5.2.5'` installs it", motoVariable)
	}
	config := startMoto(t, program)
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
func startMoto(t *testing.T, program string) aws.Config {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-H", "127.0.0.1", "-p", "0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", motoVariable, err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended by then, which kills it
	running := regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)
	lines := bufio.NewScanner(log)
	endpoint := ""
	for endpoint == "" && lines.Scan() {
		if m := running.FindStringSubmatch(lines.Text()); m != nil {
			endpoint = m[1]
		}
	}
	if endpoint == "" {
		t.Fatalf("%s did not start", program)
	}
	go func() {
		for lines.Scan() { // it logs every request
		}
	}()
	config := aws.Config{BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("moto", "moto", "")}

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
	_, err = cloudformation.NewFromConfig(config).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(stack), TemplateBody: aws.String(string(scenarios.Template(stack, scenarios.Code{Bucket: "code", Key: "code.zip"}))),
		Capabilities: []types.Capability{types.CapabilityCapabilityNamedIam},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}
