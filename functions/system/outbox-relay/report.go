package main

import (
	"context"
	"log/slog"
	"time"
)

// The metrics of the outbox, in the namespace Penstock and by App and
// Environment. The first three are sums, of each batch and sweep; the others
// are what a sweep has found, so that there is one figure a minute.
const (
	namespace = "Penstock"

	metricSent      = "OutboxEventsSent"
	metricFailed    = "OutboxEventsFailed"   // which are sent again
	metricRefused   = "OutboxEventsRefused"  // and set aside
	metricBacklog   = "OutboxBacklog"        // events that wait; a lower bound if "complete" is false
	metricOldestAge = "OutboxOldestAge"      // of an event that waits, in seconds
	metricSetAside  = "OutboxEventsSetAside" // all that are set aside in the table
)

// A metric as the embedded metric format names it ("Specification: Embedded
// metric format", Amazon CloudWatch).
type metric struct {
	Name string
	Unit string
}

var (
	counters = []metric{{metricSent, "Count"}, {metricFailed, "Count"}, {metricRefused, "Count"}}
	gauges   = []metric{{metricBacklog, "Count"}, {metricOldestAge, "Seconds"}, {metricSetAside, "Count"}}
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
	metrics := counters
	attributes := []slog.Attr{
		slog.String("App", r.app),
		slog.String("Environment", r.env),
		slog.Int(metricSent, out.sent),
		slog.Int(metricFailed, out.failed),
		slog.Int(metricRefused, out.setAside),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(took.Microseconds())/1000),
	}
	if found != nil {
		metrics = append(metrics[:len(metrics):len(metrics)], gauges...)
		attributes = append(attributes, found.attributes()...)
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []metric
	}
	attributes = append(attributes, slog.Group("_aws",
		slog.Int64("Timestamp", time.Now().UnixMilli()),
		slog.Any("CloudWatchMetrics", []directive{{namespace, [][]string{{"App", "Environment"}}, metrics}}),
	))
	r.log.LogAttrs(ctx, level, message, attributes...)
}
