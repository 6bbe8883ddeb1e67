package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
	"github.com/penstock-dev/penstock/scripts/internal/mototest"
)

// staging is the environment that sessions deploy to moto, an independent
// implementation of the AWS APIs.
const staging = "staging"

// installed is the condition [moto] of a session that needs moto and the CDK's
// command.
func installed(condition string) (bool, error) {
	if condition != "moto" {
		return false, fmt.Errorf("what is %q?", condition)
	}
	return os.Getenv(mototest.Variable) != "" && os.Getenv(cdkcli.Variable) != "", nil
}

// sessionMoto is the command `moto` of a session: it adds the environment staging to
// $PROJECT, which is at moto, an account that the CDK has bootstrapped and that has
// the environment's bus.
func sessionMoto(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		server := mototest.Start(t)
		const region = "us-east-1"
		n := names.New("penstock", staging)
		root := ts.Getenv("PROJECT")
		environments := map[string]any{}
		file := filepath.Join(root, "infra", "environments.json")
		text, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(json.Unmarshal(text, &environments))
		environments[staging] = map[string]any{
			"account": mototest.Account, "region": region, "endpoint": server.URL,
			"removalProtection": false, "terminationProtection": false, "pointInTimeRecovery": false, "logRetentionDays": 7,
		}
		text, err = json.Marshal(environments)
		ts.Check(err)
		ts.Check(os.WriteFile(file, text, 0o644))
		ts.Check(writeBelow(root, "infra/snapshots/"+staging+"/snapshot.json", []byte(`{"app": "penstock", "env": "`+staging+`"}`)))

		_, err = eventbridge.NewFromConfig(server.AWS(region)).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String(n.Bus())})
		ts.Check(err)
		bucket, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/"+n.Bus()+"-assets", nil)
		ts.Check(err)
		made, err := http.DefaultClient.Do(bucket)
		ts.Check(err)
		ts.Check(made.Body.Close())
		bootstrap := exec.CommandContext(t.Context(), os.Getenv(cdkcli.Variable), "bootstrap", "aws://"+mototest.Account+"/"+region)
		bootstrap.Dir = t.TempDir()
		bootstrap.Env = append(server.Environ(region), "CI=true",
			"AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION="+strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
		out, err := bootstrap.CombinedOutput()
		ts.Logf("%s", out)
		ts.Check(err)
		ts.Setenv(cdkcli.Variable, os.Getenv(cdkcli.Variable))
		ts.Setenv("AWS_ENDPOINT_URL_S3_FOR_CLOUDFORMATION", strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	}
}
