package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
)

// alarmData is what an alarm says of itself and its state.
type alarmData struct {
	AlarmName string `json:"alarmName"`
	State     struct {
		Value string `json:"value"`
	} `json:"state"`
	Configuration struct {
		Metrics []struct {
			MetricStat struct {
				Metric struct {
					Dimensions map[string]string `json:"dimensions"`
				} `json:"metric"`
			} `json:"metricStat"`
		} `json:"metrics"`
	} `json:"configuration"`
}

// mapping is the mapping whose figures the alarm watches.
func (a *alarmData) mapping() string {
	for _, m := range a.Configuration.Metrics {
		if uuid := m.MetricStat.Metric.Dimensions["EventSourceMappingUUID"]; uuid != "" {
			return uuid
		}
	}
	return ""
}

// alarmed stops the subscription whose alarm went off.
func (b *breaker) alarmed(ctx context.Context, in *alarmData) error {
	log := b.log.With("alarm", in.AlarmName)
	uuid := in.mapping()
	if uuid == "" {
		return fmt.Errorf("alarm %s watches no event source mapping: it is none of a subscription's breaker", in.AlarmName)
	}
	// The event may be late, or come again: what counts is the state now.
	alarm, err := b.describeAlarm(ctx, in.AlarmName)
	if err != nil {
		return err
	}
	if alarm == nil || alarm.StateValue != types.StateValueAlarm {
		log.InfoContext(ctx, "nothing is stopped: the alarm is not in ALARM any more")
		return nil
	}
	mapping, err := b.lambda.GetEventSourceMapping(ctx, &awslambda.GetEventSourceMappingInput{UUID: &uuid})
	if missing := (*lambdatypes.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		log.InfoContext(ctx, "nothing is stopped: the mapping is gone", "mapping", uuid)
		return nil
	}
	if err != nil {
		return err
	}
	sub, err := b.subscriptionOf(ctx, aws.ToString(mapping.EventSourceArn), aws.ToString(mapping.FunctionArn), in.AlarmName)
	if err != nil {
		return err
	}
	is, err := b.stops.Get(ctx, sub)
	if err != nil {
		return err
	}
	if resumed := is.Since; !is.Stopped && !resumed.IsZero() && !failedSince(alarm, resumed) {
		// It looks back on minutes before the subscription was resumed. In ALARM
		// it would not act again: with OK it is evaluated anew every minute.
		log.InfoContext(ctx, "nothing is stopped: most of what failed did so before the subscription was resumed", "resumed", resumed)
		return b.stops.Reset(ctx, sub, "it has not failed for long enough since it was resumed")
	}
	failures := b.failures(ctx, uuid, window(alarm))
	r, err := b.stops.Stop(ctx, sub, stops.Cause{By: penstock.ActorBreaker, Reason: reason(alarm, failures), Failures: failures})
	if err != nil {
		return err
	}
	log.WarnContext(ctx, "stopped", "subscription", sub.String(), "since", r.Since, "reason", r.Reason)
	_, err = b.settle(ctx, r)
	return err
}

func (b *breaker) describeAlarm(ctx context.Context, name string) (*types.MetricAlarm, error) {
	out, err := b.alarms.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}})
	if err != nil || len(out.MetricAlarms) == 0 {
		return nil, err
	}
	return &out.MetricAlarms[0], nil
}

// failedSince reports whether the minutes since a time are enough for the alarm.
func failedSince(alarm *types.MetricAlarm, since time.Time) bool {
	var data struct {
		EvaluatedDatapoints []struct {
			Timestamp string
			Value     float64
		}
	}
	if err := json.Unmarshal([]byte(aws.ToString(alarm.StateReasonData)), &data); err != nil {
		return true // without data, a person has set the state
	}
	breaching := 0
	for _, p := range data.EvaluatedDatapoints {
		at, err := time.Parse("2006-01-02T15:04:05.000-0700", p.Timestamp)
		if err == nil && !at.Before(since) && p.Value >= aws.ToFloat64(alarm.Threshold) {
			breaching++
		}
	}
	return breaching >= int(aws.ToInt32(alarm.DatapointsToAlarm))
}

// window is the time that an alarm looks back on; its periods are minutes.
func window(alarm *types.MetricAlarm) time.Duration {
	return time.Duration(aws.ToInt32(alarm.EvaluationPeriods)) * time.Minute
}

// failures measures how a mapping failed; nil if nothing did, or if that cannot be
// told, which is no reason not to stop it.
func (b *breaker) failures(ctx context.Context, uuid string, window time.Duration) *penstock.Failures {
	query := func(id, name string) types.MetricDataQuery {
		return types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{
			Period: aws.Int32(60), Stat: aws.String("Sum"),
			Metric: &types.Metric{Namespace: aws.String("AWS/Lambda"), MetricName: &name, Dimensions: []types.Dimension{{Name: aws.String("EventSourceMappingUUID"), Value: &uuid}}},
		}}
	}
	end := time.Now().Truncate(time.Minute).Add(time.Minute)
	out, err := b.alarms.GetMetricData(ctx, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(end.Add(-window - time.Minute)), EndTime: &end, // the minute that has begun besides
		MetricDataQueries: []types.MetricDataQuery{query("received", "InvokedEventCount"), query("failed", "FailedInvokeEventCount")},
	})
	if err != nil {
		b.log.WarnContext(ctx, "how the subscription failed cannot be told", slog.Any("error", err))
		return nil
	}
	f := penstock.Failures{WindowSeconds: int((window + time.Minute) / time.Second)}
	for _, r := range out.MetricDataResults {
		for _, v := range r.Values {
			if aws.ToString(r.Id) == "failed" {
				f.Failed += int64(v)
			} else {
				f.Received += int64(v)
			}
		}
	}
	if f.Failed == 0 {
		return nil // a person has set the alarm's state
	}
	f.ErrorRate = min(1, float64(f.Failed)/float64(max(f.Received, f.Failed)))
	return &f
}

// reason says in a sentence why a subscription is stopped.
func reason(alarm *types.MetricAlarm, f *penstock.Failures) string {
	if f == nil {
		return "Alarm " + aws.ToString(alarm.AlarmName) + ": " + aws.ToString(alarm.StateReason)
	}
	return fmt.Sprintf("%.0f %% of %d events failed within %d minutes", 100*f.ErrorRate, f.Received, f.WindowSeconds/60)
}
