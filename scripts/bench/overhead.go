package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
)

// overhead measures what the standard middlewares cost: the time of a batch with
// all that stands around every function, less that of decoding it. Log lines
// and metrics go to the null device.
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
	each := handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error { return nil })
	whole := handler.Batch(func(context.Context, []*handler.Message[savings.Withdrawal]) error { return nil })
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	stdout := os.Stdout // where a function has its log lines go
	os.Stdout = null
	every := handler.New(each).WithMetrics(null)
	os.Stdout = stdout
	rates, err := b.scale.finer(4).rates(ctx,
		invoking(every),
		invoking(handler.New(whole).WithLogger(slog.New(slog.DiscardHandler))),
	)
	if err != nil {
		return err
	}
	all, decoding := 1000/rates[0], 1000/rates[1]
	b.report.add(result{Name: "middleware_overhead", Value: all - decoding, Unit: "ms", Goal: "≤ 1"})
	return nil
}
