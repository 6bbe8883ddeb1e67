package handler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Function is a Lambda function made of routes; it implements lambda.Handler
// of aws-lambda-go. It is safe for concurrent use.
type Function struct {
	name        string // the function's short name, as in "withdrawal-fee"
	queuePrefix string // what a queue's name has before the subscription's
	routes      map[routeKey]*Route
	unrouted    *Route
	logger      *slog.Logger
	dlq         DLQ // nil if the function has none
}

var _ lambda.Handler = (*Function)(nil)

// New returns the function of the given routes. Its names come from the
// environment that Penstock deploys with: PENSTOCK_FUNCTION (the short name;
// AWS_LAMBDA_FUNCTION_NAME stands in for it) is the first part of event keys,
// and AWS_LAMBDA_FUNCTION_NAME plus "-" is what a queue's name has before the
// name of its subscription. A queue that is named otherwise is a subscription
// of that name.
//
// New panics without routes, and for two that would receive the same events.
func New(routes ...Route) *Function {
	if len(routes) == 0 {
		panic("handler: a function needs at least one route, made by handler.Each or handler.Batch")
	}
	lambdaName := os.Getenv("AWS_LAMBDA_FUNCTION_NAME")
	f := &Function{
		name:        cmp.Or(os.Getenv("PENSTOCK_FUNCTION"), lambdaName),
		queuePrefix: lambdaName + "-",
		routes:      map[routeKey]*Route{},
		unrouted:    &Route{handler: outcome(HandlerFunc(refuse))},
		logger:      slog.New(slog.NewJSONHandler(os.Stdout, nil)),
	}
	for _, r := range routes {
		switch {
		case r.handler == nil:
			panic("handler: a zero Route handles nothing: make routes with handler.Each or handler.Batch")
		case f.routes[r.key] != nil:
			panic(fmt.Sprintf("handler: two routes for %s: tell them apart with Route.On", r.key))
		}
		f.routes[r.key] = &r
	}
	return f
}

// Start runs the function of the given routes on Lambda. It does not return.
func Start(routes ...Route) { lambda.Start(New(routes...)) }

// WithLogger replaces the logger, by default JSON to standard output at level
// Info, and returns f. It must be called before the first Invoke.
func (f *Function) WithLogger(l *slog.Logger) *Function {
	f.logger = l
	return f
}

// Invoke handles one payload from an SQS event source mapping that has
// ReportBatchItemFailures, and returns the partial batch response. It fails,
// and with it the whole batch, only for a payload that is no SQS event.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	messages, err := readPayload(payload)
	if err != nil {
		return nil, err
	}
	records := make([]*Record, len(messages))
	for i := range messages {
		records[i] = f.record(&messages[i])
	}
	ctx = withLogger(ctx, f.logger.With("requestId", requestID(ctx), "function", f.name))
	failed := f.route(ctx, records)
	f.sendPermanent(ctx, records, failed)
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
	if route := f.routes[routeKey{r.Subscription, r.Type}]; route != nil {
		return route
	}
	if route := f.routes[routeKey{"", r.Type}]; route != nil {
		return route
	}
	return f.unrouted
}

// refuse fails the records that no route can take.
func refuse(_ context.Context, records []*Record) *Failures {
	failed := new(Failures)
	for _, r := range records {
		err := r.err
		if err == nil {
			err = fmt.Errorf("the function has no route for %s of subscription %q", r.Type, r.Subscription)
		}
		failed.Add(r, err)
	}
	return failed
}
