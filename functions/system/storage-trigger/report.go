package main

import (
	"context"
	"log/slog"
	"time"
)

// The metrics, in the namespace Penstock and by App and Environment: what has
// become of the events of a batch.
const (
	namespace = "Penstock"

	metricSent   = "StorageEventsSent"   // on the bus
	metricFailed = "StorageEventsFailed" // and sent again
	metricLost   = "StorageEventsLost"   // never announced, of items that are no rows: the log says of which
)

// result is what became of a batch; figures are of events.
type result struct {
	sent, failed, lost int

	err error // why some failed
}

// report writes one line for a batch, of which CloudWatch makes metrics
// ("Specification: Embedded metric format").
func (t *trigger) report(ctx context.Context, out result, took time.Duration) {
	level, reason := slog.LevelInfo, ""
	if out.failed > 0 || out.lost > 0 {
		level = slog.LevelError
	}
	if out.err != nil {
		reason = out.err.Error()
	}
	type definition struct{ Name, Unit string }
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	t.log.LogAttrs(ctx, level, "announced",
		slog.String("App", t.app),
		slog.String("Environment", t.env),
		slog.Int(metricSent, out.sent),
		slog.Int(metricFailed, out.failed),
		slog.Int(metricLost, out.lost),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
		slog.Group("_aws",
			slog.Int64("Timestamp", time.Now().UnixMilli()),
			slog.Any("CloudWatchMetrics", []directive{{namespace, [][]string{{"App", "Environment"}},
				[]definition{{metricSent, "Count"}, {metricFailed, "Count"}, {metricLost, "Count"}}}}),
		))
}
