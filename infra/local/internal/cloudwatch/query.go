package cloudwatch

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// Query asks for a metric, or for what an expression makes of the others of a
// list: a MetricDataQuery of the API.
type Query struct {
	Id         string      //nolint:revive // the API's spelling
	MetricStat *MetricStat `json:",omitempty"`
	Expression string      `json:",omitempty"`
	Label      string      `json:",omitempty"`
	Period     *int        `json:",omitempty"` // of an expression, in seconds
	ReturnData *bool       `json:",omitempty"` // nil: true
}

// MetricStat asks for one statistic of a metric.
type MetricStat struct {
	Metric Metric
	Period int    // in seconds, a multiple of 60
	Stat   string // as [parseStatistic] takes it
	Unit   string `json:",omitempty"` // of the data points asked for; empty: any
}

// Metric says which metric.
type Metric struct {
	Namespace  string      `json:",omitempty"`
	MetricName string      `json:",omitempty"`
	Dimensions []Dimension `json:",omitempty"`
}

// Dimension is a name and a value that tell a metric from others of its name.
type Dimension struct{ Name, Value string }

func (m Metric) metric(unit metric.Unit) (metric.Metric, error) {
	if m.Namespace == "" {
		return metric.Metric{}, missing("Namespace")
	}
	if m.MetricName == "" {
		return metric.Metric{}, missing("MetricName")
	}
	if n := len(m.MetricName); n > maxMetricName {
		return metric.Metric{}, invalid("MetricName: want 1 to %d characters (got %d)", maxMetricName, n)
	}
	dimensions, err := checkDimensions(m.Dimensions)
	return metric.New(m.Namespace, m.MetricName, unit, dimensions...), err
}

// maxMetricName is how long the name of a metric is at most ("MetricDatum",
// Amazon CloudWatch API reference).
const maxMetricName = 255

// maxDimensions is how many dimensions a metric has ("MetricDatum", Amazon
// CloudWatch API reference).
const maxDimensions = 30

func checkDimensions(dimensions []Dimension) ([]metric.Dimension, error) {
	if len(dimensions) > maxDimensions {
		return nil, invalid("a metric has %d dimensions at most (got %d)", maxDimensions, len(dimensions))
	}
	out := make([]metric.Dimension, 0, len(dimensions))
	for _, d := range dimensions {
		switch {
		case d.Name == "" || len(d.Name) > 255:
			return nil, invalid("dimension %q: a name has 1 to 255 characters", d.Name)
		case d.Value == "" || len(d.Value) > 1024:
			return nil, invalid("dimension %q: a value has 1 to 1024 characters (got %d)", d.Name, len(d.Value))
		case slices.ContainsFunc(out, func(o metric.Dimension) bool { return o.Name == d.Name }):
			return nil, invalid("dimension %q is given twice", d.Name)
		}
		out = append(out, metric.Dimension(d))
	}
	return out, nil
}

// queries is a list of queries that was checked, in an order in which each comes
// after those that it names.
type queries []*checkedQuery

type checkedQuery struct {
	Query
	metric     metric.Metric          // if it asks for one
	statistic  statistic              // likewise
	expression *expression.Expression // if it is one
}

func (q *checkedQuery) returned() bool { return q.ReturnData == nil || *q.ReturnData }

func (q *checkedQuery) label() string {
	switch {
	case q.Label != "":
		return q.Label
	case q.MetricStat != nil:
		return q.metric.Name
	}
	return q.Id
}

// maxQueries is how many queries a call takes ("GetMetricData").
const maxQueries = 500

var queryID = regexp.MustCompile(`^[a-z][A-Za-z0-9_]{0,254}$`)

// checkQueries checks queries as far as no data is needed for that.
func checkQueries(list []Query) (queries, error) {
	if len(list) == 0 {
		return nil, missing("MetricDataQueries")
	}
	if len(list) > maxQueries {
		return nil, invalid("a list has %d queries at most (got %d)", maxQueries, len(list))
	}
	var all queries
	for _, one := range list {
		q, err := one.check()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(o *checkedQuery) bool { return o.Id == q.Id }) {
			return nil, invalid("two queries have the id %s", q.Id)
		}
		all = append(all, q)
	}
	if err := all.checkPeriods(); err != nil {
		return nil, err
	}
	sorted, err := all.sort()
	if err != nil {
		return nil, err
	}
	// Whether an expression makes sense does not depend on how many data points
	// there are: it is evaluated over none.
	_, err = sorted.evaluate(func(*checkedQuery) ([]*metric.Distribution, error) { return nil, nil }, 0)
	return sorted, err
}

func (q Query) check() (*checkedQuery, error) {
	out := &checkedQuery{Query: q}
	if !queryID.MatchString(q.Id) {
		return nil, invalid("query id %q: want letters, digits and underscores, a lowercase letter first", q.Id)
	}
	if strings.Contains(q.Label, "${") {
		return nil, invalid("query %s: dynamic labels are not supported by the local environment", q.Id)
	}
	if (q.MetricStat == nil) == (q.Expression == "") {
		return nil, combination("query %s: exactly one of MetricStat and Expression is required", q.Id)
	}
	var err error
	if q.Expression != "" {
		if strings.HasPrefix(strings.ToUpper(q.Expression), "SELECT ") {
			return nil, invalid("query %s: Metrics Insights is not supported by the local environment", q.Id)
		}
		if out.expression, err = expression.Parse(q.Expression); err != nil {
			return nil, invalid("query %s: %v", q.Id, err)
		}
		if q.Period != nil {
			return out, checkPeriod(*q.Period)
		}
		return out, nil
	}
	if q.Period != nil {
		return nil, combination("query %s: the Period of a metric is a part of its MetricStat", q.Id)
	}
	if err := checkPeriod(q.MetricStat.Period); err != nil {
		return nil, err
	}
	unit, err := checkUnit(q.MetricStat.Unit)
	if err != nil {
		return nil, err
	}
	if out.metric, err = q.MetricStat.Metric.metric(unit); err != nil {
		return nil, err
	}
	out.statistic, err = parseStatistic(q.MetricStat.Stat)
	return out, err
}

