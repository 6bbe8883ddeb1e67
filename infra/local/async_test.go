package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/functions/connector/call"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// called is a function that does as the message says: it fails, or waits for a
// URL to answer, and tells the rest back.
const called = `package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/events"
)

func main() {
	lambda.Start(func(ctx context.Context, r events.LambdaFunctionURLRequest) (events.LambdaFunctionURLResponse, error) {
		if r.Body == "fail" {
			return events.LambdaFunctionURLResponse{}, errors.New("out of paper")
		}
		if url, ok := strings.CutPrefix(r.Body, "wait for "); ok {
			resp, err := http.Get(url)
			if err != nil {
				return events.LambdaFunctionURLResponse{}, err
			}
			resp.Body.Close()
		}
		return events.LambdaFunctionURLResponse{StatusCode: 201, Headers: map[string]string{"Content-Type": "text/plain"}, Body: "printed " + r.Body}, nil
	})
}
`

// calledVariable names the project in which the test's binary runs an environment
// for asynchronous calls.
const calledVariable = "PENSTOCK_TEST_CALLED_IN"

// calledSnapshot is the project's own, of a function with topics and of what sends
// results alone. Lambda does not repeat what failed, which would take minutes.
func calledSnapshot() (*snapshots.Snapshot, error) {
	snapshot, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return nil, err
	}
	snapshot.Stacks = slices.DeleteFunc(snapshot.Stacks, func(name string) bool {
		return !slices.Contains([]string{"penstock-local-bus", "penstock-local-callback", "penstock-local-message-log"}, name)
	})
	const stack = "penstock-local-message-log"
	snapshot.Templates[stack] = json.RawMessage(strings.Replace(string(snapshot.Templates[stack]), `"MaximumRetryAttempts": 2`, `"MaximumRetryAttempts": 0`, 1))
	return snapshot, nil
}

func calledConfig(project, data string) (local.Config, error) {
	snapshot, err := calledSnapshot()
	if err != nil {
		return local.Config{}, err
	}
	c := config(snapshot, data)
	c.Root = project
	return c, nil
}

// calledProject makes the project of that function.
func calledProject(t *testing.T) string {
	t.Helper()
	dir, _ := project(t)
	if err := os.MkdirAll(filepath.Join(dir, "functions/message-log"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "functions/message-log/main.go"), []byte(called), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func createSigningSecret(t *testing.T, endpoint string) {
	t.Helper()
	_, err := secretsmanager.NewFromConfig(awsConfig(endpoint)).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String("penstock/local/callback-signing"), SecretString: aws.String(signingSecret),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// callAsync calls the function as a connector does, and returns the call's id.
func callAsync(t *testing.T, endpoint, body, callback string) string {
	t.Helper()
	payload, err := call.Request{ID: "request", Function: "message-log", Topic: "payment", Start: time.Now(), CallbackURL: callback, Body: []byte(body)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// The id is in the answer's headers: the SDK has it for its logs alone.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/2015-03-31/functions/penstock-local-message-log/invocations", strings.NewReader(string(payload)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Invocation-Type", string(lambdatypes.InvocationTypeEvent))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAPENSTOCKLOCAL000/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		answer, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s", resp.Status, answer)
	}
	return resp.Header.Get("X-Amzn-Requestid")
}

// results are had by waits for them, by the ids of calls.
type results struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string][]result
	gate   chan struct{} // closed when the gate has been asked first
	opened bool
}

type result struct {
	header http.Header
	body   string
}

func newResults(t *testing.T) *results {
	t.Helper()
	w := &results{got: map[string][]result{}, gate: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /results", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		defer w.mu.Unlock()
		id := r.Header.Get("X-Call-Id")
		w.got[id] = append(w.got[id], result{r.Header, string(body)})
	})
	mux.HandleFunc("GET /gate", func(_ http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		first := !w.opened
		w.opened = true
		w.mu.Unlock()
		if first { // whoever asks first waits until it is killed
			close(w.gate)
			<-r.Context().Done()
		}
	})
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Close)
	return w
}

func (w *results) result(t *testing.T, id string) (r result) {
	t.Helper()
	until(t, "the result of call "+id, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.got[id]) > 0 {
			r = w.got[id][0]
		}
		return len(w.got[id]) > 0
	})
	return r
}

// received waits for a message in a queue.
func received(t *testing.T, endpoint, name string) (m sqstypes.Message) {
	t.Helper()
	queues := sqs.NewFromConfig(awsConfig(endpoint))
	url := endpoint + "/000000000000/" + name
	until(t, "a message in "+name, func() bool {
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			m = out.Messages[0]
		}
		return len(out.Messages) > 0
	})
	return m
}

