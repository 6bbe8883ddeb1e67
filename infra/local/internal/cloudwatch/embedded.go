package cloudwatch

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// Bounds of the embedded metric format ("Specification: Embedded metric format",
// Amazon CloudWatch User Guide).
const (
	maxEmbeddedMetrics = 100 // of one directive
	maxEmbeddedValues  = 100 // of one metric
)

// Embedded takes the metrics out of a line that a function has printed into a log
// group, if the line is in the embedded metric format. One that claims to be and
// is not gives no metrics, as on AWS, and a warning.
func (s *Service) Embedded(group, line string) {
	if !strings.HasPrefix(line, "{") || !strings.Contains(line, `_aws"`) {
		return
	}
	values, err := parseEmbedded(line, time.Now())
	if err != nil {
		s.config.Logger.Warn("a line of a log gives no metrics", "group", group, "error", err)
		return
	}
	s.data.note(values)
}

type embedded struct {
	Timestamp         *int64 // ms since 1970
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct {
			Name              string
			Unit              string
			StorageResolution int
		}
	}
}

func parseEmbedded(line string, now time.Time) ([]timed, error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal([]byte(line), &members); err != nil {
		return nil, err
	}
	if members["_aws"] == nil {
		return nil, nil // it is somewhere deeper
	}
	var meta embedded
	if err := json.Unmarshal(members["_aws"], &meta); err != nil {
		return nil, fmt.Errorf("_aws: %w", err)
	}
	if meta.Timestamp == nil {
		return nil, fmt.Errorf("_aws: Timestamp is missing")
	}
	at := time.UnixMilli(*meta.Timestamp)
	if at.Before(now.Add(-maxPast)) || at.After(now.Add(maxFuture)) {
		return nil, fmt.Errorf("_aws: Timestamp %s: want one within the last two weeks and the next two hours", at.UTC().Format(time.RFC3339))
	}
	var out []timed
	for _, directive := range meta.CloudWatchMetrics {
		if directive.Namespace == "" {
			return nil, fmt.Errorf("_aws: Namespace is missing")
		}
		if len(directive.Metrics) > maxEmbeddedMetrics {
			return nil, fmt.Errorf("_aws: a directive has %d metrics at most (got %d)", maxEmbeddedMetrics, len(directive.Metrics))
		}
		for _, m := range directive.Metrics {
			values, err := embeddedValues(members, m.Name)
			if err != nil {
				return nil, err
			}
			unit, err := checkUnit(m.Unit)
			if err != nil {
				return nil, fmt.Errorf("metric %s: %w", m.Name, err)
			}
			for _, set := range directive.Dimensions {
				one := timed{at: at}
				var dimensions []Dimension
				for _, name := range set {
					var value string
					if err := json.Unmarshal(members[name], &value); err != nil {
						return nil, fmt.Errorf("dimension %s has no text as its value", name)
					}
					dimensions = append(dimensions, Dimension{name, value})
				}
				if one.metric, err = (Metric{directive.Namespace, m.Name, dimensions}).metric(unit); err != nil {
					return nil, err
				}
				one.values.Merge(values)
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// embeddedValues reads a metric's value, or values.
func embeddedValues(members map[string]jsontext.Value, name string) (*metric.Distribution, error) {
	var values []float64
	switch text := members[name]; text.Kind() {
	case '0':
		values = []float64{0}
		if err := json.Unmarshal(text, &values[0]); err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
	case '[':
		if err := json.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
	default:
		return nil, fmt.Errorf("metric %s has no number, or list of numbers, as its value", name)
	}
	if len(values) > maxEmbeddedValues {
		return nil, fmt.Errorf("metric %s: %d values at most (got %d)", name, maxEmbeddedValues, len(values))
	}
	out := &metric.Distribution{}
	for _, v := range values {
		out.Add(v, 1)
	}
	return out, nil
}
