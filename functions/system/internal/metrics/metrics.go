// Package metrics has a line of a program's log become metrics of CloudWatch, in
// the embedded metric format ("Specification: Embedded metric format", Amazon
// CloudWatch User Guide). They are in the namespace Penstock, and by App and
// Environment. Those of functions, by subscription, are package handler's.
package metrics

import (
	"log/slog"
	"time"
)

const namespace = "Penstock"

// A Metric is a field of the line that CloudWatch makes a metric of.
type Metric struct {
	Name string // of the field, and of the metric
	Unit string // CloudWatch's word, such as "Count" or "Seconds"
}

// Counts are metrics that count.
func Counts(names ...string) []Metric {
	out := make([]Metric, len(names))
	for i, name := range names {
		out[i] = Metric{name, "Count"}
	}
	return out
}

// Attrs are the attributes that a line needs, besides the fields of its metrics:
// those by which the metrics are told apart, and what says which they are, at the
// present time.
func Attrs(app, env string, metrics []Metric) []slog.Attr {
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []Metric
	}
	return []slog.Attr{
		slog.String("App", app),
		slog.String("Environment", env),
		slog.Group("_aws",
			slog.Int64("Timestamp", time.Now().UnixMilli()),
			slog.Any("CloudWatchMetrics", []directive{{namespace, [][]string{{"App", "Environment"}}, metrics}}),
		),
	}
}
