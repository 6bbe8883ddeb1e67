package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/functions/system/internal/metrics"
)

// The metrics of the outbox. The first three are sums, of each batch and sweep;
// the others are what a sweep has found, so that there is one figure a minute.
const (
	metricSent      = "OutboxEventsSent"
	metricFailed    = "OutboxEventsFailed"   // which are sent again
	metricRefused   = "OutboxEventsRefused"  // and set aside
	metricBacklog   = "OutboxBacklog"        // events that wait; a lower bound if "complete" is false
	metricOldestAge = "OutboxOldestAge"      // of an event that waits, in seconds
	metricSetAside  = "OutboxEventsSetAside" // all that are set aside in the table
)

var (
	counters = metrics.Counts(metricSent, metricFailed, metricRefused)
	gauges   = []metrics.Metric{{Name: metricBacklog, Unit: "Count"}, {Name: metricOldestAge, Unit: "Seconds"}, {Name: metricSetAside, Unit: "Count"}}
)

// report writes one line for a batch or a sweep: how many events were sent, how
// many were not, and why. CloudWatch makes metrics of it.
func (r *relay) report(ctx context.Context, message string, out result, took time.Duration, found *backlog) {
	level, reason := slog.LevelInfo, ""
	if out.failed > 0 || out.setAside > 0 {
		level = slog.LevelError
	}
	if out.err != nil {
		reason = out.err.Error()
	}
	named := counters
	attributes := []slog.Attr{
		slog.Int(metricSent, out.sent),
		slog.Int(metricFailed, out.failed),
		slog.Int(metricRefused, out.setAside),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
	}
	if found != nil {
		named = slices.Concat(counters, gauges)
		attributes = append(attributes, found.attributes()...)
	}
	r.log.LogAttrs(ctx, level, message, append(attributes, metrics.Attrs(r.app, r.env, named)...)...)
}
