package stacks

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// A dashboard has 500 widgets at most ("CloudWatch service quotas"); a
// subscription takes five.
const dashboardSubscriptions = 90

// A line is a metric on a widget.
type line struct {
	metric
	label, stat, color string
}

// The colours of lines that mean the same everywhere.
const (
	red   = "#d62728"
	green = "#2ca02c"
	blue  = "#1f77b4"
	grey  = "#7f7f7f"
)

// A board gathers widgets, 24 units to the row ("Dashboard body structure and
// syntax").
type board struct {
	Widgets []map[string]any `json:"widgets"`
	x, y    int
}

const widgetHeight = 5

func (b *board) text(markdown string) {
	b.Widgets = append(b.Widgets, map[string]any{
		"type": "text", "x": 0, "y": b.y, "width": 24, "height": 1,
		"properties": map[string]any{"markdown": markdown, "background": "transparent"},
	})
	b.y, b.x = b.y+1, 0
}

// graph adds a widget of six units, four of which make a row.
func (b *board) graph(title string, lines ...line) {
	var metrics []any
	for _, l := range lines {
		entry := []any{l.namespace, l.name}
		for _, d := range l.dimensions {
			entry = append(entry, d.name, d.value)
		}
		metrics = append(metrics, append(entry, map[string]any{"label": l.label, "stat": l.stat, "color": l.color}))
	}
	b.Widgets = append(b.Widgets, map[string]any{
		"type": "metric", "x": b.x, "y": b.y, "width": 6, "height": widgetHeight,
		"properties": map[string]any{
			"title": title, "metrics": metrics, "period": 60, "region": *awscdk.Aws_REGION(), "view": "timeSeries", "stacked": false,
			"yAxis": map[string]any{"left": map[string]any{"min": 0}},
		},
	})
	if b.x += 6; b.x == 24 {
		b.x, b.y = 0, b.y+widgetHeight
	}
}

// dashboards are the bodies of the environment's, the first of which begins with
// what all share. What is red should be at zero.
func dashboards(p *project, functions []manifest.Function) []string {
	n := p.names
	first := &board{}
	first.text(fmt.Sprintf("# %s\nRed is bad. `penstock subscriptions list --env %s` says what is stopped, and why.", n.Bus(), n.Env))
	relay := n.Function(names.OutboxRelay)
	first.graph("Bus: events",
		line{metric{"AWS/Events", "MatchedEvents", []dimension{{"EventBusName", n.Bus()}}}, "matched by a rule", "Sum", blue},
		line{metric{"AWS/Events", "TriggeredRules", []dimension{{"EventBusName", n.Bus()}}}, "times a rule matched", "Sum", grey})
	first.graph("Outbox: events",
		line{programMetric(n, "OutboxEventsSent"), "sent", "Sum", green},
		line{programMetric(n, "OutboxBacklog"), "waiting", "Maximum", blue},
		line{programMetric(n, "OutboxEventsFailed"), "failed, sent again", "Sum", grey},
		line{programMetric(n, "OutboxEventsSetAside"), "set aside", "Maximum", red})
	first.graph("Outbox: oldest event, s", line{programMetric(n, "OutboxOldestAge"), "age", "Maximum", blue})
	first.graph("Penstock's own programs: errors",
		line{functionMetric("Errors", relay), "relay", "Sum", red},
		line{functionMetric("Errors", n.Function(names.Breaker)), "breaker", "Sum", grey})

	boards := []*board{first}
	on := 0
	for _, f := range functions {
		for _, s := range f.Subscriptions {
			if on == dashboardSubscriptions {
				boards, on = append(boards, &board{}), 0
			}
			boards[len(boards)-1].subscription(n, f.Name, &s)
			on++
		}
	}
	var bodies []string
	for _, b := range boards {
		text, err := json.Marshal(b)
		if err != nil {
			panic(err)
		}
		bodies = append(bodies, string(text))
	}
	return slices.Clip(bodies)
}

// subscription adds a row: what comes in and goes out, what waits, how old the
// oldest is, and what went wrong.
func (b *board) subscription(n names.Names, fn string, s *manifest.Subscription) {
	queue := n.Queue(fn, s.Name)
	outcome := func(name string) metric {
		return metric{"Penstock", name, []dimension{{"app", n.App}, {"env", n.Env}, {"function", fn}, {"subscription", s.Name}}}
	}
	b.text(fmt.Sprintf("## %s/%s\n%s", fn, s.Name, s.Event))
	b.graph("Flow: events",
		line{queueMetric("NumberOfMessagesSent", queue), "in", "Sum", blue},
		line{queueMetric("NumberOfMessagesDeleted", queue), "out", "Sum", green})
	b.graph("Backlog: events",
		line{queueMetric("ApproximateNumberOfMessagesVisible", queue), "waiting", "Maximum", blue},
		line{queueMetric("ApproximateNumberOfMessagesNotVisible", queue), "with the function, or to be retried", "Maximum", grey})
	b.graph("Oldest event, s", line{queueMetric("ApproximateAgeOfOldestMessage", queue), "age", "Maximum", blue})
	b.graph("Failures: events",
		line{outcome("failed"), "failed", "Sum", "#ff7f0e"},
		line{outcome("permanent"), "failed for good", "Sum", red},
		line{queueMetric("ApproximateNumberOfMessagesVisible", n.DLQ(fn, s.Name)), "in the DLQ", "Maximum", red},
		line{queueMetric("ApproximateNumberOfMessagesVisible", n.RuleDLQ(fn, s.Name)), "in the rule's DLQ", "Maximum", grey})
}
