package cloudwatch

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch/expression"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// CloudWatch speaks three protocols: CBOR (the SDKs of today), AWS JSON 1.0 (the
// AWS CLI), and query (command lines of some years ago). These are its names in
// each.
const (
	CBORName  = "GraniteServiceVersion20100801"
	Target    = "GraniteServiceVersion20100801"
	QueryName = "monitoring"
)

// Times are the members of answers that are points in time.
var Times = []string{"Timestamp", "Timestamps", "StartTime", "EndTime", "StartDate", "EndDate",
	"AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp", "StateTransitionedTimestamp"}

// Operations are the wire operations of CloudWatch that the local environment
// serves.
func (s *Service) Operations() awswire.Operations {
	return awswire.Operations{
		"GetMetricData":       awswire.Op(s.getMetricData),
		"GetMetricStatistics": awswire.Op(s.getMetricStatistics),
		"ListMetrics":         awswire.Op(s.listMetrics),
		"PutMetricData":       awswire.Op(s.putMetricData),

		"DeleteAlarms":         awswire.Op(s.deleteAlarms),
		"DescribeAlarmHistory": awswire.Op(s.describeAlarmHistory),
		"DescribeAlarms":       awswire.Op(s.describeAlarms),
		"DisableAlarmActions":  awswire.Op(s.disableAlarmActions),
		"EnableAlarmActions":   awswire.Op(s.enableAlarmActions),
		"PutMetricAlarm":       awswire.Op(s.putMetricAlarm),
		"SetAlarmState":        awswire.Op(s.setAlarmState),

		"ListTagsForResource": awswire.Op(s.listTagsForResource),
		"TagResource":         awswire.Op(s.tagResource),
		"UntagResource":       awswire.Op(s.untagResource),
	}
}

// Query is CloudWatch's query protocol.
func (s *Service) Query() awswire.QueryService {
	return awswire.QueryService{
		Namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/", Operations: s.Operations(),
		Numbers:  []string{"Period", "EvaluationPeriods", "DatapointsToAlarm", "MaxRecords", "StorageResolution"},
		Floats:   []string{"Threshold", "Values", "Counts", "SampleCount", "Sum", "Minimum", "Maximum"},
		Booleans: []string{"ReturnData", "ActionsEnabled"},
		Times:    Times,
	}
}

type none struct{}

// authorize asks whether the caller may do an action that has no resource.
func authorize(ctx context.Context, action string) error {
	return awswire.Authorize(ctx, awswire.Access{Action: "cloudwatch:" + action, Resource: "*"})
}

// unixTime is a point in time as JSON has it: seconds since 1970.
type unixTime float64

func (t unixTime) time() time.Time { return time.UnixMilli(int64(math.Round(float64(t) * 1000))) }

func toUnix(t time.Time) unixTime { return unixTime(float64(t.UnixMilli()) / 1000) }

// maxDatapoints is how many data points one answer has, of GetMetricData and of
// GetMetricStatistics.
const (
	maxDatapoints       = 100_800
	maxStatisticsPoints = 1440
)

type getMetricDataInput struct {
	MetricDataQueries  []Query
	StartTime, EndTime *unixTime
	ScanBy             string
	NextToken          string
}

type getMetricDataOutput struct {
	MetricDataResults []metricDataResult
	Messages          []none // there are never any
}

type metricDataResult struct {
	Id         string //nolint:revive // the API's spelling
	Label      string
	Timestamps []unixTime
	Values     []float64
	StatusCode string
}

