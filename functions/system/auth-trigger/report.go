package main

import (
	"context"
	"log/slog"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/system/internal/metrics"
)

// The metrics: what has become of an event.
const (
	metricSent   = "AuthEventsSent"   // it is on the bus
	metricQueued = "AuthEventsQueued" // it is in the queue
	metricLost   = "AuthEventsLost"   // it is in the log alone
)

// about is what the log says of an event. People are named by their ids: their
// addresses are in the pool, and not in the log.
func about(id string, typ events.Type, user string) []slog.Attr {
	return []slog.Attr{slog.String("id", id), slog.String("type", typ.String()), slog.String("user", user)}
}

// count writes the line about an event, of which CloudWatch makes a metric.
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
	t.log.LogAttrs(ctx, level, "announced", append(append(about, metrics.Attrs(t.app, t.env, metrics.Counts(name))...),
		slog.Int(name, 1),
		slog.String("reason", reason),
	)...)
}
