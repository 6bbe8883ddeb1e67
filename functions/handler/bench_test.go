package handler_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func BenchmarkEach(b *testing.B) {
	deployed(b)
	const size = 500
	f := handler.New(handler.Each(func(context.Context, *withdrawal) error { return nil })).
		WithLogger(slog.New(slog.NewJSONHandler(io.Discard, nil)))
	payload := Payload(b, queueName, batchOf(size)...)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}

// BenchmarkBatch is what a batch costs besides its log lines.
func BenchmarkBatch(b *testing.B) {
	deployed(b)
	const size = 1000
	f := handler.New(handler.Batch(func(context.Context, []*withdrawal) error { return nil })).
		WithLogger(slog.New(slog.DiscardHandler))
	payload := Payload(b, queueName, batchOf(size)...)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}