func TestTheResultsOfAsynchronousCallsReachThoseWhoWaitForThem(t *testing.T) {
	c, err := calledConfig(calledProject(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	endpoint := env.Endpoint()
	createSigningSecret(t, endpoint)
	w := newResults(t)
	hooks := w.URL + "/results"

	good, bad := callAsync(t, endpoint, "a receipt", hooks), callAsync(t, endpoint, "fail", hooks)
	elsewhere := callAsync(t, endpoint, "a secret", "https://hooks.example.com/results")
	quiet := callAsync(t, endpoint, "nobody waits", "")

	verifier, err := standardwebhooks.NewWebhook(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]result{
		good: {http.Header{"X-Function-Status": {"201"}, "Content-Type": {"text/plain"}, "X-Function-Error": nil}, "printed a receipt"},
		bad:  {http.Header{"X-Function-Status": {"500"}, "Content-Type": {"application/json"}, "X-Function-Error": {"Unhandled"}}, `{"errorMessage":"out of paper","errorType":"errorString"}`},
	} {
		got := w.result(t, id)
		for name, values := range want.header {
			if !slices.Equal(got.header.Values(name), values) {
				t.Errorf("%s is %q, want %q", name, got.header.Values(name), values)
			}
		}
		if seconds, err := strconv.ParseFloat(got.header.Get("X-Duration-Seconds"), 64); err != nil || seconds < 0 {
			t.Errorf("X-Duration-Seconds is %q", got.header.Get("X-Duration-Seconds"))
		}
		if got.header.Get("X-Function-Name") != "message-log" || got.header.Get("Webhook-Id") != id || got.body != want.body {
			t.Errorf("got %+v, want the body %s", got, want.body)
		}
		if err := verifier.Verify([]byte(got.body), got.header); err != nil {
			t.Error(err)
		}
	}

	// What failed for good is in the function's DLQ, with the request and why.
	var failed struct {
		Detail struct {
			RequestContext  struct{ RequestID, Condition string }
			RequestPayload  struct{ Body string }
			ResponsePayload struct{ ErrorMessage string }
		}
	}
	letter := received(t, endpoint, "penstock-local-message-log-async-dlq")
	if err := json.Unmarshal([]byte(*letter.Body), &failed); err != nil {
		t.Fatal(err)
	}
	if d := failed.Detail; d.RequestContext.RequestID != bad || d.RequestContext.Condition != "RetriesExhausted" || d.RequestPayload.Body != "fail" || d.ResponsePayload.ErrorMessage != "out of paper" {
		t.Errorf("the function's DLQ holds %s", *letter.Body)
	}

	// A host that is not on the list is not asked.
	refused := received(t, endpoint, "penstock-local-callback-results-dlq")
	if reason := aws.ToString(refused.MessageAttributes[queue.Reason].StringValue); !strings.Contains(reason, `host "hooks.example.com" is not on the list`) || !strings.Contains(*refused.Body, elsewhere) {
		t.Errorf("%q is why %s", reason, *refused.Body)
	}

	// A result that nobody waits for is not even queued.
	if unmatched := env.BusStats().Unmatched["lambda/Lambda Function Invocation Result - Success"]; unmatched != 1 {
		t.Errorf("%d results matched no rule, want the one of %s", unmatched, quiet)
	}
}

// runCalled is the environment that TestACallThatWasAccepted… kills.
func runCalled(project, data string) error {
	c, err := calledConfig(project, data)
	if err != nil {
		return err
	}
	env, err := local.Start(context.Background(), c)
	if err != nil {
		return err
	}
	fmt.Println("serving", env.Endpoint())
	return nil
}

func TestACallThatWasAcceptedBeforeAKillIsCalledBackAfterARestart(t *testing.T) {
	project, data := calledProject(t), t.TempDir()
	w := newResults(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dirVariable+"="+data, calledVariable+"="+project)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "serving ")
	if !ok {
		t.Fatalf("the environment did not start: %s %v", line, err)
	}
	createSigningSecret(t, endpoint)
	id := callAsync(t, endpoint, "wait for "+w.URL+"/gate", w.URL+"/results")
	<-w.gate // the function has begun, and will not come to an end
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	c, err := calledConfig(project, data)
	if err != nil {
		t.Fatal(err)
	}
	env, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	if got := w.result(t, id); got.header.Get("X-Function-Status") != "201" {
		t.Errorf("got %+v", got)
	}
}
