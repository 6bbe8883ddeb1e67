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
	payload := Payload(b, queue, batchOf(size)...)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}
