package local_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"

	"github.com/penstock-dev/penstock/events/eventbus"
)

func TestADeployedFunctionLeavesMetricsInItsLog(t *testing.T) {
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
}
