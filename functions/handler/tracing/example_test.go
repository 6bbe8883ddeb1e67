package tracing_test

import (
	"context"
	"fmt"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/tracing"
)

func Example() {
	exporter := tracetest.NewInMemoryExporter() // deployed, one of your choice
	provider := sdk.NewTracerProvider(sdk.WithSyncer(exporter))

	route := handler.Each(func(ctx context.Context, m *withdrawal) error {
		// A span of the function's own, within that of the event.
		_, span := provider.Tracer("fees").Start(ctx, "look up the tariff")
		defer span.End()
		return nil
	}, handler.Use(tracing.New(provider)))

	// The application that publishes continues its own trace in the same way.
	ctx, request := provider.Tracer("shop").Start(context.Background(), "POST /withdrawals")
	withdrawal := events.Stamp(tracing.Continue(ctx), savings.SampleWithdrawal())
	request.End()

	handlertest.New(test{}, route).Send(withdrawal)
	trace := request.SpanContext().TraceID()
	for _, s := range exporter.GetSpans() {
		fmt.Println(s.Name, s.SpanContext.TraceID() == trace)
	}
	// Output:
	// POST /withdrawals true
	// look up the tariff true
	// process savings/SAVINGS_WITHDRAWAL true
}
