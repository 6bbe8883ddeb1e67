package handlertest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
)

// The names of a [Function], unless [Named] and [From] say otherwise.
const (
	DefaultFunction     = "function"
	DefaultSubscription = "subscription"
)

// Function is a function under test. It is safe for concurrent use.
type Function struct {
	t            testing.TB
	routes       []handler.Route
	name         string
	lambda       string
	subscription string
	receives     int
	timeout      time.Duration
}

// Option changes how a [Function] is run.
type Option func(*Function)

// Named sets the function's short name, which event keys begin with, and its name
// on Lambda, which the names of its queues begin with: "withdrawal-fee" and
// "shop-dev-withdrawal-fee". A recorded payload needs the second, for the
// subscription to be told from it.
func Named(function, lambda string) Option {
	return func(f *Function) { f.name, f.lambda = function, lambda }
}

// From sets the subscription that events come from.
func From(subscription string) Option { return func(f *Function) { f.subscription = subscription } }

// Received sets how many times events were received, this time included; the
// default is 1.
func Received(times int) Option { return func(f *Function) { f.receives = times } }

// Timeout sets how long an invocation may take; by default it has no end. In a
// bubble of testing/synctest it is of the bubble's clock.
func Timeout(d time.Duration) Option { return func(f *Function) { f.timeout = d } }

// New returns the function of the given routes. It reads no environment, and has
// queues that keep what it does to them.
func New(t testing.TB, routes ...handler.Route) *Function {
	return &Function{
		t: t, routes: routes,
		name: DefaultFunction, lambda: DefaultFunction, subscription: DefaultSubscription,
		receives: 1,
	}
}

// With returns the function with options.
func (f *Function) With(opts ...Option) *Function {
	clone := *f
	for _, opt := range opts {
		opt(&clone)
	}
	return &clone
}

// Send invokes the function on a batch of the given events. Those that are not
// stamped are stamped; an [events.Envelope] keeps its metadata.
func (f *Function) Send(batch ...events.Event) *Result {
	f.t.Helper()
	payload := Payload(f.t, f.lambda+"-"+f.subscription, batch...)
	return f.Invoke(received(f.t, payload, f.receives))
}

// SendSamples invokes the function on a batch of the samples of its routes'
// types: what their Schema methods return. It panics for a route of
// [handler.Notifications], which has no Go type.
func (f *Function) SendSamples() *Result {
	f.t.Helper()
	var samples []events.Event
	for _, r := range f.routes {
		samples = append(samples, r.Sample())
	}
	return f.Send(samples...)
}

// InvokeFile invokes the function on the payload in a file: what Lambda gave a
// function, such as one that was logged. See [Named].
func (f *Function) InvokeFile(name string) *Result {
	f.t.Helper()
	payload, err := os.ReadFile(name)
	if err != nil {
		f.t.Fatalf("handlertest: %v", err)
	}
	return f.Invoke(payload)
}

// Invoke invokes the function on a payload. It ends the test if the function
// fails as a whole, or answers with anything but a partial batch response.
func (f *Function) Invoke(payload []byte) *Result {
	f.t.Helper()
	q := new(Queue)
	ctx := lambdacontext.NewContext(f.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request"})
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	log := new(logbook)
	response, err := handler.New(f.routes...).
		WithNames(f.name, f.lambda).
		WithQueue(q).
		WithLogger(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))).
		Invoke(ctx, payload)
	if err != nil {
		f.t.Fatalf("handlertest: the invocation failed: %v", err)
	}
	return newResult(f.t, messagesOf(f.t, payload), Failed(f.t, response), log, q)
}

// received sets how often the messages of a payload were received.
func received(t testing.TB, payload []byte, times int) []byte {
	t.Helper()
	var p struct {
		Records []map[string]any
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		t.Fatalf("handlertest: %v", err)
	}
	for _, m := range p.Records {
		m["attributes"].(map[string]any)["ApproximateReceiveCount"] = fmt.Sprint(times)
	}
	return marshal(t, p)
}

// messagesOf are the messages of a payload, in their order.
func messagesOf(t testing.TB, payload []byte) []message {
	t.Helper()
	var p struct{ Records []message }
	if err := json.Unmarshal(payload, &p); err != nil {
		t.Fatalf("handlertest: the payload is not an SQS event: %v", err)
	}
	return p.Records
}

type message struct{ MessageID, ReceiptHandle string }
