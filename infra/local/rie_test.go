package local_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/infra/names"
)

// emulatorVariable names AWS's own implementation of the Lambda Runtime API,
// the Runtime Interface Emulator, which .ci/run installs.
const emulatorVariable = "PENSTOCK_RIE"

// The local environment's Runtime API is Penstock's own. Here the very program
// that ships is run by AWS's, on an environment that it does not run in.
func TestAFunctionDoesItsWorkUnderAWSsOwnRuntimeInterfaceEmulator(t *testing.T) {
	emulator := os.Getenv(emulatorVariable)
	if emulator == "" {
		t.Skipf("skipped: %s does not name aws-lambda-rie, which `pip install aws-sam-cli==1.170.0` has in samcli/local/rapid", emulatorVariable)
	}
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	createToken(t, env.Endpoint())
	cfg := awsConfig(env.Endpoint())
	function, err := lambda.NewFromConfig(cfg).GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("penstock-local-withdrawal-fee")})
	if err != nil {
		t.Fatal(err)
	}
	url := emulate(t, emulator, build(t, "./functions/withdrawal-fee"), function.Environment.Variables, env.Endpoint())

	good, same, bad := savings.SampleWithdrawal(), savings.SampleWithdrawal(), savings.SampleWithdrawal()
	bad.Amount = -1 // which the function never takes
	payload := handlertest.Payload(t, "penstock-local-withdrawal-fee-withdrawals",
		events.Stamp(t.Context(), good), events.Stamp(t.Context(), same), events.Stamp(t.Context(), bad))
	for range 2 { // the second time, all is done already
		if got := invoke(t, url, payload); got != `{"batchItemFailures":[]}` {
			t.Fatalf("the answer is %s", got)
		}
	}
	charged := fees(t, dynamodb.NewFromConfig(cfg))
	if len(charged) != 2 {
		t.Errorf("%d withdrawals have fees, want 2", len(charged))
	}
	for id, n := range charged {
		if n != 1 {
			t.Errorf("withdrawal %s has %d fees, want 1", id, n)
		}
	}
}

// build compiles a function with the flags that it ships with, for this
// machine.
func build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w -buildid=", "-o", program, pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// emulate runs a program under the emulator, and returns the URL that invokes
// it.
func emulate(t *testing.T, emulator, program string, variables map[string]string, endpoint string) string {
	t.Helper()
	address, api := freeAddress(t), freeAddress(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", api, program)
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.WaitDelay = 5 * time.Second                                       // what it started may hold its output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it then ends the program, too
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_NAME=penstock-local-withdrawal-fee",
		"AWS_ACCESS_KEY_ID="+names.LocalAccessKeyID, "AWS_SECRET_ACCESS_KEY="+names.LocalSecretAccessKey)
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", emulatorVariable, err)
	}
	t.Cleanup(func() { // the test's context has ended by then
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the emulator wrote:\n%s", log.String())
		}
	})
	await(t, "the emulator listens", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return "http://" + address + "/2015-03-31/functions/function/invocations"
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// invoke returns what the function under the emulator answers.
func invoke(t *testing.T, url string, payload []byte) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprintf("status %d: %s", answer.StatusCode, body)
	}
	return strings.TrimSpace(string(body))
}
