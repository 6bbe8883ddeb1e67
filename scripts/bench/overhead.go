package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
)

// overhead measures what the standard middlewares cost: the time of a batch with
// all that stands around every function, less that of decoding it. Log lines
// and metrics are made, and go nowhere.
func overhead(ctx context.Context, b *bench) error {
	const size = 1000
	payload, err := batch(ctx, size)
	if err != nil {
		return err
	}
	invoking := func(f *handler.Function) side {
		return side{work: func(ctx context.Context) (int, error) {
			_, err := f.Invoke(ctx, payload)
			return 1, err
		}}
	}
	route := func() handler.Route {
		return handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error { return nil })
	}
	whole := handler.Batch(func(context.Context, []*handler.Message[savings.Withdrawal]) error { return nil })
	rates, err := b.scale.finer(4).rates(ctx,
		invoking(handler.New(route()).WithLogger(slog.New(slog.NewJSONHandler(io.Discard, nil))).WithMetrics(io.Discard)),
		invoking(handler.New(whole).WithLogger(slog.New(slog.DiscardHandler))),
	)
	if err != nil {
		return err
	}
	all, decoding := 1000/rates[0], 1000/rates[1]
	b.report.add(result{Name: "middleware_overhead", Value: all - decoding, Unit: "ms", Goal: "≤ 1"})
	return nil
}
