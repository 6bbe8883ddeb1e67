package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// The metrics, in the namespace Penstock and by App and Environment: what has
// become of an event.
const (
	namespace = "Penstock"

	metricSent   = "AuthEventsSent"   // it is on the bus
	metricQueued = "AuthEventsQueued" // it is in the queue
	metricLost   = "AuthEventsLost"   // it is in the log alone
)

// about is what the log says of an event. People are named by their ids: their
// addresses are in the pool, and not in the log.
func about(id string, typ events.Type, user string) []slog.Attr {
	return []slog.Attr{slog.String("id", id), slog.String("type", typ.String()), slog.String("user", user)}
}

// count writes the line about an event, of which CloudWatch makes a metric
// ("Specification: Embedded metric format").
func (t *trigger) count(ctx context.Context, name string, err error, about ...slog.Attr) {
	level, reason := slog.LevelInfo, ""
	switch name {
	case metricQueued:
		level = slog.LevelWarn
	case metricLost:
		level = slog.LevelError
	}
	if err != nil {
		reason = err.Error()
	}
	type definition struct{ Name, Unit string }
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	t.log.LogAttrs(ctx, level, "announced", append(about,
		slog.String("App", t.app),
		slog.String("Environment", t.env),
		slog.Int(name, 1),
		slog.String("reason", reason),
		slog.Group("_aws",
			slog.Int64("Timestamp", time.Now().UnixMilli()),
			slog.Any("CloudWatchMetrics", []directive{{namespace, [][]string{{"App", "Environment"}}, []definition{{name, "Count"}}}}),
		))...)
}
