package cloudwatch

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// maxNamed is how many alarms a call names ("DescribeAlarms", "DeleteAlarms",
// "EnableAlarmActions"), and maxRecords how many one answer has.
const (
	maxNamed   = 100
	maxRecords = 100
)

// authorizeAlarm asks whether the caller may do an action with an alarm; "*" is
// all of them.
func (s *Service) authorizeAlarm(ctx context.Context, action, alarm string) error {
	return awswire.Authorize(ctx, awswire.Access{Action: "cloudwatch:" + action, Resource: s.ARN(alarm)})
}

type putMetricAlarmInput struct {
	AlarmConfig
	// EvaluateLowSampleCountPercentile is evaluate, the default and all there is.
	EvaluateLowSampleCountPercentile string
}

func (s *Service) putMetricAlarm(ctx context.Context, in *putMetricAlarmInput) (*none, error) {
	if err := s.authorizeAlarm(ctx, "PutMetricAlarm", in.AlarmName); err != nil {
		return nil, err
	}
	if e := in.EvaluateLowSampleCountPercentile; e != "" && e != "evaluate" {
		return nil, invalid("EvaluateLowSampleCountPercentile %q is not supported by the local environment: want evaluate", e)
	}
	if is, err := s.find(in.AlarmName); err == nil {
		in.Tags = is.Tags // those given are a new alarm's
	}
	return &none{}, s.PutAlarm(in.AlarmConfig)
}

type alarmNames struct{ AlarmNames []string }

// each authorizes an action with every alarm named, then does it.
func (s *Service) each(ctx context.Context, action string, in *alarmNames, do func(name string) error) (*none, error) {
	if len(in.AlarmNames) == 0 || len(in.AlarmNames) > maxNamed {
		return nil, invalid("AlarmNames: want 1 to %d (got %d)", maxNamed, len(in.AlarmNames))
	}
	for _, name := range in.AlarmNames {
		if err := s.authorizeAlarm(ctx, action, name); err != nil {
			return nil, err
		}
	}
	for _, name := range in.AlarmNames {
		if err := do(name); err != nil {
			return nil, err
		}
	}
	return &none{}, nil
}

func (s *Service) deleteAlarms(ctx context.Context, in *alarmNames) (*none, error) {
	return s.each(ctx, "DeleteAlarms", in, s.DeleteAlarm)
}

func (s *Service) enableAlarmActions(ctx context.Context, in *alarmNames) (*none, error) {
	return s.each(ctx, "EnableAlarmActions", in, func(name string) error { return s.setEnabled(name, true) })
}

func (s *Service) disableAlarmActions(ctx context.Context, in *alarmNames) (*none, error) {
	return s.each(ctx, "DisableAlarmActions", in, func(name string) error { return s.setEnabled(name, false) })
}

type setAlarmStateInput struct {
	AlarmName       string
	StateValue      string
	StateReason     string
	StateReasonData string
}

func (s *Service) setAlarmState(ctx context.Context, in *setAlarmStateInput) (*none, error) {
	if err := s.authorizeAlarm(ctx, "SetAlarmState", in.AlarmName); err != nil {
		return nil, err
	}
	switch {
	case !isState(in.StateValue):
		return nil, invalid("StateValue: want OK, ALARM or INSUFFICIENT_DATA (got %q)", in.StateValue)
	case in.StateReason == "" || len(in.StateReason) > 1023:
		return nil, invalid("StateReason: want 1 to 1023 characters (got %d)", len(in.StateReason))
	case in.StateReasonData != "" && !json.Valid([]byte(in.StateReasonData)):
		return nil, awswire.Errorf("InvalidFormat", "StateReasonData is not JSON")
	}
	return &none{}, s.setState(in.AlarmName, AlarmState{Value: in.StateValue, Reason: in.StateReason, ReasonData: in.StateReasonData, UpdatedAt: time.Now()})
}

func isState(s string) bool {
	return slices.Contains([]string{stateOK, stateAlarm, stateInsufficient}, s)
}

type describeAlarmsInput struct {
	AlarmNames      []string
	AlarmNamePrefix string
	AlarmTypes      []string
	StateValue      string
	ActionPrefix    string
	MaxRecords      *int
	NextToken       string
}

type describeAlarmsOutput struct {
	MetricAlarms    []metricAlarm
	CompositeAlarms []none // there are never any
	NextToken       string `json:",omitempty"`
}

type metricAlarm struct {
	AlarmConfig
	AlarmArn                           string
	AlarmConfigurationUpdatedTimestamp unixTime
	StateValue                         string
	StateReason                        string
	StateReasonData                    string `json:",omitempty"`
	StateUpdatedTimestamp              unixTime
	StateTransitionedTimestamp         unixTime
}

