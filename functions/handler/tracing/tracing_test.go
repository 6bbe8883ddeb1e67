package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventstest"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/tracing"
)

type withdrawal = handler.Message[savings.Withdrawal]

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	parentID    = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + parentID + "-01"
)

// traced is a withdrawal that was published as part of a trace.
func traced(t *testing.T, traceparent string, amount float64) events.Event {
	ctx := events.WithOrigin(t.Context(), events.Origin{CorrelationID: "c-1", UserID: "u-1", Traceparent: traceparent})
	return events.Stamp(ctx, savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = amount }))
}

// forms are the routes of both kinds for a function that publishes.
func forms(p events.Publisher, provider trace.TracerProvider) map[string]handler.Route {
	use := handler.Use(tracing.New(provider))
	charge := func(ctx context.Context, m *withdrawal) error {
		if m.Event.Amount < 0 {
			return errors.New("below zero")
		}
		return p.Publish(ctx, savings.SampleFeeCharged())
	}
	return map[string]handler.Route{
		"Each": handler.Each(charge, use, handler.Concurrency(1)),
		"Batch": handler.Batch(func(ctx context.Context, messages []*withdrawal) error {
			var failed handler.Failures
			for _, m := range messages {
				failed.Add(m, charge(m.Context(ctx), m))
			}
			return failed.Err()
		}, use),
	}
}

func recorded() (*tracetest.InMemoryExporter, *sdk.TracerProvider) {
	exporter := tracetest.NewInMemoryExporter()
	return exporter, sdk.NewTracerProvider(sdk.WithSyncer(exporter))
}

func TestAnEventsTraceGoesThroughItsSpanToWhatItPublishes(t *testing.T) {
	exporter, provider := recorded()
	for form := range forms(nil, provider) {
		t.Run(form, func(t *testing.T) {
			exporter.Reset()
			p := eventstest.NewPublisher(t)
			handlertest.New(t, forms(p, provider)[form]).Send(traced(t, traceparent, 1), traced(t, "", 2)).RequireHandled()

			spans := exporter.GetSpans()
			if len(spans) != 2 {
				t.Fatalf("%d spans", len(spans))
			}
			s := spans[0]
			if s.Name != "process savings/SAVINGS_WITHDRAWAL" || s.SpanKind != trace.SpanKindConsumer || s.Status.Code != codes.Unset {
				t.Errorf("got %s, %v, %v", s.Name, s.SpanKind, s.Status)
			}
			if s.SpanContext.TraceID().String() != traceID || s.Parent.SpanID().String() != parentID || !s.Parent.IsRemote() {
				t.Errorf("it is %v, a child of %v", s.SpanContext, s.Parent)
			}
			if spans[1].Parent.IsValid() || spans[1].SpanContext.TraceID() == s.SpanContext.TraceID() {
				t.Errorf("an event without a trace continues %v", spans[1].Parent)
			}
			got := attribute.NewSet(s.Attributes...)
			for name, want := range map[attribute.Key]string{"messaging.destination.name": "subscription", "messaging.message.id": handlertest.MessageID(0), "penstock.event.correlation_id": "c-1"} {
				if v, _ := got.Value(name); v.AsString() != want {
					t.Errorf("%s is %q, want %q", name, v.AsString(), want)
				}
			}
			for i, published := range p.Published() {
				if want := "00-" + spans[i].SpanContext.TraceID().String() + "-" + spans[i].SpanContext.SpanID().String() + "-01"; published.Traceparent != want {
					t.Errorf("event %d was published with traceparent %s, want %s", i, published.Traceparent, want)
				}
			}
			if m := p.Published()[0]; m.CorrelationID != "c-1" || m.UserID != "u-1" || m.CausationID == "" {
				t.Errorf("the rest of the origin is lost: %+v", m.Metadata)
			}
		})
	}
}

func TestTwoEventsOfOneHandlerKeepTheirIDs(t *testing.T) {
	ids := map[string][]string{}
	_, provider := recorded()
	a := traced(t, traceparent, 1)
	for what, options := range map[string][]handler.Option{"with": {handler.Use(tracing.New(provider))}, "without": nil} {
		p := eventstest.NewPublisher(t)
		handlertest.New(t, handler.Each(func(ctx context.Context, m *withdrawal) error {
			return errors.Join(p.Publish(ctx, savings.SampleFeeCharged()), p.Publish(m.Context(ctx), savings.SampleFeeCharged()))
		}, options...)).Send(a).RequireHandled()
		for _, e := range p.Published() {
			ids[what] = append(ids[what], e.ID)
		}
	}
	if w, wo := ids["with"], ids["without"]; len(w) != 2 || w[0] != wo[0] || w[1] != wo[1] || w[0] == w[1] {
		t.Errorf("got %v", ids)
	}
}

