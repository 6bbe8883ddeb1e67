package cloudwatch

import (
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// The states of an alarm.
const (
	stateOK           = "OK"
	stateAlarm        = "ALARM"
	stateInsufficient = "INSUFFICIENT_DATA"
)

// AlarmConfig is what a person says of an alarm: it watches one metric (the
// fields of Metric and those beside it) or the one query of Metrics that returns
// data. The names are those of PutMetricAlarm.
type AlarmConfig struct {
	AlarmName        string
	AlarmDescription string `json:",omitempty"`

	ActionsEnabled          *bool    `json:",omitempty"` // nil: true
	OKActions               []string // ARNs of topics and functions
	AlarmActions            []string
	InsufficientDataActions []string

	Metric
	Statistic         string `json:",omitempty"` // this,
	ExtendedStatistic string `json:",omitempty"` // or this, a percentile
	Period            int    `json:",omitzero"`  // seconds, a multiple of 60
	Unit              string `json:",omitempty"`

	Metrics []Query `json:",omitempty"`

	EvaluationPeriods int  // N: 1 or more
	DatapointsToAlarm *int `json:",omitempty"` // M: 1 to N; nil: N
	Threshold         *float64
	// ComparisonOperator is GreaterThanThreshold, GreaterThanOrEqualToThreshold,
	// LessThanThreshold or LessThanOrEqualToThreshold.
	ComparisonOperator string
	TreatMissingData   string `json:",omitempty"` // missing (the default), notBreaching, breaching or ignore

	Tags []Tag `json:",omitempty"`
}

// Tag is a tag of an alarm.
type Tag struct{ Key, Value string }

// Alarm is an alarm with its state.
type Alarm struct {
	AlarmConfig
	ConfiguredAt   time.Time
	State          AlarmState
	TransitionedAt time.Time
	Pending        []action `json:",omitempty"` // what the alarm has to do yet

	watch queries // what it watches, checked
}

// AlarmState is a state of an alarm, and why it has it.
type AlarmState struct {
	Value      string
	Reason     string
	ReasonData string `json:",omitempty"` // JSON
	UpdatedAt  time.Time
}

func (c *AlarmConfig) enabled() bool { return c.ActionsEnabled == nil || *c.ActionsEnabled }

// datapoints is M.
func (c *AlarmConfig) datapoints() int {
	if c.DatapointsToAlarm != nil {
		return *c.DatapointsToAlarm
	}
	return c.EvaluationPeriods
}

func (c *AlarmConfig) treatMissing() string {
	if c.TreatMissingData == "" {
		return "missing"
	}
	return c.TreatMissingData
}

// actions are those on arriving in a state.
func (c *AlarmConfig) actions(state string) []string {
	switch state {
	case stateOK:
		return c.OKActions
	case stateAlarm:
		return c.AlarmActions
	}
	return c.InsufficientDataActions
}

// singleQuery is the id under which an alarm of one metric asks for it.
const singleQuery = "m1"

// queries are what the alarm watches, as queries.
func (c *AlarmConfig) queries() []Query {
	if c.MetricName == "" {
		return c.Metrics
	}
	stat := c.Statistic
	if stat == "" {
		stat = c.ExtendedStatistic
	}
	return []Query{{Id: singleQuery, MetricStat: &MetricStat{Metric: c.Metric, Period: c.Period, Stat: stat, Unit: c.Unit}}}
}

// Bounds of an alarm ("PutMetricAlarm").
const (
	maxAlarmName   = 255
	maxDescription = 1024
	maxActions     = 5       // for each state
	dayOfSeconds   = 86_400  // of periods of less than an hour, in all
	weekOfSeconds  = 604_800 // of others
)

var comparisons = map[string]struct {
	holds func(x, threshold float64) bool
	words string
}{
	"GreaterThanThreshold":          {func(x, t float64) bool { return x > t }, "greater than"},
	"GreaterThanOrEqualToThreshold": {func(x, t float64) bool { return x >= t }, "greater than or equal to"},
	"LessThanThreshold":             {func(x, t float64) bool { return x < t }, "less than"},
	"LessThanOrEqualToThreshold":    {func(x, t float64) bool { return x <= t }, "less than or equal to"},
}

// check returns the queries of an alarm that is sound.
func (c *AlarmConfig) check() (queries, error) {
	named := func(format string, args ...any) error {
		return invalid("alarm %q: "+format, append([]any{c.AlarmName}, args...)...)
	}
	m := c.datapoints()
	switch {
	case c.AlarmName == "" || len(c.AlarmName) > maxAlarmName:
		return nil, invalid("AlarmName: want 1 to %d characters (got %q)", maxAlarmName, c.AlarmName)
	case len(c.AlarmDescription) > maxDescription:
		return nil, named("AlarmDescription: %d characters at most (got %d)", maxDescription, len(c.AlarmDescription))
	case c.EvaluationPeriods < 1:
		return nil, named("EvaluationPeriods: want 1 or more (got %d)", c.EvaluationPeriods)
	case m < 1 || m > c.EvaluationPeriods:
		return nil, named("DatapointsToAlarm: want 1 to EvaluationPeriods, %d (got %d)", c.EvaluationPeriods, m)
	case c.Threshold == nil:
		return nil, missing("Threshold")
	case comparisons[c.ComparisonOperator].holds == nil:
		return nil, named("ComparisonOperator %q is not supported by the local environment: want GreaterThanThreshold, GreaterThanOrEqualToThreshold, LessThanThreshold or LessThanOrEqualToThreshold", c.ComparisonOperator)
	case !slices.Contains([]string{"missing", "notBreaching", "breaching", "ignore"}, c.treatMissing()):
		return nil, named("TreatMissingData: want missing, notBreaching, breaching or ignore (got %q)", c.TreatMissingData)
	}
	for _, state := range []string{stateOK, stateAlarm, stateInsufficient} {
		if n := len(c.actions(state)); n > maxActions {
			return nil, named("actions of %s: %d at most (got %d)", state, maxActions, n)
		}
		for _, arn := range c.actions(state) {
			if !isTopic(arn) && !isFunction(arn) {
				return nil, named("action %s is not supported by the local environment: want an SNS topic or a Lambda function", arn)
			}
		}
	}
	if err := checkTags(c.Tags); err != nil {
		return nil, err
	}
	if err := c.checkWatched(named); err != nil {
		return nil, err
	}
	watch, err := checkQueries(c.queries())
	if err != nil {
		return nil, err
	}
	total := int(watch.period()/time.Second) * c.EvaluationPeriods
	if total > weekOfSeconds || total > dayOfSeconds && watch.period() < time.Hour {
		return nil, named("periods times EvaluationPeriods: want at most a day, of periods of an hour or more a week (got %d s)", total)
	}
	return watch, nil
}

// Check returns what is wrong with an alarm, nil for one that is sound.
func (c *AlarmConfig) Check() error {
	_, err := c.check()
	return err
}

func (c *AlarmConfig) checkWatched(named func(string, ...any) error) error {
	if c.MetricName == "" {
		if len(c.Metrics) == 0 {
			return combination("alarm %q: exactly one of MetricName and Metrics is required", c.AlarmName)
		}
		returned := 0
		for _, q := range c.Metrics {
			if q.ReturnData == nil || *q.ReturnData {
				returned++
			}
		}
		if returned != 1 {
			return named("Metrics: one query has ReturnData true, which the alarm watches (got %d)", returned)
		}
		if c.Namespace != "" || len(c.Dimensions) > 0 || c.Period != 0 || c.Unit != "" || c.Statistic != "" || c.ExtendedStatistic != "" {
			return combination("alarm %q: with Metrics, none of Namespace, Dimensions, Period, Unit, Statistic and ExtendedStatistic", c.AlarmName)
		}
		return nil
	}
	switch {
	case len(c.Metrics) > 0:
		return combination("alarm %q: exactly one of MetricName and Metrics is required", c.AlarmName)
	case (c.Statistic == "") == (c.ExtendedStatistic == ""):
		return combination("alarm %q: exactly one of Statistic and ExtendedStatistic is required", c.AlarmName)
	case c.Statistic != "" && statistics[c.Statistic] == nil:
		return named("Statistic: want SampleCount, Sum, Average, Minimum or Maximum (got %q)", c.Statistic)
	}
	return nil
}

func isTopic(arn string) bool    { return strings.HasPrefix(arn, "arn:aws:sns:") }
func isFunction(arn string) bool { return strings.HasPrefix(arn, "arn:aws:lambda:") }

func noSuchAlarm(name string) error {
	e := awswire.Errorf("ResourceNotFound", "alarm %q does not exist", name)
	e.Status = 404
	return e
}