func (s *Service) getMetricData(ctx context.Context, in *getMetricDataInput) (*getMetricDataOutput, error) {
	if err := authorize(ctx, "GetMetricData"); err != nil {
		return nil, err
	}
	if err := checkRange(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	if in.NextToken != "" {
		return nil, invalid("NextToken %q is not valid: an answer has one page", in.NextToken)
	}
	newestFirst := in.ScanBy == "" || in.ScanBy == "TimestampDescending"
	if !newestFirst && in.ScanBy != "TimestampAscending" {
		return nil, invalid("ScanBy: want TimestampDescending or TimestampAscending (got %q)", in.ScanBy)
	}
	list, err := checkQueries(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	// Without expressions each query is one by itself, of a period of its own.
	parts := []queries{list}
	if !slices.ContainsFunc(list, func(q *checkedQuery) bool { return q.expression != nil }) {
		parts = nil
		for _, q := range list {
			parts = append(parts, queries{q})
		}
	}
	byID := map[string][]metricDataResult{}
	points, present := 0, s.data.states()
	for _, part := range parts {
		start, slots := grid(in.StartTime.time(), in.EndTime.time(), part.period())
		if points += slots * len(part); points > maxDatapoints {
			return nil, invalid("the answer would have more than %d data points: take a longer Period or a shorter time", maxDatapoints)
		}
		results, err := part.evaluate(func(q *checkedQuery) ([]*metric.Distribution, error) { return s.data.fetch(q, start, slots, present) }, slots)
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			for _, series := range r.series {
				if r.query.returned() {
					byID[r.query.Id] = append(byID[r.query.Id], dataResult(r.query, series, start, part.period(), newestFirst))
				}
			}
		}
	}
	out := &getMetricDataOutput{MetricDataResults: []metricDataResult{}, Messages: []none{}}
	for _, q := range in.MetricDataQueries {
		out.MetricDataResults = append(out.MetricDataResults, byID[q.Id]...)
	}
	return out, nil
}

func dataResult(q *checkedQuery, series expression.Series, start time.Time, period time.Duration, newestFirst bool) metricDataResult {
	out := metricDataResult{Id: q.Id, Label: q.label(), Timestamps: []unixTime{}, Values: []float64{}, StatusCode: "Complete"}
	for i, x := range series {
		if !isMissing(x) {
			out.Timestamps = append(out.Timestamps, toUnix(start.Add(time.Duration(i)*period)))
			out.Values = append(out.Values, x)
		}
	}
	if newestFirst {
		slices.Reverse(out.Timestamps)
		slices.Reverse(out.Values)
	}
	return out
}

func checkRange(start, end *unixTime) error {
	switch {
	case start == nil:
		return missing("StartTime")
	case end == nil:
		return missing("EndTime")
	case *start >= *end:
		return combination("The parameter StartTime must be less than the parameter EndTime.")
	}
	return nil
}

type getMetricStatisticsInput struct {
	Metric
	StartTime, EndTime *unixTime
	Period             int
	Statistics         []string
	ExtendedStatistics []string
	Unit               string
}

type getMetricStatisticsOutput struct {
	Label      string
	Datapoints []datapoint
}

type datapoint struct {
	Timestamp          unixTime
	Unit               metric.Unit
	SampleCount        *float64           `json:",omitempty"`
	Sum                *float64           `json:",omitempty"`
	Average            *float64           `json:",omitempty"`
	Minimum            *float64           `json:",omitempty"`
	Maximum            *float64           `json:",omitempty"`
	ExtendedStatistics map[string]float64 `json:",omitempty"`
}

func (s *Service) getMetricStatistics(ctx context.Context, in *getMetricStatisticsInput) (*getMetricStatisticsOutput, error) {
	if err := authorize(ctx, "GetMetricStatistics"); err != nil {
		return nil, err
	}
	if err := checkRange(in.StartTime, in.EndTime); err != nil {
		return nil, err
	}
	if err := checkPeriod(in.Period); err != nil {
		return nil, err
	}
	if len(in.Statistics)+len(in.ExtendedStatistics) == 0 {
		return nil, missing("Statistics")
	}
	for _, name := range in.Statistics {
		if statistics[name] == nil {
			return nil, invalid("Statistics: want SampleCount, Sum, Average, Minimum or Maximum (got %q)", name)
		}
	}
	extended := map[string]statistic{}
	for _, name := range in.ExtendedStatistics {
		var err error
		if extended[name], err = parseStatistic(name); err != nil {
			return nil, err
		}
	}
	if _, err := checkUnit(in.Unit); err != nil {
		return nil, err
	}
	m, err := in.metric(metric.None)
	if err != nil {
		return nil, err
	}
	period := time.Duration(in.Period) * time.Second
	start, slots := grid(in.StartTime.time(), in.EndTime.time(), period)
	if slots > maxStatisticsPoints {
		return nil, combination("You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", slots, maxStatisticsPoints)
	}
	minutes, err := s.data.points(m, start, start.Add(time.Duration(slots)*period), s.data.states())
	if err != nil {
		return nil, err
	}
	out := &getMetricStatisticsOutput{Label: in.MetricName, Datapoints: []datapoint{}}
	for i := range slots {
		from, to := start.Add(time.Duration(i)*period), start.Add(time.Duration(i+1)*period)
		whole := &metric.Distribution{}
		unit := metric.None
		for _, p := range minutes {
			if !p.at.Before(from) && p.at.Before(to) && (in.Unit == "" || metric.Unit(in.Unit) == p.unit) {
				whole.Merge(p.values)
				unit = p.unit
			}
		}
		if whole.Count == 0 {
			continue
		}
		d := datapoint{Timestamp: toUnix(from), Unit: unit}
		for name, into := range map[string]**float64{"SampleCount": &d.SampleCount, "Sum": &d.Sum, "Average": &d.Average, "Minimum": &d.Minimum, "Maximum": &d.Maximum} {
			if slices.Contains(in.Statistics, name) {
				v := statistics[name](whole)
				*into = &v
			}
		}
		for name, of := range extended {
			if d.ExtendedStatistics == nil {
				d.ExtendedStatistics = map[string]float64{}
			}
			d.ExtendedStatistics[name] = of(whole)
		}
		out.Datapoints = append(out.Datapoints, d)
	}
	return out, nil
}

// listedFor is for how long after its last data point a metric is listed
// ("ListMetrics").
const listedFor = 14 * 24 * time.Hour

const maxListed = 500

type listMetricsInput struct {
	Namespace  string
	MetricName string
	Dimensions []Dimension // one without a value: of any value
	NextToken  string
}

type listMetricsOutput struct {
	Metrics   []Metric
	NextToken string `json:",omitempty"`
}

func (s *Service) listMetrics(ctx context.Context, in *listMetricsInput) (*listMetricsOutput, error) {
	if err := authorize(ctx, "ListMetrics"); err != nil {
		return nil, err
	}
	var found []metric.Metric
	for _, m := range s.data.list(time.Now().Add(-listedFor)) {
		has := func(want Dimension) bool {
			return slices.ContainsFunc(m.Dimensions, func(d metric.Dimension) bool {
				return d.Name == want.Name && (want.Value == "" || d.Value == want.Value)
			})
		}
		if (in.Namespace == "" || m.Namespace == in.Namespace) && (in.MetricName == "" || m.Name == in.MetricName) &&
			!slices.ContainsFunc(in.Dimensions, func(d Dimension) bool { return !has(d) }) {
			found = append(found, m)
		}
	}
	page, next, err := awswire.Page(found, func(m metric.Metric) string { return m.Key() }, in.NextToken, nil, maxListed)
	if err != nil {
		return nil, err
	}
	out := &listMetricsOutput{Metrics: []Metric{}, NextToken: next}
	for _, m := range page {
		one := Metric{Namespace: m.Namespace, MetricName: m.Name}
		for _, d := range m.Dimensions {
			one.Dimensions = append(one.Dimensions, Dimension(d))
		}
		out.Metrics = append(out.Metrics, one)
	}
	return out, nil
}

// Bounds of what PutMetricData takes.
const (
	maxData      = 1000 // metrics
	maxValues    = 150  // of one
	maxPast      = 14 * 24 * time.Hour
	maxFuture    = 2 * time.Hour
	maxMagnitude = 0x1p360
)

type putMetricDataInput struct {
	Namespace  string
	MetricData []metricDatum
}

type metricDatum struct {
	MetricName        string
	Dimensions        []Dimension
	Timestamp         *unixTime
	Unit              string
	Value             *value
	Values, Counts    []float64
	StatisticValues   *statisticSet
	StorageResolution *int
}

// value is the value of a metric. The query protocol, in which a dimension's Value
// is a text, has it as a text.
type value float64

// UnmarshalJSON takes a number, or one in quotes.
func (v *value) UnmarshalJSON(text []byte) error {
	x, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	*v = value(x)
	return err
}

type statisticSet struct{ SampleCount, Sum, Minimum, Maximum float64 }

func (s *Service) putMetricData(ctx context.Context, in *putMetricDataInput) (*none, error) {
	err := awswire.Authorize(ctx, awswire.Access{Action: "cloudwatch:PutMetricData", Resource: "*",
		Keys: func(key string) []string {
			if key == "cloudwatch:namespace" {
				return []string{in.Namespace}
			}
			return nil
		}})
	if err != nil {
		return nil, err
	}
	switch {
	case in.Namespace == "":
		return nil, missing("Namespace")
	case len(in.Namespace) > 255 || strings.HasPrefix(in.Namespace, ":") || strings.HasPrefix(in.Namespace, "AWS/"):
		return nil, invalid("The value %s for parameter Namespace is invalid.", in.Namespace)
	case len(in.MetricData) == 0:
		return nil, missing("MetricData")
	case len(in.MetricData) > maxData:
		return nil, invalid("The collection MetricData must not have a size greater than %d.", maxData)
	}
	now := time.Now()
	values := make([]timed, len(in.MetricData))
	for i, datum := range in.MetricData {
		if values[i], err = datum.read(in.Namespace, now); err != nil {
			return nil, err
		}
	}
	return &none{}, s.data.put(values)
}

func (m metricDatum) read(namespace string, now time.Time) (timed, error) {
	unit, err := checkUnit(m.Unit)
	if err != nil {
		return timed{}, err
	}
	out := timed{at: now}
	if out.metric, err = (Metric{namespace, m.MetricName, m.Dimensions}).metric(unit); err != nil {
		return timed{}, err
	}
	if m.StorageResolution != nil && *m.StorageResolution != 60 {
		return timed{}, invalid("metric %s: StorageResolution %d is not supported by the local environment, which keeps minutes: want 60", m.MetricName, *m.StorageResolution)
	}
	if m.Timestamp != nil {
		out.at = m.Timestamp.time()
		if out.at.Before(now.Add(-maxPast)) || out.at.After(now.Add(maxFuture)) {
			return timed{}, invalid("metric %s: Timestamp %s: want one within the last two weeks and the next two hours", m.MetricName, out.at.UTC().Format(time.RFC3339))
		}
	}
	given := 0
	for _, is := range []bool{m.Value != nil, len(m.Values) > 0, m.StatisticValues != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return timed{}, combination("metric %s: exactly one of Value, Values and StatisticValues is required", m.MetricName)
	}
	check := func(v float64) error {
		if math.IsNaN(v) || math.Abs(v) > maxMagnitude {
			return invalid("metric %s: value %v: want one from -2^360 to 2^360", m.MetricName, v)
		}
		return nil
	}
	switch {
	case m.Value != nil:
		v := float64(*m.Value)
		out.values.Add(v, 1)
		return out, check(v)
	case m.StatisticValues != nil:
		v := m.StatisticValues
		if v.SampleCount <= 0 || v.Minimum > v.Maximum {
			return timed{}, invalid("metric %s: StatisticValues: want a SampleCount above 0 and a Minimum not above Maximum", m.MetricName)
		}
		out.values.AddSet(v.SampleCount, v.Sum, v.Minimum, v.Maximum)
		return out, cmp.Or(check(v.Sum), check(v.Minimum), check(v.Maximum))
	}
	if len(m.Values) > maxValues || len(m.Counts) > 0 && len(m.Counts) != len(m.Values) {
		return timed{}, invalid("metric %s: want at most %d Values, and as many Counts or none (got %d and %d)", m.MetricName, maxValues, len(m.Values), len(m.Counts))
	}
	for i, v := range m.Values {
		n := 1.0
		if len(m.Counts) > 0 {
			n = m.Counts[i]
		}
		if n <= 0 {
			return timed{}, invalid("metric %s: Counts: want numbers above 0 (got %v)", m.MetricName, n)
		}
		if err := check(v); err != nil {
			return timed{}, err
		}
		out.values.Add(v, n)
	}
	return out, nil
}
