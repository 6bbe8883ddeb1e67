package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
)

// What the tests of this package share: a function deployed as
// penstock-test-withdrawal-fee, its queue, and its log.

const (
	lambdaName = "penstock-test-withdrawal-fee"
	queueName  = lambdaName + "-withdrawals"
)

type withdrawal = handler.Message[savings.Withdrawal]

func deployed(t testing.TB) {
	t.Helper()
	t.Setenv("PENSTOCK_FUNCTION", "withdrawal-fee")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", lambdaName)
}

// account gives a withdrawal's account, by which tests tell events apart.
func account(id string) savings.Withdrawal {
	return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = id })
}

// line is a log line.
type line map[string]any

// logbook keeps the lines that were logged.
type logbook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

// lines returns the lines with that message.
func (l *logbook) lines(t testing.TB, message string) []line {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []line
	for text := range bytes.Lines(l.out.Bytes()) {
		var parsed line
		if err := json.Unmarshal(text, &parsed); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if parsed["msg"] == message {
			lines = append(lines, parsed)
		}
	}
	return lines
}

// outcomes returns the outcome and the reason of each message, by its id.
func (l *logbook) outcomes(t testing.TB) map[string][2]string {
	t.Helper()
	all := map[string][2]string{}
	for _, o := range l.lines(t, "outcome") {
		id := o["messageId"].(string)
		if _, twice := all[id]; twice {
			t.Errorf("two outcome records for message %s", id)
		}
		all[id] = [2]string{o["outcome"].(string), o["reason"].(string)}
	}
	return all
}

// invocation is a context as Lambda gives it.
func invocation(ctx context.Context, requestID string) context.Context {
	return lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: requestID})
}

// run invokes a function of the given routes on a payload.
func run(t testing.TB, ctx context.Context, payload []byte, routes ...handler.Route) ([]byte, *logbook) {
	t.Helper()
	deployed(t)
	log := new(logbook)
	response, err := handler.New(routes...).WithLogger(log.logger()).Invoke(invocation(ctx, "request-1"), payload)
	if err != nil {
		t.Fatal(err)
	}
	return response, log
}
