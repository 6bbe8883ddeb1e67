package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops/stopstest"
)

// services stand in for AWS, as far as these tests go; the rest is tested against
// the local environment.
type services struct {
	stopstest.Mapping
	stopstest.Table
	alarmed cwtypes.MetricAlarm
	down    bool // the topic
	mails   []string
	ids     []string // of what was published
}

type (
	fakeMappings struct {
		*stopstest.Mapping
		probed
	}
	// probed is what only a probe and an alarm that goes off use of Lambda.
	probed interface {
		GetEventSourceMapping(context.Context, *awslambda.GetEventSourceMappingInput, ...func(*awslambda.Options)) (*awslambda.GetEventSourceMappingOutput, error)
		Invoke(context.Context, *awslambda.InvokeInput, ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error)
	}
	fakeAlarms struct {
		alarms
		s *services
	}
	fakeTopics struct{ s *services }
	fakeBus    struct{ s *services }
)

func (a fakeAlarms) DescribeAlarms(context.Context, *cloudwatch.DescribeAlarmsInput, ...func(*cloudwatch.Options)) (*cloudwatch.DescribeAlarmsOutput, error) {
	return &cloudwatch.DescribeAlarmsOutput{MetricAlarms: []cwtypes.MetricAlarm{a.s.alarmed}}, nil
}

func (t fakeTopics) Publish(_ context.Context, in *sns.PublishInput, _ ...func(*sns.Options)) (*sns.PublishOutput, error) {
	if t.s.down {
		return nil, errors.New("the topic is down")
	}
	t.s.mails = append(t.s.mails, *in.Subject+"\n"+*in.Message)
	return &sns.PublishOutput{}, nil
}

func (b fakeBus) PutEvents(_ context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		var detail struct{ Metadata struct{ ID string } }
		if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
			return nil, err
		}
		b.s.ids = append(b.s.ids, *e.DetailType+" "+detail.Metadata.ID)
		out.Entries = append(out.Entries, ebtypes.PutEventsResultEntry{EventId: aws.String("x")})
	}
	return out, nil
}

