package lambda

import (
	"sync/atomic"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// Metrics as CloudWatch has them of Lambda, in the namespace AWS/Lambda ("Types
// of metrics for Lambda functions"; "Dimensions for Lambda metrics"): of each
// function under FunctionName, and of all together under no dimension; of a
// mapping that asks for them under EventSourceMappingUUID.
const namespace = "AWS/Lambda"

// functionMetrics are those of one function, or of all.
type functionMetrics struct {
	invocations, errors, throttles, duration, concurrent *metric.Series
	asyncReceived, asyncDropped, asyncAge, iteratorAge   *metric.Series
	destinationFailures                                  *metric.Series
}

func newFunctionMetrics(r *metric.Registry, dimensions ...metric.Dimension) *functionMetrics {
	series := func(name string, unit metric.Unit) *metric.Series {
		return r.Series(namespace, name, unit, dimensions...)
	}
	return &functionMetrics{
		invocations: series("Invocations", metric.Count), errors: series("Errors", metric.Count),
		throttles: series("Throttles", metric.Count), duration: series("Duration", metric.Milliseconds),
		concurrent:    series("ConcurrentExecutions", metric.Count),
		asyncReceived: series("AsyncEventsReceived", metric.Count), asyncDropped: series("AsyncEventsDropped", metric.Count),
		destinationFailures: series("DestinationDeliveryFailures", metric.Count),
		asyncAge:            series("AsyncEventAge", metric.Milliseconds), iteratorAge: series("IteratorAge", metric.Milliseconds),
	}
}

// invoked records an invocation that took place. As on AWS, one that succeeded
// counts 0 errors, so that the average of Errors is the error rate.
func (m *functionMetrics) invoked(took time.Duration, failed bool) {
	errors := 0.0
	if failed {
		errors = 1
	}
	m.invocations.Add(1)
	m.errors.Add(errors)
	m.throttles.Add(0)
	m.duration.Add(ms(took))
}

// metricsOf returns the metrics of a function by its name. The caller holds mu.
func (l *Lambda) metricsOf(name string) *functionMetrics {
	m := l.metrics[name]
	if m == nil {
		m = newFunctionMetrics(l.cfg.Metrics, metric.Dimension{Name: "FunctionName", Value: name})
		l.metrics[name] = m
	}
	return m
}

// record calls fn with the metrics of a function, and with those of all.
func (l *Lambda) record(name string, fn func(*functionMetrics)) {
	l.mu.Lock()
	m := l.metricsOf(name)
	l.mu.Unlock()
	fn(m)
	fn(l.allMetrics)
}

// Counters count since the environment started. Those of records are Lambda's
// own metrics ("Types of metrics for Lambda functions", event source mapping
// metrics).
type Counters struct {
	Batches     uint64 // gathered
	Invocations uint64 // the function ran, well or not
	Throttles   uint64 // invocations refused for want of concurrency

	Polled       uint64 // PolledEventCount
	FilteredOut  uint64 // FilteredOutEventCount
	Invoked      uint64 // InvokedEventCount: records in invocations
	FailedInvoke uint64 // FailedInvokeEventCount: of those, the ones that failed
	Deleted      uint64 // DeletedEventCount: messages deleted from the queue
	Dropped      uint64 // DroppedEventCount: records given up by age or attempts
}

// eventCount is the one group of metrics that a mapping of a queue or a stream
// may ask for.
const eventCount = "EventCount"

// EventCountIn tells whether the Metrics of a MetricsConfig ask for the counts
// of events. Anything else there is an error.
func EventCountIn(metrics []string) (bool, error) {
	for _, one := range metrics {
		if one != eventCount {
			return false, invalid("MetricsConfig: the metrics %q are not supported: want %s", one, eventCount)
		}
	}
	return len(metrics) > 0, nil
}

// counters are those of a mapping at work.
type counters struct {
	batches, invocations, throttles                              atomic.Uint64
	polled, filteredOut, invoked, failedInvoke, deleted, dropped eventCounter

	measured atomic.Bool // whether events are counted in CloudWatch, too
}

// eventCounter counts events. It is part of counters.
type eventCounter struct {
	total    atomic.Uint64
	series   *metric.Series
	measured *atomic.Bool
}

func (c *eventCounter) add(n int) {
	c.total.Add(uint64(n))
	if c.measured.Load() {
		c.series.Add(float64(n))
	}
}

func (c *counters) init(r *metric.Registry, uuid string) {
	for name, counter := range map[string]*eventCounter{
		"PolledEventCount": &c.polled, "FilteredOutEventCount": &c.filteredOut, "InvokedEventCount": &c.invoked,
		"FailedInvokeEventCount": &c.failedInvoke, "DeletedEventCount": &c.deleted, "DroppedEventCount": &c.dropped,
	} {
		counter.series = r.Series(namespace, name, metric.Count, metric.Dimension{Name: "EventSourceMappingUUID", Value: uuid})
		counter.measured = &c.measured
	}
}

func (c *counters) read() Counters {
	return Counters{
		Batches: c.batches.Load(), Invocations: c.invocations.Load(), Throttles: c.throttles.Load(),
		Polled: c.polled.total.Load(), FilteredOut: c.filteredOut.total.Load(), Invoked: c.invoked.total.Load(),
		FailedInvoke: c.failedInvoke.total.Load(), Deleted: c.deleted.total.Load(), Dropped: c.dropped.total.Load(),
	}
}