func (s *Service) describeAlarms(ctx context.Context, in *describeAlarmsInput) (*describeAlarmsOutput, error) {
	if err := s.authorizeAlarm(ctx, "DescribeAlarms", "*"); err != nil {
		return nil, err
	}
	switch {
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != "":
		return nil, combination("AlarmNames and AlarmNamePrefix are mutually exclusive")
	case in.StateValue != "" && !isState(in.StateValue):
		return nil, invalid("StateValue: want OK, ALARM or INSUFFICIENT_DATA (got %q)", in.StateValue)
	case len(in.AlarmNames) > maxNamed:
		return nil, invalid("AlarmNames: %d at most (got %d)", maxNamed, len(in.AlarmNames))
	}
	metricAlarms, err := wantsMetricAlarms(in.AlarmTypes)
	if err != nil {
		return nil, err
	}
	var found []*Alarm
	for _, a := range s.all() {
		acts := slices.Concat(a.OKActions, a.AlarmActions, a.InsufficientDataActions)
		if metricAlarms && (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, a.AlarmName)) &&
			strings.HasPrefix(a.AlarmName, in.AlarmNamePrefix) && (in.StateValue == "" || a.State.Value == in.StateValue) &&
			(in.ActionPrefix == "" || slices.ContainsFunc(acts, func(arn string) bool { return strings.HasPrefix(arn, in.ActionPrefix) })) {
			found = append(found, a)
		}
	}
	page, next, err := awswire.Page(found, func(a *Alarm) string { return a.AlarmName }, in.NextToken, in.MaxRecords, maxRecords)
	if err != nil {
		return nil, err
	}
	out := &describeAlarmsOutput{MetricAlarms: []metricAlarm{}, CompositeAlarms: []none{}, NextToken: next}
	for _, a := range page {
		out.MetricAlarms = append(out.MetricAlarms, s.describe(a))
	}
	return out, nil
}

func wantsMetricAlarms(types []string) (bool, error) {
	for _, t := range types {
		if !slices.Contains([]string{"MetricAlarm", "CompositeAlarm"}, t) {
			return false, invalid("AlarmTypes: want MetricAlarm or CompositeAlarm (got %q)", t)
		}
	}
	return len(types) == 0 || slices.Contains(types, "MetricAlarm"), nil
}

func (s *Service) describe(a *Alarm) metricAlarm {
	out := metricAlarm{
		AlarmConfig: a.AlarmConfig, AlarmArn: s.ARN(a.AlarmName), AlarmConfigurationUpdatedTimestamp: toUnix(a.ConfiguredAt),
		StateValue: a.State.Value, StateReason: a.State.Reason, StateReasonData: a.State.ReasonData,
		StateUpdatedTimestamp: toUnix(a.State.UpdatedAt), StateTransitionedTimestamp: toUnix(a.TransitionedAt),
	}
	out.Tags = nil // ListTagsForResource tells them
	enabled := a.enabled()
	out.ActionsEnabled = &enabled
	for _, list := range []*[]string{&out.OKActions, &out.AlarmActions, &out.InsufficientDataActions} {
		*list = orEmpty(*list)
	}
	return out
}

type describeAlarmHistoryInput struct {
	AlarmName          string
	AlarmTypes         []string
	HistoryItemType    string
	StartDate, EndDate *unixTime
	ScanBy             string
	MaxRecords         *int
}

type describeAlarmHistoryOutput struct{ AlarmHistoryItems []historyItem }

func (s *Service) describeAlarmHistory(ctx context.Context, in *describeAlarmHistoryInput) (*describeAlarmHistoryOutput, error) {
	if err := s.authorizeAlarm(ctx, "DescribeAlarmHistory", cmp.Or(in.AlarmName, "*")); err != nil {
		return nil, err
	}
	metricAlarms, err := wantsMetricAlarms(in.AlarmTypes)
	if err != nil {
		return nil, err
	}
	oldestFirst := in.ScanBy == "TimestampAscending"
	if in.ScanBy != "" && in.ScanBy != "TimestampDescending" && !oldestFirst {
		return nil, invalid("ScanBy: want TimestampDescending or TimestampAscending (got %q)", in.ScanBy)
	}
	most := maxRecords
	if in.MaxRecords != nil {
		if most = *in.MaxRecords; most < 1 || most > maxRecords {
			return nil, invalid("MaxRecords: want 1 to %d (got %d)", maxRecords, most)
		}
	}
	items, err := s.history(in.AlarmName, func(i historyItem) bool {
		return metricAlarms && (in.HistoryItemType == "" || i.HistoryItemType == in.HistoryItemType) &&
			(in.StartDate == nil || i.Timestamp >= *in.StartDate) && (in.EndDate == nil || i.Timestamp <= *in.EndDate)
	})
	if err != nil {
		return nil, err
	}
	if in.AlarmName == "" { // each alarm's were in order
		slices.SortStableFunc(items, func(a, b historyItem) int { return cmp.Compare(b.Timestamp, a.Timestamp) })
	}
	if oldestFirst {
		slices.Reverse(items)
	}
	out := &describeAlarmHistoryOutput{AlarmHistoryItems: items[:min(len(items), most)]}
	if out.AlarmHistoryItems == nil {
		out.AlarmHistoryItems = []historyItem{}
	}
	return out, nil
}
