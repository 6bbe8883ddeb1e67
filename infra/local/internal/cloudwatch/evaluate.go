package cloudwatch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// extraPeriods is how many periods more than EvaluationPeriods an evaluation
// looks at, to have data points in place of those that are missing: the evaluation
// range in the examples of "Configuring how CloudWatch alarms treat missing data".
// AWS does not tell how it grows with the period.
const extraPeriods = 2

// sample is the data point of one period, as an alarm sees it.
type sample struct {
	at      time.Time // when the period began
	value   float64   // NaN: missing
	count   float64   // of a metric: of how many values; else 0
	missing bool
}

// samples are the data points of the alarm's evaluation range that ends at end,
// the newest first. Periods slide with the minutes ("Alarm evaluation", Amazon
// CloudWatch User Guide).
func (a *Alarm) samples(d *data, end time.Time) ([]sample, error) {
	period := a.watch.period()
	slots := a.EvaluationPeriods + extraPeriods
	start := end.Add(-time.Duration(slots) * period)
	present := d.states()
	results, err := a.watch.evaluate(func(q *checkedQuery) ([]*metric.Distribution, error) { return d.fetch(q, start, slots, present) }, slots)
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		if !r.query.returned() {
			continue
		}
		if len(r.series) != 1 {
			return nil, fmt.Errorf("expression %q gives %d series, and an alarm watches one", r.query.Expression, len(r.series))
		}
		out := make([]sample, slots)
		for i := range out {
			from := slots - 1 - i
			out[i] = sample{at: start.Add(time.Duration(from) * period), value: r.series[0][from]}
			out[i].missing = isMissing(out[i].value)
			if r.counts != nil {
				out[i].count = r.counts[from]
			}
		}
		return out, nil
	}
	return nil, fmt.Errorf("no query returns data")
}

// verdict is what an evaluation says.
type verdict struct {
	state     string
	reason    string
	evaluated []sample // what it rests on, the newest first
}

// evaluate decides an alarm's state by the samples of its evaluation range, the
// newest first ("Configuring how CloudWatch alarms treat missing data"):
//
//   - With as many data points as EvaluationPeriods (N) or more, the newest N
//     decide: ALARM if DatapointsToAlarm (M) of them breach.
//   - With fewer, missing ones are filled in up to N as TreatMissingData says.
//   - Without any, missing means INSUFFICIENT_DATA, and ignore the state as it is.
//   - Data points that all breach, the oldest of which is M periods old or older,
//     are an alarm even where missing ones count for nothing (premature alarm
//     state). With ignore fewer than M of them leave the state as it is.
func (a *Alarm) evaluate(samples []sample) verdict {
	n, m, treat := a.EvaluationPeriods, a.datapoints(), a.treatMissing()
	breaches := func(s sample) bool { return comparisons[a.ComparisonOperator].holds(s.value, *a.Threshold) }
	var there, breaching, sound []sample
	oldest := 0 // how many periods old the oldest data point is
	for i, s := range samples {
		if s.missing || len(there) == n {
			continue
		}
		there = append(there, s)
		oldest = i + 1
		if breaches(s) {
			breaching = append(breaching, s)
		} else {
			sound = append(sound, s)
		}
	}
	filled := n - len(there)
	keep := verdict{a.State.Value, a.State.Reason, there}
	switch {
	case len(there) == 0 && treat == "missing":
		return verdict{stateInsufficient, "Insufficient Data: " + plural(n, "datapoint was", "datapoints were") + " unknown.", nil}
	case len(there) == 0 && treat == "ignore":
		return keep
	case len(there) == 0:
		state, as := stateOK, "NonBreaching"
		if treat == "breaching" {
			state, as = stateAlarm, "Breaching"
		}
		return verdict{state, fmt.Sprintf("Threshold Crossed: no datapoints were received for %s and %s treated as [%s].",
			plural(n, "period", "periods"), plural(n, "missing datapoint was", "missing datapoints were"), as), nil}
	case filled > 0 && treat == "breaching":
		if len(breaching)+filled >= m {
			return verdict{stateAlarm, a.crossed(breaching, filled, true), there}
		}
	case filled > 0 && treat == "ignore" && len(sound) == 0 && len(breaching) < m:
		return keep
	case filled > 0 && treat == "missing" && len(sound) == 0 && oldest >= m:
		return verdict{stateAlarm, a.crossed(breaching, 0, true), there}
	}
	if len(breaching) >= m {
		return verdict{stateAlarm, a.crossed(breaching, 0, true), there}
	}
	return verdict{stateOK, a.crossed(sound, 0, false), there}
}

