package handler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Function is a Lambda function made of routes; it implements lambda.Handler
// of aws-lambda-go. It is safe for concurrent use.
type Function struct {
	app, env    string // of the deployment
	name        string // the function's short name, as in "withdrawal-fee"
	queuePrefix string // what a queue's name has before the subscription's
	routes      map[routeKey]*Route
	unrouted    *Route
	logger      *slog.Logger
	retries     map[string]*retries // by subscription
	queue       queue.Queue         // nil if there is no way back
	meter       *meter              // nil if there are no metrics
}

var _ lambda.Handler = (*Function)(nil)

// New returns the function of the given routes. Its names come from the
// environment that Penstock deploys with: PENSTOCK_FUNCTION (the short name;
// AWS_LAMBDA_FUNCTION_NAME stands in for it) is the first part of event keys,
// and AWS_LAMBDA_FUNCTION_NAME plus "-" is what a queue's name has before the
// name of its subscription. A queue that is named otherwise is a subscription
// of that name.
//
// PENSTOCK_RETRIES says how often an event is received, and when it comes back
// after a failure. What it does not name is received for as long as the queue
// has it, and comes back as the manifest has it by default. LOG_LEVEL is the
// least level of the function's own log lines: debug, info (the default), warn or
// error. PENSTOCK_APP and PENSTOCK_ENV are dimensions of its metrics.
//
// New panics without routes, for two that would receive the same events, and for
// an environment that cannot be read.
func New(routes ...Route) *Function {
	if len(routes) == 0 {
		panic("handler: a function needs at least one route, made by handler.Each, handler.Batch or handler.Notifications")
	}
	lambdaName := os.Getenv("AWS_LAMBDA_FUNCTION_NAME")
	retries, err := readRetries(os.Getenv(retriesVariable))
	if err != nil {
		panic(err)
	}
	logger, err := newLogger(os.Stdout, os.Getenv(levelVariable))
	if err != nil {
		panic(err)
	}
	f := &Function{
		app:         os.Getenv("PENSTOCK_APP"),
		env:         os.Getenv("PENSTOCK_ENV"),
		name:        cmp.Or(os.Getenv("PENSTOCK_FUNCTION"), lambdaName),
		queuePrefix: lambdaName + "-",
		routes:      map[routeKey]*Route{},
		unrouted:    &Route{handler: outcome(HandlerFunc(refuse))},
		logger:      logger,
		retries:     retries,
	}
	for _, r := range routes {
		switch {
		case r.handler == nil:
			panic("handler: a zero Route handles nothing: make routes with handler.Each, handler.Batch or handler.Notifications")
		case f.routes[r.key] != nil:
			panic(fmt.Sprintf("handler: two routes for %s: tell them apart with Route.On", r.key))
		}
		f.routes[r.key] = &r
	}
	return f
}

// Start runs the function of the given routes on Lambda: New(routes...).Start().
// It does not return.
func Start(routes ...Route) { New(routes...).Start() }

// Start runs the function on Lambda. If [Function.WithQueue] was not called, it
// has the queue of [queue.FromEnv]; if [Function.WithMetrics] was not, its
// metrics go to standard output. Its logger becomes slog.Default(). Start does
// not return; it ends the process if the environment is not Lambda's.
func (f *Function) Start() {
	if f.queue == nil {
		q, err := queue.FromEnv()
		if err != nil {
			f.logger.Error("the function cannot start", "reason", err.Error())
			os.Exit(1)
		}
		f.queue = q
	}
	if f.meter == nil {
		f.WithMetrics(os.Stdout)
	}
	slog.SetDefault(slog.New(withContext(f.logger.Handler())))
	lambda.Start(f)
}

// WithLogger replaces the logger, by default JSON to standard output at the
// level of LOG_LEVEL, and returns f. It must be called before the first Invoke.
// Outcome records are written whatever the logger's level.
func (f *Function) WithLogger(l *slog.Logger) *Function {
	f.logger = l
	return f
}

// WithNames replaces the names that come from the environment, see [New]: the
// function's short name and its name on Lambda. It returns f, and must be called
// before the first Invoke.
func (f *Function) WithNames(function, lambda string) *Function {
	f.name, f.queuePrefix = function, lambda+"-"
	return f
}

// WithQueue replaces the way back to the function's queues, and returns f. It
// must be called before the first Invoke. Without one, as in a test that does not
// call this, every event that fails is answered as failed, and nothing else is
// done about it.
func (f *Function) WithQueue(q queue.Queue) *Function {
	f.queue = q
	return f
}

// Invoke handles one payload from an SQS event source mapping that has
// ReportBatchItemFailures, and returns the partial batch response. It fails,
// and with it the whole batch, only for a payload that is no SQS event.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	start := time.Now()
	messages, err := readPayload(payload)
	if err != nil {
		return nil, err
	}
	records := f.records(messages)
	ctx = invoked(ctx, f.logger, requestID(ctx), f.name)
	failed := f.route(ctx, records)
	f.settle(ctx, records, failed)
	f.meter.write(records, requestID(ctx), start)
	return response(records, failed)
}

func requestID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return ""
}

// route hands the records to their routes, one route after the other: a payload
// comes from one queue, and so nearly always belongs to one route.
func (f *Function) route(ctx context.Context, records []*Record) *Failures {
	var order []*Route
	groups := map[*Route][]*Record{}
	for _, r := range records {
		route := f.routeOf(r)
		if groups[route] == nil {
			order = append(order, route)
		}
		groups[route] = append(groups[route], r)
	}
	failed := new(Failures)
	for _, route := range order {
		failed.merge(route.handler.Handle(ctx, groups[route]))
	}
	return failed
}

func (f *Function) routeOf(r *Record) *Route {
	if r.err != nil {
		return f.unrouted
	}
	for _, key := range []routeKey{{r.Subscription, r.Type}, {r.Subscription, events.Type{}}, {"", r.Type}, {"", events.Type{}}} {
		if route := f.routes[key]; route != nil {
			return route
		}
	}
	return f.unrouted
}

// refuse fails the records that no route can take, for good.
func refuse(_ context.Context, records []*Record) *Failures {
	failed := new(Failures)
	for _, r := range records {
		err := r.err
		if err == nil {
			err = fmt.Errorf("the function has no route for %s of subscription %q", r.Type, r.Subscription)
		}
		failed.Add(r, Permanent(err))
	}
	return failed
}
