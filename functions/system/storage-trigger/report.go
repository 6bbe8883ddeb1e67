package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/penstock-dev/penstock/functions/system/internal/metrics"
)

// The metrics: what has become of the events of a batch.
const (
	metricSent   = "StorageEventsSent"   // on the bus
	metricFailed = "StorageEventsFailed" // and sent again
	metricLost   = "StorageEventsLost"   // never announced, of items that are no rows: the log says of which
)

// result is what became of a batch; figures are of events.
type result struct {
	sent, failed, lost int

	err error // why some failed
}

// report writes one line for a batch, of which CloudWatch makes metrics.
func (t *trigger) report(ctx context.Context, out result, took time.Duration) {
	level, reason := slog.LevelInfo, ""
	if out.failed > 0 || out.lost > 0 {
		level = slog.LevelError
	}
	if out.err != nil {
		reason = out.err.Error()
	}
	t.log.LogAttrs(ctx, level, "announced", append(metrics.Attrs(t.app, t.env, metrics.Counts(metricSent, metricFailed, metricLost)),
		slog.Int(metricSent, out.sent),
		slog.Int(metricFailed, out.failed),
		slog.Int(metricLost, out.lost),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
	)...)
}
