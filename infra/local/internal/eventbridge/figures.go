package eventbridge

import (
	"strings"
	"sync"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// figures are what CloudWatch is told ("Monitoring Amazon EventBridge"): of all
// buses here, and of each bus and rule.
type figures struct {
	registry *metric.Registry

	calls, entries, failedEntries *metric.Series

	buses sync.Map // *busFigures by name
	rules sync.Map // *ruleFigures by ARN
}

type busFigures struct{ matched, triggered *metric.Series }

type ruleFigures struct {
	matched, triggered, invocations, failed, retried, sentToDLQ, notSentToDLQ *metric.Series
}

func newFigures(r *metric.Registry) *figures {
	f := &figures{registry: r}
	f.calls = f.series("PutEventsApproximateCallCount")
	f.entries = f.series("PutEventsEntriesCount")
	f.failedEntries = f.series("PutEventsFailedEntriesCount")
	return f
}

func (f *figures) series(name string, dimensions ...metric.Dimension) *metric.Series {
	return f.registry.Series("AWS/Events", name, metric.Count, dimensions...)
}

func (f *figures) bus(name string) *busFigures {
	if known, ok := f.buses.Load(name); ok {
		return known.(*busFigures)
	}
	bus := metric.Dimension{Name: "EventBusName", Value: name}
	known, _ := f.buses.LoadOrStore(name, &busFigures{f.series("MatchedEvents", bus), f.series("TriggeredRules", bus)})
	return known.(*busFigures)
}

// rule returns the figures of a rule by its ARN, since a delivery may outlive it.
func (f *figures) rule(arn string) *ruleFigures {
	if known, ok := f.rules.Load(arn); ok {
		return known.(*ruleFigures)
	}
	// The default bus is in neither the ARN of a rule nor its dimensions.
	_, name, _ := strings.Cut(arn, ":rule/")
	var dimensions []metric.Dimension
	if bus, rest, custom := strings.Cut(name, "/"); custom {
		name = rest
		dimensions = append(dimensions, metric.Dimension{Name: "EventBusName", Value: bus})
	}
	dimensions = append(dimensions, metric.Dimension{Name: "RuleName", Value: name})
	known, _ := f.rules.LoadOrStore(arn, &ruleFigures{
		matched:      f.series("MatchedEvents", dimensions...),
		triggered:    f.series("TriggeredRules", dimensions...),
		invocations:  f.series("Invocations", dimensions...),
		failed:       f.series("FailedInvocations", dimensions...),
		retried:      f.series("RetryInvocationAttempts", dimensions...),
		sentToDLQ:    f.series("InvocationsSentToDlq", dimensions...),
		notSentToDLQ: f.series("InvocationsFailedToBeSentToDlq", dimensions...),
	})
	return known.(*ruleFigures)
}

// count counts the rules that an event has matched.
func (f *figures) count(bus string, matched []*rule) {
	if len(matched) == 0 {
		return
	}
	b := f.bus(bus)
	b.matched.Add(1)
	b.triggered.AddN(1, len(matched))
	for _, r := range matched {
		one := f.rule(r.arn)
		one.matched.Add(1)
		one.triggered.Add(1)
	}
}
