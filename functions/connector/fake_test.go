package connector_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/functions/connector/call"
)

// fakeLambda answers calls as its function says, one call after the other to
// each function. It keeps what it was called with.
type fakeLambda struct {
	answer func(ctx context.Context, function string, attempt int) (*lambda.InvokeOutput, error)

	mu       sync.Mutex
	calls    []fakeCall
	attempts map[string]int
	now, max int // how many are under way, and were at most
}

type fakeCall struct {
	function, kind string
	at             time.Time
	request        call.Request
}

func (l *fakeLambda) Invoke(ctx context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	request, err := call.Decode(in.Payload)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.calls = append(l.calls, fakeCall{*in.FunctionName, string(in.InvocationType), time.Now(), request})
	if l.attempts == nil {
		l.attempts = map[string]int{}
	}
	l.attempts[*in.FunctionName]++
	attempt := l.attempts[*in.FunctionName]
	l.now++
	l.max = max(l.max, l.now)
	l.mu.Unlock()
	defer func() { l.mu.Lock(); l.now--; l.mu.Unlock() }()
	out, err := ok(), error(nil)
	if l.answer != nil {
		out, err = l.answer(ctx, *in.FunctionName, attempt)
	}
	if out != nil {
		awsmiddleware.SetRequestIDMetadata(&out.ResultMetadata, fmt.Sprintf("%s-%d", *in.FunctionName, attempt))
	}
	return out, err
}

// called are the functions that were called, sorted.
func (l *fakeLambda) called() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, c := range l.calls {
		out = append(out, c.function)
	}
	slices.Sort(out)
	return out
}

func ok() *lambda.InvokeOutput { return status(200, "done") }

func status(code int, body string, header ...string) *lambda.InvokeOutput {
	headers := map[string]string{}
	for i := 0; i < len(header); i += 2 {
		headers[header[i]] = header[i+1]
	}
	payload, err := json.Marshal(map[string]any{"statusCode": code, "headers": headers, "body": body})
	if err != nil {
		panic(err)
	}
	return &lambda.InvokeOutput{Payload: payload}
}

func functionError(payload string) *lambda.InvokeOutput {
	kind := "Unhandled"
	return &lambda.InvokeOutput{FunctionError: &kind, Payload: []byte(payload)}
}

// function declares topics; its Lambda function bears its name.
func function(name, namespace string, topics ...string) connector.Function {
	return connector.Function{Name: name, Namespace: namespace, Topics: topics, Lambda: name}
}

// start starts a connector, and closes it when the test ends.
func start(t *testing.T, l connector.Lambda, cfg connector.Config) *connector.Connector {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := connector.New(l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// collector is a subscriber that keeps all.
type collector struct {
	mu  sync.Mutex
	all []connector.Response
}

func (c *collector) Response(r connector.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, r)
}

func (c *collector) responses() []connector.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// letters is a DLQ in memory; with a fault, it takes nothing.
type letters struct {
	mu    sync.Mutex
	all   []connector.Letter
	fault error
}

func (l *letters) Put(ctx context.Context, letter connector.Letter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		l.all = append(l.all, letter)
	}
	return l.fault
}