func start(t *testing.T) (*breaker, *services) {
	t.Helper()
	s := &services{Mapping: stopstest.Mapping{State: "Enabled"}}
	settings := map[string]string{"PENSTOCK_ENV": "dev", "PENSTOCK_BUS": "shop-dev", "PENSTOCK_STATE_TABLE": "state", "PENSTOCK_TOPIC": "arn:aws:sns:eu-west-1:000000000000:t"}
	b, err := newBreaker(clients{
		lambda: fakeMappings{Mapping: &s.Mapping}, items: &s.Table, alarms: fakeAlarms{s: s}, topics: fakeTopics{s}, bus: fakeBus{s},
	}, func(name string) string { return settings[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

var sub = stops.Subscription{Function: "fee", Name: "withdrawals", Event: "savings/SAVINGS_WITHDRAWAL", Lambda: "shop-dev-fee", Queue: "arn:aws:sqs:eu-west-1:000000000000:shop-dev-fee-withdrawals", Alarm: "a"}

func watched(t *testing.T, b *breaker) error {
	t.Helper()
	return b.handle(t.Context(), input{DetailType: "Scheduled Event"})
}

func TestWhatCouldNotBeToldIsToldTheNextMinuteByTheSameEvent(t *testing.T) {
	b, s := start(t)
	s.down = true
	if _, err := b.stops.Stop(t.Context(), sub, stops.Cause{By: penstock.ActorPerson, Person: "ann", Reason: "the bank is closed"}); err != nil {
		t.Fatal(err)
	}
	if err := watched(t, b); err == nil || !strings.Contains(err.Error(), "fee/withdrawals") || !strings.Contains(err.Error(), "the topic is down") {
		t.Errorf("got %v", err)
	}
	s.down = false
	for range 3 {
		if err := watched(t, b); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.mails) != 1 || len(s.ids) != 2 || s.ids[0] != s.ids[1] || !strings.HasPrefix(s.ids[0], "SUBSCRIPTION_STOPPED ") {
		t.Errorf("told %q, published %q", s.mails, s.ids)
	}
	for _, want := range []string{"Stopped: fee/withdrawals in dev\n", "the bank is closed", "By: ann", "penstock subscriptions enable fee/withdrawals --env dev"} {
		if !strings.Contains(s.mails[0], want) {
			t.Errorf("the message lacks %q: %s", want, s.mails[0])
		}
	}
}

func TestAStopHoldsWhateverADeploymentDoesToTheMapping(t *testing.T) {
	b, s := start(t)
	if _, err := b.stops.Stop(t.Context(), sub, stops.Cause{By: penstock.ActorBreaker, Reason: "it fails"}); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"Enabled", "Updating", ""} { // "": the mapping is gone
		s.State = state
		if err := watched(t, b); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "Disabled"}[state != ""]; s.State != want {
			t.Errorf("after %q the mapping is %q", state, s.State)
		}
	}
}

func TestAnAlarmThatIsOverStopsNothing(t *testing.T) {
	b, s := start(t)
	s.alarmed = cwtypes.MetricAlarm{StateValue: cwtypes.StateValueOk}
	var in input
	if err := json.Unmarshal([]byte(`{"alarmData": {"alarmName": "a", "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {"EventSourceMappingUUID": "m"}}}}]}}}`), &in); err != nil {
		t.Fatal(err)
	}
	if err := b.handle(t.Context(), in); err != nil || s.State != "Enabled" {
		t.Errorf("the mapping is %s, %v", s.State, err)
	}
}

func TestWhatTheBreakerIsNotMeantForIsAnError(t *testing.T) {
	b, _ := start(t)
	for _, c := range []struct {
		in   input
		want string
	}{
		{input{}, "what invokes this function?"},
		{input{AlarmData: &alarmData{AlarmName: "cpu"}}, "alarm cpu watches no event source mapping"},
	} {
		if err := b.handle(t.Context(), c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	if _, err := newBreaker(clients{}, func(string) string { return "" }, nil); err == nil || !strings.Contains(err.Error(), "PENSTOCK_ENV") {
		t.Errorf("without settings: %v", err)
	}
}

func TestOnlyMinutesSinceTheResumptionCount(t *testing.T) {
	resumed := time.Date(2026, 3, 2, 3, 14, 30, 0, time.UTC)
	point := func(minute int, value float64) string {
		return fmt.Sprintf(`{"timestamp":"2026-03-02T03:%02d:00.000+0000","value":%g}`, minute, value)
	}
	for _, c := range []struct {
		name   string
		points []string
		want   bool
	}{
		{"all before", []string{point(12, 100), point(13, 100), point(14, 100)}, false},
		{"too few since", []string{point(13, 100), point(14, 100), point(15, 100)}, false},
		{"enough since", []string{point(14, 100), point(15, 100), point(16, 50)}, true},
		{"not breaching since", []string{point(15, 49), point(16, 100)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			alarm := &cwtypes.MetricAlarm{Threshold: aws.Float64(50), DatapointsToAlarm: aws.Int32(2), StateReasonData: aws.String(`{"evaluatedDatapoints":[` + strings.Join(c.points, ",") + `]}`)}
			if got := failedSince(alarm, resumed); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if !failedSince(&cwtypes.MetricAlarm{}, resumed) {
		t.Error("a state that a person has set does not count")
	}
}

func TestAProbeIsNoMoreThanAnInvocationTakes(t *testing.T) {
	var all []types.Message
	for range 10 {
		all = append(all, types.Message{Body: aws.String(strings.Repeat("x", 1<<20))})
	}
	fit, rest := fitting(all)
	if len(fit) != 4 || len(rest) != 6 {
		t.Errorf("%d fit, %d do not", len(fit), len(rest))
	}
	if fit, rest = fitting(nil); len(fit)+len(rest) != 0 {
		t.Error("there is something of nothing")
	}
}
