package scenarios

import "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

func groups() []Scenario {
	return scenarios("logs",
		Scenario{Name: "a log group is described", play: func(r *run) {
			group := str("/aws/lambda/" + *r.function())
			out := must(r.logs.DescribeLogGroups(r.ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: group}))
			for _, g := range out.LogGroups {
				r.note("group", map[string]any{"LogGroupName": g.LogGroupName, "Arn": g.Arn, "LogGroupArn": g.LogGroupArn, "LogGroupClass": g.LogGroupClass, "RetentionInDays": g.RetentionInDays, "MetricFilterCount": g.MetricFilterCount})
			}
			r.see(r.logs.DescribeLogGroups(r.ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: str(r.name("none"))}))
		}},
		Scenario{Name: "a log group that is not there", play: func(r *run) {
			none := str(r.name("none"))
			r.see(r.logs.DescribeLogStreams(r.ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: none}))
			r.see(r.logs.FilterLogEvents(r.ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: none}))
			r.see(r.logs.GetLogEvents(r.ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: none, LogStreamName: str("x")}))
		}},
		Scenario{Name: "a log group without streams", play: func(r *run) {
			group := str("/aws/lambda/" + *r.function())
			r.see(r.logs.GetLogEvents(r.ctx, &cloudwatchlogs.GetLogEventsInput{LogGroupName: group, LogStreamName: str("none")}))
			r.see(r.logs.FilterLogEvents(r.ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, LogStreamNamePrefix: str("none")}))
			r.see(r.logs.DescribeLogStreams(r.ctx, &cloudwatchlogs.DescribeLogStreamsInput{LogGroupName: group, LogStreamNamePrefix: str("none")}))
		}},
		Scenario{Name: "reading logs has its limits", play: func(r *run) {
			group := str("/aws/lambda/" + *r.function())
			r.see(r.logs.FilterLogEvents(r.ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, Limit: new(int32(10_001))}))
			r.see(r.logs.FilterLogEvents(r.ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: group, LogStreamNamePrefix: str("x"), LogStreamNames: []string{"x"}}))
			r.see(r.logs.DescribeLogGroups(r.ctx, &cloudwatchlogs.DescribeLogGroupsInput{Limit: new(int32(51))}))
			r.see(r.logs.DescribeLogGroups(r.ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: str("x"), LogGroupNamePattern: str("x")}))
		}},
	)
}
