package scenarios

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// alarm is an alarm of one metric, which keeps its state without data.
func (r *run) alarm() *cloudwatch.PutMetricAlarmInput {
	return &cloudwatch.PutMetricAlarmInput{
		AlarmName: str(r.name("alarm")), AlarmDescription: str("too many"), Namespace: str(r.name("space")), MetricName: str("Errors"),
		Dimensions: []types.Dimension{{Name: str("Function"), Value: str("f")}}, Statistic: types.StatisticSum, Period: new(int32(60)), EvaluationPeriods: new(int32(3)),
		DatapointsToAlarm: new(int32(2)), Threshold: new(5.0), ComparisonOperator: types.ComparisonOperatorGreaterThanThreshold, TreatMissingData: str("ignore"),
	}
}

// putAlarm makes an alarm, whose name it returns.
func (r *run) putAlarm(in *cloudwatch.PutMetricAlarmInput) string {
	must(r.metrics.PutMetricAlarm(r.ctx, in))
	r.removeAlarm(*in.AlarmName)
	return *in.AlarmName
}

func (r *run) removeAlarm(name string) {
	r.later(func() error {
		_, err := r.metrics.DeleteAlarms(r.ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}})
		return ignore[*types.ResourceNotFound](err)
	})
}

// seeAlarms notes the alarms of the scenario.
func (r *run) seeAlarms() {
	out := must(r.metrics.DescribeAlarms(r.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &r.prefix}))
	for _, a := range out.MetricAlarms {
		a.StateReason, a.StateReasonData = nil, nil // a text for people
		r.note("alarm", a)
	}
	r.note("alarms", len(out.MetricAlarms))
}