// crossed says in AWS's words how many data points are on which side of the
// threshold.
func (a *Alarm) crossed(points []sample, filled int, breaching bool) string {
	var list []string
	for _, s := range points {
		list = append(list, fmt.Sprintf("%s (%s)", decimal(s.value), s.at.UTC().Format("02/01/06 15:04:05")))
	}
	verb, not, transition, least := "were", "", "OK -> ALARM", a.datapoints()
	if len(points) == 1 {
		verb = "was"
	}
	if !breaching {
		not, transition, least = "not ", "ALARM -> OK", a.EvaluationPeriods-a.datapoints()+1
	}
	also := ""
	if filled > 0 {
		also = fmt.Sprintf(" and %s treated as [Breaching]", plural(filled, "missing datapoint was", "missing datapoints were"))
	}
	return fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints [%s] %s %s%s the threshold (%s)%s (minimum %s for %s transition).",
		len(points), a.EvaluationPeriods, strings.Join(list, ", "), verb, not, comparisons[a.ComparisonOperator].words, decimal(*a.Threshold), also,
		plural(least, "datapoint", "datapoints"), transition)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// decimal writes a number as CloudWatch does, with at least one decimal.
type decimal float64

func (d decimal) String() string {
	text := strconv.FormatFloat(float64(d), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// MarshalJSON writes the number as String does.
func (d decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// eventTime is how CloudWatch writes times in documents.
const eventTime = "2006-01-02T15:04:05.000-0700"

func stamp(t time.Time) string { return t.UTC().Format(eventTime) }

// reasonData tells what a state rests on, in JSON.
func (a *Alarm) reasonData(evaluated []sample, now time.Time) string {
	if len(evaluated) == 0 {
		return ""
	}
	type point struct {
		Timestamp   string   `json:"timestamp"`
		SampleCount *decimal `json:"sampleCount,omitempty"`
		Value       decimal  `json:"value"`
	}
	var out struct {
		Version             string    `json:"version"`
		QueryDate           string    `json:"queryDate"`
		StartDate           string    `json:"startDate"`
		Statistic           string    `json:"statistic,omitempty"`
		Period              int       `json:"period"`
		RecentDatapoints    []decimal `json:"recentDatapoints"`
		Threshold           decimal   `json:"threshold"`
		EvaluatedDatapoints []point   `json:"evaluatedDatapoints"`
	}
	out.Version = "1.0"
	out.QueryDate = stamp(now)
	out.StartDate = stamp(evaluated[len(evaluated)-1].at)
	if out.Statistic = a.Statistic; out.Statistic == "" {
		out.Statistic = a.ExtendedStatistic
	}
	out.Period = int(a.watch.period() / time.Second)
	out.Threshold = decimal(*a.Threshold)
	for i, s := range evaluated {
		p := point{Timestamp: stamp(s.at), Value: decimal(s.value)}
		if s.count > 0 {
			count := decimal(s.count)
			p.SampleCount = &count
		}
		out.EvaluatedDatapoints = append(out.EvaluatedDatapoints, p)
		out.RecentDatapoints = append(out.RecentDatapoints, decimal(evaluated[len(evaluated)-1-i].value))
	}
	text, err := json.Marshal(out)
	if err != nil {
		return "" // it has nothing that JSON lacks
	}
	return string(text)
}