func checkPeriod(seconds int) error {
	switch {
	case seconds < 1:
		return invalid("Period: want a multiple of 60 seconds (got %d)", seconds)
	case seconds%60 != 0:
		return invalid("Period: %d is not supported by the local environment, which keeps minutes: want a multiple of 60 seconds", seconds)
	}
	return nil
}

// period is that of the list's metrics.
func (q queries) period() time.Duration {
	for _, one := range q {
		if one.MetricStat != nil {
			return time.Duration(one.MetricStat.Period) * time.Second
		}
	}
	for _, one := range q {
		if one.Period != nil {
			return time.Duration(*one.Period) * time.Second
		}
	}
	return time.Minute
}

func (q queries) checkPeriods() error {
	period := int(q.period() / time.Second)
	if !slices.ContainsFunc(q, func(one *checkedQuery) bool { return one.expression != nil }) {
		return nil
	}
	for _, one := range q {
		if one.MetricStat != nil && one.MetricStat.Period != period || one.Period != nil && *one.Period != period {
			return invalid("query %s: periods that differ are not supported with expressions by the local environment (%d s is another query's)", one.Id, period)
		}
	}
	return nil
}

// sort puts each query after those that it names.
func (q queries) sort() (queries, error) {
	var sorted queries
	done, under := map[string]bool{}, map[string]bool{}
	var visit func(one *checkedQuery) error
	visit = func(one *checkedQuery) error {
		if done[one.Id] {
			return nil
		}
		if under[one.Id] {
			return invalid("query %s depends on its own result", one.Id)
		}
		under[one.Id] = true
		if one.expression != nil {
			for _, name := range one.expression.Names() {
				if i := slices.IndexFunc(q, func(o *checkedQuery) bool { return o.Id == name }); i >= 0 {
					if err := visit(q[i]); err != nil {
						return err
					}
				}
			}
		}
		done[one.Id] = true
		sorted = append(sorted, one)
		return nil
	}
	for _, one := range q {
		if err := visit(one); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}

// result is what a query gives in each slot.
type result struct {
	query  *checkedQuery
	series []expression.Series // one, but of an expression that gives an array
	// counts is how many values a metric's data points are made of.
	counts []float64
}

// evaluate computes every query. fetch gives the slots of a query for a metric.
func (q queries) evaluate(fetch func(*checkedQuery) ([]*metric.Distribution, error), slots int) ([]result, error) {
	input := &expression.Query{Slots: slots, Period: int(q.period() / time.Second), Results: map[string]expression.Value{}}
	var out []result
	for _, one := range q {
		if one.MetricStat == nil {
			continue
		}
		distributions, err := fetch(one)
		if err != nil {
			return nil, err
		}
		r := result{query: one, counts: make([]float64, len(distributions))}
		series := make(expression.Series, len(distributions))
		for i, d := range distributions {
			series[i] = expression.Missing
			if d != nil {
				series[i], r.counts[i] = one.statistic(d), d.Count
			}
		}
		r.series = []expression.Series{series}
		out = append(out, r)
		input.Metrics = append(input.Metrics, expression.Metric{ID: one.Id, Series: series})
	}
	for _, one := range q {
		if one.expression == nil {
			continue
		}
		v, err := one.expression.Evaluate(input)
		if err != nil {
			return nil, invalid("query %s: %v", one.Id, err)
		}
		input.Results[one.Id] = v
		switch v := v.(type) {
		case expression.Series:
			out = append(out, result{query: one, series: []expression.Series{v}})
		case []expression.Series:
			out = append(out, result{query: one, series: v})
		default:
			if one.returned() {
				return nil, invalid("query %s: expression %q gives a number: what is returned must be a series", one.Id, one.Expression)
			}
		}
	}
	return out, nil
}

// fetch gives the slots of a metric's query: each is a period long, the first
// begins at start. One without data is nil.
func (d *data) fetch(q *checkedQuery, start time.Time, slots int, present states) ([]*metric.Distribution, error) {
	period := time.Duration(q.MetricStat.Period) * time.Second
	minutes, err := d.points(q.metric, start, start.Add(time.Duration(slots)*period), present)
	if err != nil {
		return nil, err
	}
	out := make([]*metric.Distribution, slots)
	for _, m := range minutes {
		i := int(m.at.Sub(start) / period)
		if m.at.Before(start) || i >= slots || q.MetricStat.Unit != "" && metric.Unit(q.MetricStat.Unit) != m.unit {
			continue
		}
		if out[i] == nil {
			out[i] = &metric.Distribution{}
		}
		out[i].Merge(m.values)
	}
	return out, nil
}

// grid is how a time is cut into slots of a period, as GetMetricData does: at
// multiples of the period.
func grid(from, to time.Time, period time.Duration) (start time.Time, slots int) {
	start = from.Truncate(period)
	return start, max(0, int((to.Sub(start)+period-1)/period))
}

// isMissing reports whether a slot has no data point.
func isMissing(x float64) bool { return math.IsNaN(x) }