func alarms() []Scenario {
	return scenarios("cloudwatch",
		Scenario{Name: "figures are put and read", play: func(r *run) {
			space, minute := str(r.name("space")), time.Now().UTC().Truncate(time.Minute).Add(-2*time.Minute)
			of := []types.Dimension{{Name: str("Function"), Value: str("f")}}
			r.see(r.metrics.PutMetricData(r.ctx, &cloudwatch.PutMetricDataInput{Namespace: space, MetricData: []types.MetricDatum{
				{MetricName: str("Size"), Dimensions: of, Timestamp: &minute, Value: new(3.0), Unit: types.StandardUnitCount},
				{MetricName: str("Size"), Dimensions: of, Timestamp: &minute, Value: new(7.0), Unit: types.StandardUnitCount},
				{MetricName: str("Size"), Dimensions: of, Timestamp: &minute, Values: []float64{1, 2}, Counts: []float64{2, 3}, Unit: types.StandardUnitCount},
				{MetricName: str("Other"), Timestamp: &minute, Value: new(1.0)},
			}}))
			from, to := minute.Add(-5*time.Minute), minute.Add(5*time.Minute)
			metric := &types.Metric{Namespace: space, MetricName: str("Size"), Dimensions: of}
			in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to}
			for _, stat := range []string{"Sum", "SampleCount", "Average", "Minimum", "Maximum"} {
				in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: str(strings.ToLower(stat)), MetricStat: &types.MetricStat{Metric: metric, Period: new(int32(60)), Stat: &stat}})
			}
			var out *cloudwatch.GetMetricDataOutput
			r.until("the figures are there", func() bool {
				out = must(r.metrics.GetMetricData(r.ctx, in))
				return len(out.MetricDataResults) > 0 && len(out.MetricDataResults[0].Values) > 0
			})
			for _, result := range out.MetricDataResults {
				r.note(*result.Id, result.Values)
			}
			in.MetricDataQueries = []types.MetricDataQuery{
				{Id: str("a"), ReturnData: new(false), MetricStat: &types.MetricStat{Metric: metric, Period: new(int32(60)), Stat: str("Sum")}},
				{Id: str("b"), Expression: str("a * 2 + 1")},
			}
			computed, err := r.metrics.GetMetricData(r.ctx, in)
			if err != nil {
				r.see(computed, err)
				return
			}
			for _, result := range computed.MetricDataResults {
				r.note("computed "+*result.Id, result.Values)
			}
		}},
		Scenario{Name: "statistics are read", play: func(r *run) {
			space, minute := str(r.name("space")), time.Now().UTC().Truncate(time.Minute).Add(-2*time.Minute)
			must(r.metrics.PutMetricData(r.ctx, &cloudwatch.PutMetricDataInput{Namespace: space, MetricData: []types.MetricDatum{
				{MetricName: str("Size"), Timestamp: &minute, StatisticValues: &types.StatisticSet{SampleCount: new(4.0), Sum: new(20.0), Minimum: new(1.0), Maximum: new(9.0)}},
			}}))
			from, to := minute.Add(-5*time.Minute), minute.Add(5*time.Minute)
			var out *cloudwatch.GetMetricStatisticsOutput
			r.until("the figures are there", func() bool {
				out = must(r.metrics.GetMetricStatistics(r.ctx, &cloudwatch.GetMetricStatisticsInput{Namespace: space, MetricName: str("Size"), StartTime: &from, EndTime: &to, Period: new(int32(60)),
					Statistics: []types.Statistic{types.StatisticAverage, types.StatisticSum, types.StatisticSampleCount, types.StatisticMinimum, types.StatisticMaximum}}))
				return len(out.Datapoints) > 0
			})
			r.see(out, nil)
		}},
		Scenario{Name: "figures that are not valid are refused", play: func(r *run) {
			space := str(r.name("space"))
			var dimensions []types.Dimension
			for i := range 31 {
				dimensions = append(dimensions, types.Dimension{Name: str(fmt.Sprint("d", i)), Value: str("x")})
			}
			for _, d := range []types.MetricDatum{
				{MetricName: str("M"), Value: new(1.0), Values: []float64{1}},
				{MetricName: str("M"), Value: new(1.0), Dimensions: dimensions},
				{MetricName: str("M"), Value: new(1.0), StorageResolution: new(int32(7))},
				{MetricName: str("M"), Values: []float64{1, 2}, Counts: []float64{1}},
				{MetricName: str(strings.Repeat("m", 256)), Value: new(1.0)},
				{MetricName: str("M"), Value: new(1.0), Timestamp: new(time.Now().Add(-15 * 24 * time.Hour))},
				{MetricName: str("M"), Value: new(1.0), Timestamp: new(time.Now().Add(3 * time.Hour))},
			} {
				r.see(r.metrics.PutMetricData(r.ctx, &cloudwatch.PutMetricDataInput{Namespace: space, MetricData: []types.MetricDatum{d}}))
			}
			r.see(r.metrics.PutMetricData(r.ctx, &cloudwatch.PutMetricDataInput{Namespace: str("AWS/Mine"), MetricData: []types.MetricDatum{{MetricName: str("M"), Value: new(1.0)}}}))
		}},
		Scenario{Name: "an alarm is made, described and deleted", play: func(r *run) {
			in := r.alarm()
			r.see(r.metrics.PutMetricAlarm(r.ctx, in))
			r.removeAlarm(*in.AlarmName)
			r.seeAlarms()
			in.Threshold, in.AlarmDescription = new(6.5), nil
			r.see(r.metrics.PutMetricAlarm(r.ctx, in))
			r.seeAlarms()
			r.see(r.metrics.DeleteAlarms(r.ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{*in.AlarmName}}))
			r.see(r.metrics.DeleteAlarms(r.ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{*in.AlarmName}}))
			r.seeAlarms()
		}},
		Scenario{Name: "alarms are checked", play: func(r *run) {
			for _, edit := range []func(*cloudwatch.PutMetricAlarmInput){
				func(in *cloudwatch.PutMetricAlarmInput) { in.Period = new(int32(7)) },
				func(in *cloudwatch.PutMetricAlarmInput) { in.Threshold = nil },
				func(in *cloudwatch.PutMetricAlarmInput) { in.MetricName = nil },
				func(in *cloudwatch.PutMetricAlarmInput) { in.DatapointsToAlarm = new(int32(4)) },
				func(in *cloudwatch.PutMetricAlarmInput) { in.TreatMissingData = str("perhaps") },
				func(in *cloudwatch.PutMetricAlarmInput) { in.EvaluationPeriods = new(int32(0)) },
				func(in *cloudwatch.PutMetricAlarmInput) { in.AlarmActions = []string{"nonsense"} },
				func(in *cloudwatch.PutMetricAlarmInput) {
					in.Period, in.EvaluationPeriods = new(int32(3600)), new(int32(200))
				},
			} {
				in := r.alarm()
				edit(in)
				r.see(r.metrics.PutMetricAlarm(r.ctx, in))
				r.removeAlarm(*in.AlarmName)
			}
			r.note("alarms", len(must(r.metrics.DescribeAlarms(r.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: &r.prefix})).MetricAlarms))
		}},
		Scenario{Name: "an alarm may be of an expression", play: func(r *run) {
			in := r.alarm()
			in.Metrics = []types.MetricDataQuery{
				{Id: str("errors"), ReturnData: new(false), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: in.Namespace, MetricName: str("Errors")}, Period: new(int32(60)), Stat: str("Sum")}},
				{Id: str("calls"), ReturnData: new(false), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: in.Namespace, MetricName: str("Calls")}, Period: new(int32(60)), Stat: str("Sum")}},
				{Id: str("rate"), Expression: str("100 * errors / calls"), ReturnData: new(true)},
			}
			in.Namespace, in.MetricName, in.Statistic, in.Period, in.Dimensions = nil, nil, "", nil, nil
			r.putAlarm(in)
			r.seeAlarms()
		}},
		Scenario{Name: "the state of an alarm is set, and remembered", play: func(r *run) {
			name := r.putAlarm(r.alarm())
			set := func(name, state string) {
				r.see(r.metrics.SetAlarmState(r.ctx, &cloudwatch.SetAlarmStateInput{AlarmName: &name, StateValue: types.StateValue(state), StateReason: str("a test")}))
			}
			set(name, "ALARM")
			r.seeAlarms()
			set(name, "OK")
			set(name, "BROKEN")
			set(r.name("none"), "OK")
			out := must(r.metrics.DescribeAlarms(r.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, StateValue: types.StateValueOk}))
			r.note("in state OK", len(out.MetricAlarms))
			var history *cloudwatch.DescribeAlarmHistoryOutput
			r.until("the history is written", func() bool {
				var err error
				history, err = r.metrics.DescribeAlarmHistory(r.ctx, &cloudwatch.DescribeAlarmHistoryInput{AlarmName: &name, HistoryItemType: types.HistoryItemTypeStateUpdate})
				if err != nil {
					r.see(history, err)
				}
				return err != nil || len(history.AlarmHistoryItems) > 1
			})
			if history == nil {
				return
			}
			for _, item := range history.AlarmHistoryItems {
				r.note("history", map[string]any{"HistoryItemType": item.HistoryItemType, "AlarmName": item.AlarmName, "AlarmType": item.AlarmType})
			}
		}},
		Scenario{Name: "the actions of an alarm are disabled and enabled", play: func(r *run) {
			name := r.putAlarm(r.alarm())
			enabled := func() {
				out := must(r.metrics.DescribeAlarms(r.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}}))
				r.note("actions enabled", out.MetricAlarms[0].ActionsEnabled)
			}
			enabled()
			r.see(r.metrics.DisableAlarmActions(r.ctx, &cloudwatch.DisableAlarmActionsInput{AlarmNames: []string{name}}))
			enabled()
			r.see(r.metrics.EnableAlarmActions(r.ctx, &cloudwatch.EnableAlarmActionsInput{AlarmNames: []string{name}}))
			enabled()
		}},
		Scenario{Name: "alarms have tags", play: func(r *run) {
			in := r.alarm()
			in.Tags = []types.Tag{{Key: str("team"), Value: str("a")}}
			name := r.putAlarm(in)
			arn := must(r.metrics.DescribeAlarms(r.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}})).MetricAlarms[0].AlarmArn
			r.see(r.metrics.TagResource(r.ctx, &cloudwatch.TagResourceInput{ResourceARN: arn, Tags: []types.Tag{{Key: str("env"), Value: str("x")}}}))
			r.see(r.metrics.UntagResource(r.ctx, &cloudwatch.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"team"}}))
			r.see(r.metrics.ListTagsForResource(r.ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: arn}))
		}},
	)
}
