package handler

import (
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"
)

// meter writes the metrics of batches: one line for each batch, in CloudWatch's
// embedded metric format ("Specification: Embedded metric format", Amazon
// CloudWatch User Guide), from which CloudWatch makes metrics without a call
// from the function. They are in the namespace Penstock, and their dimensions
// are app, env, function and subscription:
//
//	handled    Count         events with that outcome, see the outcome record
//	failed     Count
//	permanent  Count
//	duplicate  Count
//	batchSize  Count         events of the batch: the sum of those four
//	age        Seconds       from when the events occurred to when the function
//	                         received them
//	duration   Milliseconds  from when the function received the batch to its answer
//
// A metric of a batch is one value, and age one for each event: of a batch with
// more than 100 events, a hundred that are evenly spread from the youngest to
// the oldest, since the format takes no more. A line also has the requestId.
type meter struct {
	out      io.Writer
	app, env string
}

const (
	metricsNamespace = "Penstock"
	maxMetricValues  = 100
)

// WithMetrics has the function's metrics written to w, a line in one Write for
// each batch, and returns f. It must be called before the first Invoke.
// [Function.Start] has them go to standard output if this was not called; nil,
// or an Invoke without either, writes none.
func (f *Function) WithMetrics(w io.Writer) *Function {
	f.meter = &meter{out: w, app: f.app, env: f.env}
	return f
}

// metricsLine is a line; its fields are members of the root node.
type metricsLine struct {
	AWS struct {
		Timestamp         int64        `json:"Timestamp"` // ms since 1970
		CloudWatchMetrics []directives `json:"CloudWatchMetrics"`
	} `json:"_aws"`

	App          string `json:"app,omitempty"`
	Env          string `json:"env,omitempty"`
	Function     string `json:"function,omitempty"`
	Subscription string `json:"subscription,omitempty"`
	RequestID    string `json:"requestId,omitempty"`

	Handled   int       `json:"handled"`
	Failed    int       `json:"failed"`
	Permanent int       `json:"permanent"`
	Duplicate int       `json:"duplicate"`
	BatchSize int       `json:"batchSize"`
	Age       []float64 `json:"age,omitempty"`
	Duration  float64   `json:"duration"`
}

type directives struct {
	Namespace  string       `json:"Namespace"`
	Dimensions [][]string   `json:"Dimensions"`
	Metrics    []definition `json:"Metrics"`
}

type definition struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// write writes the metrics of records whose outcomes are known.
func (m *meter) write(records []*Record, requestID string, start time.Time) {
	if m == nil || m.out == nil {
		return
	}
	took := time.Since(start)
	bySubscription := map[string][]*Record{} // there is one in a payload of Lambda's
	for _, r := range records {
		bySubscription[r.Subscription] = append(bySubscription[r.Subscription], r)
	}
	for _, batch := range bySubscription {
		line := m.line(batch, start, took)
		line.RequestID = requestID
		data, err := json.Marshal(line)
		if err == nil {
			_, err = m.out.Write(append(data, '\n'))
		}
		if err != nil {
			// Metrics are no reason to fail a batch.
			slog.Warn("the metrics of a batch could not be written", "reason", err.Error())
		}
	}
}

// line makes the line of a batch of one subscription.
func (m *meter) line(batch []*Record, start time.Time, took time.Duration) *metricsLine {
	l := &metricsLine{
		App: m.app, Env: m.env, Function: batch[0].Function, Subscription: batch[0].Subscription,
		BatchSize: len(batch),
		Duration:  float64(took.Microseconds()) / 1000,
	}
	for _, r := range batch {
		switch r.outcome {
		case handledOutcome:
			l.Handled++
		case permanentOutcome:
			l.Permanent++
		case duplicateOutcome:
			l.Duplicate++
		default:
			l.Failed++
		}
		if at := r.Metadata.OccurredAt; !at.IsZero() {
			// Clocks differ: an event cannot come from the future.
			l.Age = append(l.Age, max(0, math.Round(start.Sub(at).Seconds()*1000)/1000))
		}
	}
	l.Age = spreadOf(l.Age, maxMetricValues)

	metrics := []definition{
		{"handled", "Count"}, {"failed", "Count"}, {"permanent", "Count"}, {"duplicate", "Count"},
		{"batchSize", "Count"}, {"duration", "Milliseconds"},
	}
	if len(l.Age) > 0 { // what is defined must be there
		metrics = append(metrics, definition{"age", "Seconds"})
	}
	l.AWS.Timestamp = start.UnixMilli()
	l.AWS.CloudWatchMetrics = []directives{{metricsNamespace, [][]string{l.dimensions()}, metrics}}
	return l
}

// dimensions are those that have a value: a function that Penstock has not
// deployed may lack some, and CloudWatch takes no empty one.
func (l *metricsLine) dimensions() []string {
	names := []string{}
	for _, d := range []struct{ name, value string }{
		{"app", l.App}, {"env", l.Env}, {"function", l.Function}, {"subscription", l.Subscription},
	} {
		if d.value != "" {
			names = append(names, d.name)
		}
	}
	return names
}

// spreadOf returns at most n of the values, n > 1: sorted and evenly spread, the
// least and the greatest among them. It changes the order of values.
func spreadOf(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	slices.Sort(values)
	some := make([]float64, n)
	for i := range some {
		some[i] = values[i*(len(values)-1)/(n-1)]
	}
	return some
}
