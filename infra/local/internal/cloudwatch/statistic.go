package cloudwatch

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// statistic is a figure of a distribution ("CloudWatch statistics definitions").
type statistic func(*metric.Distribution) float64

var statistics = map[string]statistic{
	"SampleCount": func(d *metric.Distribution) float64 { return d.Count },
	"Sum":         func(d *metric.Distribution) float64 { return d.Sum },
	"Average":     func(d *metric.Distribution) float64 { return d.Sum / d.Count },
	"Minimum":     func(d *metric.Distribution) float64 { return d.Min },
	"Maximum":     func(d *metric.Distribution) float64 { return d.Max },
}

// percentile is p0 to p100, with decimals.
var percentile = regexp.MustCompile(`^p(\d{1,2}(?:\.\d{1,10})?|100)$`)

func parseStatistic(name string) (statistic, error) {
	if s, ok := statistics[name]; ok {
		return s, nil
	}
	if found := percentile.FindStringSubmatch(name); found != nil {
		p, err := strconv.ParseFloat(found[1], 64)
		return func(d *metric.Distribution) float64 { return d.Percentile(p) }, err
	}
	return nil, invalid("statistic %q is not supported by the local environment: want SampleCount, Sum, Average, Minimum, Maximum or a percentile like p99", name)
}

// units are those that CloudWatch takes ("MetricDatum", Unit).
var units = []metric.Unit{"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes",
	"Bits", "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second", "Megabytes/Second",
	"Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second",
	"Count/Second", "None"}

// checkUnit returns the unit that a request names; none is None.
func checkUnit(name string) (metric.Unit, error) {
	switch {
	case name == "":
		return metric.None, nil
	case !slices.Contains(units, metric.Unit(name)):
		return "", invalid("unit %q: want one of %v", name, units)
	}
	return metric.Unit(name), nil
}

func invalid(format string, args ...any) *awswire.Error {
	e := awswire.Errorf("InvalidParameterValueException", format, args...)
	e.QueryCode = "InvalidParameterValue"
	return e
}

func missing(parameter string) *awswire.Error {
	e := awswire.Errorf("MissingRequiredParameterException", "The parameter %s is required.", parameter)
	e.QueryCode = "MissingParameter"
	return e
}

func combination(format string, args ...any) *awswire.Error {
	e := awswire.Errorf("InvalidParameterCombinationException", format, args...)
	e.QueryCode = "InvalidParameterCombination"
	return e
}
