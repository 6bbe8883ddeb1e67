package eventbridge

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

func TestCloudWatchIsToldWhatBecomesOfEvents(t *testing.T) {
	q := &queues{refuse: map[string]error{arn + "missing": missing, arn + "denied": denied}}
	s, st := newService(t, t.TempDir(), q)
	defer st.Close()
	var registry metric.Registry
	s.figures = newFigures(&registry)
	if err := s.EnsureBus(Bus{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	mustRule(t, s, Rule{Bus: "shop", Name: "a", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "q"}, {ID: "2", ARN: arn + "missing", DeadLetterARN: arn + "dlq"}}})
	mustRule(t, s, Rule{Bus: "shop", Name: "b", Pattern: everything, Targets: []Target{{ID: "1", ARN: arn + "missing", DeadLetterARN: arn + "denied"}}})
	mustRule(t, s, Rule{Name: "own", Pattern: json.RawMessage(`{"source":["aws.cloudwatch"]}`), Targets: []Target{{ID: "1", ARN: arn + "q"}}})
	if _, err := s.Put(t.Context(), []Entry{
		{EventBusName: "shop", Source: "savings", DetailType: "W", Detail: `{}`},
		{EventBusName: "shop", Source: "nobody", DetailType: "W", Detail: `{}`},
		{EventBusName: "shop", Source: "savings", DetailType: "W", Detail: `[`},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutFromService("aws.cloudwatch", "CloudWatch Alarm State Change", []string{"arn:a"}, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	registry.Collect(func(m metric.Metric, d *metric.Distribution) {
		key := m.Name
		for _, dimension := range m.Dimensions {
			key += " " + dimension.Name + "=" + dimension.Value
		}
		if m.Namespace == "AWS/Events" {
			got[key] = d.Sum
		}
	})
	want := map[string]float64{
		"PutEventsApproximateCallCount": 1, "PutEventsEntriesCount": 3, "PutEventsFailedEntriesCount": 1,
		"MatchedEvents EventBusName=shop": 1, "TriggeredRules EventBusName=shop": 2,
		"MatchedEvents EventBusName=shop RuleName=a": 1, "TriggeredRules EventBusName=shop RuleName=a": 1,
		"Invocations EventBusName=shop RuleName=a": 2, "FailedInvocations EventBusName=shop RuleName=a": 1, "InvocationsSentToDlq EventBusName=shop RuleName=a": 1,
		"MatchedEvents EventBusName=shop RuleName=b": 1, "TriggeredRules EventBusName=shop RuleName=b": 1,
		"Invocations EventBusName=shop RuleName=b": 1, "FailedInvocations EventBusName=shop RuleName=b": 1, "InvocationsFailedToBeSentToDlq EventBusName=shop RuleName=b": 1,
		"MatchedEvents EventBusName=default": 1, "TriggeredRules EventBusName=default": 1,
		"MatchedEvents RuleName=own": 1, "TriggeredRules RuleName=own": 1, "Invocations RuleName=own": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
