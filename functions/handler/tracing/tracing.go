// Package tracing carries W3C traces through functions, with OpenTelemetry. A
// function that does not import it does not link it.
//
//	handler.Start(handler.Each(charge, handler.Use(tracing.New(provider))))
//
// Without it a trace is carried on as well: what a function publishes has the
// traceparent of the event that it handles. This package adds a span for each
// event between the two, so that the trace shows what the function did and how
// long it took; what the function publishes is a child of that span, and so is
// what it calls with the event's context.
//
// The provider is the program's, with the exporter of its choice. Lambda stops a
// process between invocations: have spans exported as they end (a simple span
// processor, to the OpenTelemetry extension on the same machine), or flush the
// provider at the end of each invocation by wrapping the *handler.Function, which
// is a lambda.Handler.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
)

const scope = "github.com/penstock-dev/penstock/functions/handler/tracing"

// New returns a middleware that starts a span for every event: a consumer's,
// "process source/NAME", with the attributes of OpenTelemetry's conventions for
// messaging and penstock.event.id, .correlation_id and .key. It is a child of the
// event's traceparent; one that ctx already has, such as that of the invocation,
// is linked to it. An event without a traceparent continues the span of ctx, or
// begins a trace.
//
// With [handler.Each] the function's context has the span; with [handler.Batch]
// that of [handler.Message.Context] has it, and all spans of a batch last as long
// as the batch. A span ends with an error if its event failed. Outermost, it
// covers what other middlewares do.
func New(provider trace.TracerProvider) handler.Middleware {
	tracer := provider.Tracer(scope)
	return func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) (failed *handler.Failures) {
			spans := make([]trace.Span, len(records))
			for i, r := range records {
				spans[i] = start(ctx, tracer, r)
			}
			returned := false
			defer func() {
				for i, r := range records {
					end(spans[i], failed.Of(r), returned)
				}
			}()
			failed = next.Handle(ctx, records)
			returned = true
			return failed
		})
	}
}

// start starts the span of a record, and has the record's contexts carry it.
func start(ctx context.Context, tracer trace.Tracer, r *handler.Record) trace.Span {
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer),
		// "Semantic conventions for messaging spans", OpenTelemetry.
		trace.WithAttributes(
			attribute.String("messaging.system", "aws_sqs"),
			attribute.String("messaging.operation.name", "process"),
			attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.destination.name", r.Subscription),
			attribute.String("messaging.message.id", r.MessageID),
			attribute.String("penstock.event.id", r.Metadata.ID),
			attribute.String("penstock.event.correlation_id", r.Metadata.CorrelationID),
			attribute.String("penstock.event.key", r.EventKey()),
		),
	}
	parent := ctx
	if event := spanOf(r.Metadata.Traceparent); event.IsValid() {
		if around := trace.SpanContextFromContext(ctx); around.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: around}))
		}
		parent = trace.ContextWithRemoteSpanContext(ctx, event)
	}
	_, span := tracer.Start(parent, "process "+r.Type.String(), options...)
	r.Carry(func(ctx context.Context) context.Context { return Continue(trace.ContextWithSpan(ctx, span)) })
	return span
}

func end(span trace.Span, err error, returned bool) {
	switch {
	case err != nil:
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	case !returned:
		span.SetStatus(codes.Error, "the function panicked")
	}
	span.End()
}

// Continue returns ctx for publishing as part of its span: events get its
// traceparent. The middleware does it; an application calls it at its edge,
// behind its own tracing, and a function that publishes from a span of its own.
// Without a span, ctx is returned as it is.
func Continue(ctx context.Context) context.Context {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	traceparent := carrier["traceparent"]
	if traceparent == "" {
		return ctx
	}
	origin := events.OriginFrom(ctx)
	origin.Traceparent = traceparent
	return events.WithOrigin(ctx, origin)
}

// spanOf reads a traceparent; what is none is no span.
func spanOf(traceparent string) trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}
