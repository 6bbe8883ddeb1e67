// Package metric is what the services of the local environment record their
// figures with: what CloudWatch calls metrics. It is a leaf, so that every
// service can use it; package cloudwatch collects from it each minute.
//
// A service asks a [Registry] for a [Series] once, when the thing it measures
// comes into being, and adds to it where the thing happens:
//
//	sent := config.Metrics.Series("AWS/SQS", "NumberOfMessagesSent", metric.Count, metric.Dimension{"QueueName", name})
//	…
//	sent.AddN(1, len(messages))
//
// What is not an occurrence but a state, like the length of a queue, is a
// gauge: a function that is asked when a minute ends.
//
// A nil Registry gives nil Series, and adding to one does nothing, so that a
// service works the same unmeasured.
package metric

import (
	"slices"
	"strings"
	"sync"
)

// Unit is what a value counts, in CloudWatch's words ("MetricDatum", Amazon
// CloudWatch API reference).
type Unit string

// The units that services record with.
const (
	None         Unit = "None"
	Count        Unit = "Count"
	Bytes        Unit = "Bytes"
	Seconds      Unit = "Seconds"
	Milliseconds Unit = "Milliseconds"
	Percent      Unit = "Percent"
)

// Dimension is a name and a value that tell a metric from others of its name,
// like QueueName and orders.
type Dimension struct{ Name, Value string }

// Metric says what is measured: Namespace, Name and Dimensions together. On
// CloudWatch the same figure under fewer dimensions is another metric, and
// whoever records gives both.
type Metric struct {
	Namespace  string
	Name       string
	Dimensions []Dimension // sorted by name
	Unit       Unit        // not a part of what tells metrics apart
}

// New returns a metric, its dimensions sorted.
func New(namespace, name string, unit Unit, dimensions ...Dimension) Metric {
	sorted := slices.Clone(dimensions)
	slices.SortFunc(sorted, func(a, b Dimension) int { return strings.Compare(a.Name, b.Name) })
	return Metric{Namespace: namespace, Name: name, Dimensions: sorted, Unit: unit}
}

// Key is a text that two metrics share exactly when they are the same.
func (m Metric) Key() string {
	var b strings.Builder
	b.WriteString(m.Namespace)
	b.WriteByte(0)
	b.WriteString(m.Name)
	for _, d := range m.Dimensions {
		b.WriteByte(0)
		b.WriteString(d.Name)
		b.WriteByte(0)
		b.WriteString(d.Value)
	}
	return b.String()
}

// Registry holds the series and gauges of an environment. It is safe for
// concurrent use; the zero value is empty and ready.
type Registry struct {
	mu     sync.Mutex
	series map[string]*Series
	gauges []Gauge
}

// Gauge yields the states that a service measures, as they are now. It must not
// call the registry.
type Gauge func(yield func(Metric, float64))

// Series returns the series of a metric: the same one for the same metric,
// whichever unit it was first asked for with. It costs an allocation or two, so
// a service keeps what it got.
func (r *Registry) Series(namespace, name string, unit Unit, dimensions ...Dimension) *Series {
	if r == nil {
		return nil
	}
	m := New(namespace, name, unit, dimensions...)
	key := m.Key()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.series[key]
	if s == nil {
		s = &Series{metric: m}
		if r.series == nil {
			r.series = map[string]*Series{}
		}
		r.series[key] = s
	}
	return s
}

// Gauge has a gauge sampled from now on.
func (r *Registry) Gauge(g Gauge) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gauges = append(r.gauges, g)
}

// Collect yields what was added to each series since it was last called,
// leaving out series to which nothing was.
func (r *Registry) Collect(yield func(Metric, *Distribution)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	all := make([]*Series, 0, len(r.series))
	for _, s := range r.series {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		if d := s.take(); d != nil {
			yield(s.metric, d)
		}
	}
}

// Sample yields the present state of every gauge.
func (r *Registry) Sample(yield func(Metric, float64)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	gauges := slices.Clone(r.gauges)
	r.mu.Unlock()
	for _, g := range gauges {
		g(yield)
	}
}

// Series is where one metric is recorded. It is safe for concurrent use; a nil
// one takes values and forgets them.
type Series struct {
	metric Metric
	mu     sync.Mutex
	values *Distribution // nil: nothing since it was last collected
}

// Add records a value.
func (s *Series) Add(value float64) { s.AddN(value, 1) }

// AddN records a value that occurred n times; n of 0 or less records nothing.
func (s *Series) AddN(value float64, n int) {
	if s == nil || n <= 0 {
		return
	}
	s.mu.Lock()
	if s.values == nil {
		s.values = new(Distribution)
	}
	s.values.Add(value, float64(n))
	s.mu.Unlock()
}

func (s *Series) take() *Distribution {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.values
	s.values = nil
	return d
}
