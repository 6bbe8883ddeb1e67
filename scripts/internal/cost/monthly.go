package cost

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/penstock-dev/penstock/infra/local/meter"
	"github.com/penstock-dev/penstock/infra/manifest"
)

// monthly is what the target's templates cost by the month, whatever passes.
func monthly(in Input) ([]Month, error) {
	var alarms, dashboards, keys, polled float64
	for _, stack := range in.Templates.Stacks {
		var template struct {
			Resources map[string]struct {
				Type       string
				Properties json.RawMessage
			}
		}
		if err := json.Unmarshal(in.Templates.Templates[stack], &template); err != nil {
			return nil, fmt.Errorf("template of stack %s: %w", stack, err)
		}
		for _, r := range template.Resources {
			switch r.Type {
			case "AWS::CloudWatch::Alarm":
				var p struct {
					Metrics []struct{ MetricStat json.RawMessage }
				} // of an alarm of an expression
				if err := json.Unmarshal(r.Properties, &p); err != nil {
					return nil, fmt.Errorf("an alarm of stack %s: %w", stack, err)
				}
				looksAt := 0.0
				for _, m := range p.Metrics {
					if m.MetricStat != nil {
						looksAt++
					}
				}
				alarms += max(1, looksAt)
			case "AWS::CloudWatch::Dashboard":
				dashboards++
			case "AWS::KMS::Key":
				keys++
			case "AWS::Lambda::EventSourceMapping":
				var p struct{ StartingPosition string } // of a stream
				if err := json.Unmarshal(r.Properties, &p); err != nil {
					return nil, fmt.Errorf("a mapping of stack %s: %w", stack, err)
				}
				if p.StartingPosition == "" {
					polled++
				}
			}
		}
	}
	var secrets []string
	for _, f := range slices.Concat(in.Functions, manifest.System(in.Functions)) {
		secrets = append(secrets, f.AllSecrets()...)
	}
	slices.Sort(secrets)
	var out []Month
	add := func(name string, n, dollars float64) {
		if n > 0 {
			out = append(out, Month{name, n, n * dollars})
		}
	}
	add("queues that Lambda polls, were they always empty", polled, idlePolls*prices[meter.QueueRequest].dollars)
	add("metrics that alarms look at", alarms, alarmMetricMonth)
	add("metrics that functions write", float64(in.Usage.CustomMetrics), customMetricMonth)
	add("dashboards", dashboards, dashboardMonth)
	add("secrets", float64(len(slices.Compact(secrets))), secretMonth)
	add("keys", keys, keyMonth)
	return out, nil
}