func TestAnEventThatIsNotSampledIsNotRecordedButCarriedOn(t *testing.T) {
	exporter, provider := recorded()
	p := eventstest.NewPublisher(t)
	handlertest.New(t, forms(p, provider)["Each"]).Send(traced(t, "00-"+traceID+"-"+parentID+"-00", 1)).RequireHandled()
	if n := len(exporter.GetSpans()); n != 0 {
		t.Errorf("%d spans were recorded", n)
	}
	got := p.Published()[0].Traceparent
	if len(got) != len(traceparent) || got[3:35] != traceID || got[53:] != "00" {
		t.Errorf("published with %q", got)
	}
}

func TestASpanEndsWithTheErrorOfItsEvent(t *testing.T) {
	exporter, provider := recorded()
	for form, route := range forms(eventstest.NewPublisher(t), provider) {
		t.Run(form, func(t *testing.T) {
			exporter.Reset()
			handlertest.New(t, route).Send(traced(t, traceparent, -1), traced(t, traceparent, 1)).RequireOutcomes("failed", "handled")
			spans := exporter.GetSpans()
			if s := spans[0].Status; s.Code != codes.Error || s.Description != "below zero" {
				t.Errorf("the first has status %v", s)
			}
			if s := spans[1].Status; s.Code != codes.Unset {
				t.Errorf("its neighbour has status %v", s)
			}
		})
	}
}

func TestAPanicEndsTheSpanWithAnError(t *testing.T) {
	exporter, provider := recorded()
	handlertest.New(t, handler.Each(func(context.Context, *withdrawal) error { panic("no") }, handler.Use(tracing.New(provider)))).
		Send(traced(t, traceparent, 1)).RequireOutcomes("failed")
	if spans := exporter.GetSpans(); len(spans) != 1 || spans[0].Status.Code != codes.Error {
		t.Errorf("got %v", spans)
	}
}

func TestAMalformedTraceparentBeginsATrace(t *testing.T) {
	exporter, provider := recorded()
	handlertest.New(t, forms(eventstest.NewPublisher(t), provider)["Each"]).Send(traced(t, "garbage", 1)).RequireHandled()
	if spans := exporter.GetSpans(); len(spans) != 1 || spans[0].Parent.IsValid() {
		t.Errorf("got %v", spans)
	}
}

func TestTheSpanOfTheInvocationIsLinked(t *testing.T) {
	exporter, provider := recorded()
	p := eventstest.NewPublisher(t)
	f := handler.New(forms(p, provider)["Each"]).WithNames("fee", "fee")
	ctx, around := provider.Tracer("test").Start(t.Context(), "invocation")
	for _, parent := range []string{traceparent, ""} {
		if _, err := f.Invoke(ctx, handlertest.Payload(t, "fee-withdrawals", traced(t, parent, 1))); err != nil {
			t.Fatal(err)
		}
	}
	spans := exporter.GetSpans()
	if links := spans[0].Links; len(links) != 1 || links[0].SpanContext.SpanID() != around.SpanContext().SpanID() {
		t.Errorf("linked to %v", links)
	}
	if spans[1].Parent.SpanID() != around.SpanContext().SpanID() || len(spans[1].Links) != 0 {
		t.Errorf("an event without a trace is a child of %v", spans[1].Parent)
	}
}

func TestAnApplicationContinuesItsSpan(t *testing.T) {
	_, provider := recorded()
	if ctx := t.Context(); tracing.Continue(ctx) != ctx {
		t.Error("a context without a span is another one")
	}
	ctx, span := provider.Tracer("test").Start(events.WithOrigin(t.Context(), events.Origin{UserID: "u-1"}), "request")
	e := events.Stamp(tracing.Continue(ctx), savings.SampleWithdrawal())
	if got := spanID(e.Traceparent); got != span.SpanContext().SpanID().String() || e.UserID != "u-1" {
		t.Errorf("got %+v", e.Metadata)
	}
}

func spanID(traceparent string) string { return traceparent[36:52] }

// test stands for a *testing.T in an example.
type test struct{ testing.TB }

func (test) Helper()                           {}
func (test) Context() context.Context          { return context.Background() }
func (test) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
