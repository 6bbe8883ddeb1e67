package local_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events/eventbus"
)

func TestADeployedFunctionLeavesMetricsInItsLogAndSoInCloudWatch(t *testing.T) {
	env, _ := startOutbox(t)
	bus := eventbus.New(eventbridge.NewFromConfig(awsConfig(env.Endpoint())), "penstock-local")
	if err := bus.Publish(t.Context(), trade(t, "ACME")); err != nil {
		t.Fatal(err)
	}
	logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
	var got struct {
		App, Env, Function, Subscription, RequestID string
		Handled, Failed, BatchSize                  int
		Age                                         []float64
	}
	until(t, "the function has written metrics", func() bool {
		out, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/" + trades), FilterPattern: aws.String(`"CloudWatchMetrics"`),
		})
		return err == nil && len(out.Events) == 1 && json.Unmarshal([]byte(*out.Events[0].Message), &got) == nil
	})
	if got.App != "penstock" || got.Env != "local" || got.Function != "trade-allocated" || got.Subscription != "allocations" || got.RequestID == "" {
		t.Errorf("its dimensions are %+v", got)
	}
	if got.Handled != 1 || got.Failed != 0 || got.BatchSize != 1 || len(got.Age) != 1 {
		t.Errorf("its metrics are %+v", got)
	}

	// CloudWatch has them from the line, and the function's and queue's own.
	metrics := cloudwatch.NewFromConfig(awsConfig(env.Endpoint()))
	sum := func(id, namespace, name string, dimensions ...cwtypes.Dimension) cwtypes.MetricDataQuery {
		return cwtypes.MetricDataQuery{Id: &id, MetricStat: &cwtypes.MetricStat{Period: aws.Int32(3600), Stat: aws.String("Sum"),
			Metric: &cwtypes.Metric{Namespace: &namespace, MetricName: &name, Dimensions: dimensions}}}
	}
	dimension := func(name, value string) cwtypes.Dimension { return cwtypes.Dimension{Name: &name, Value: &value} }
	until(t, "CloudWatch knows of the event", func() bool {
		out, err := metrics.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Hour)), MetricDataQueries: []cwtypes.MetricDataQuery{
				sum("handled", "Penstock", "handled", dimension("app", "penstock"), dimension("env", "local"), dimension("function", "trade-allocated"), dimension("subscription", "allocations")),
				sum("invocations", "AWS/Lambda", "Invocations", dimension("FunctionName", trades)),
				sum("deleted", "AWS/SQS", "NumberOfMessagesDeleted", dimension("QueueName", trades+"-allocations")),
				sum("matched", "AWS/Events", "MatchedEvents", dimension("EventBusName", "penstock-local"), dimension("RuleName", trades+"-allocations")),
			}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			total := 0.0
			for _, v := range r.Values { // two, around the turn of an hour
				total += v
			}
			if total != 1 {
				return false
			}
		}
		return true
	})
}
