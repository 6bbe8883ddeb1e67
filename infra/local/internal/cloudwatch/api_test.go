package cloudwatch

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

func serve(t *testing.T, config Config) (*awscloudwatch.Client, string) {
	t.Helper()
	s, end := newService(t, openStore(t), config)
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.CBOR(CBORName, s.Operations(), Times...)
	mux.JSON(Target, "1.0", s.Operations())
	mux.Query(QueryName, s.Query())
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); end() })
	return awscloudwatch.New(awscloudwatch.Options{
		BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", ""),
	}), server.URL
}

// lately is a time whose minute is over.
func lately() time.Time { return time.Now().Truncate(time.Hour).Add(-time.Hour) }

var shop = []types.Dimension{{Name: aws.String("Shop"), Value: aws.String("one")}}

func putOrders(t *testing.T, c *awscloudwatch.Client, at time.Time) {
	t.Helper()
	_, err := c.PutMetricData(t.Context(), &awscloudwatch.PutMetricDataInput{Namespace: aws.String("Shop"), MetricData: []types.MetricDatum{
		{MetricName: aws.String("Orders"), Dimensions: shop, Timestamp: &at, Unit: types.StandardUnitCount, Value: aws.Float64(3)},
		{MetricName: aws.String("Orders"), Dimensions: shop, Timestamp: aws.Time(at.Add(time.Minute)), Unit: types.StandardUnitCount, Values: []float64{1, 2}, Counts: []float64{1, 2}},
		{MetricName: aws.String("Failures"), Dimensions: shop, Timestamp: &at, Unit: types.StandardUnitCount,
			StatisticValues: &types.StatisticSet{SampleCount: aws.Float64(2), Sum: aws.Float64(3), Minimum: aws.Float64(1), Maximum: aws.Float64(2)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSDKPutsAndReadsMetrics(t *testing.T) {
	c, _ := serve(t, Config{})
	at := lately()
	putOrders(t, c, at)
	stat := func(id, name, stat string, period int32) types.MetricDataQuery {
		return types.MetricDataQuery{Id: &id, MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: aws.String("Shop"), MetricName: &name, Dimensions: shop}, Period: &period, Stat: &stat}}
	}
	data := func(queries ...types.MetricDataQuery) string {
		t.Helper()
		out, err := c.GetMetricData(t.Context(), &awscloudwatch.GetMetricDataInput{
			StartTime: &at, EndTime: aws.Time(at.Add(5 * time.Minute)), ScanBy: types.ScanByTimestampAscending, MetricDataQueries: queries,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range out.MetricDataResults {
			line := *r.Id + " " + *r.Label
			for i, v := range r.Values {
				line += fmt.Sprintf(" %v@%v", v, r.Timestamps[i].Sub(at))
			}
			got = append(got, line)
		}
		return strings.Join(got, "; ")
	}
	hidden := stat("o", "Orders", "Sum", 60)
	hidden.ReturnData = aws.Bool(false)
	for got, want := range map[string]string{
		data(stat("a", "Orders", "Sum", 60), stat("b", "Orders", "p50", 300), stat("c", "Nothing", "Sum", 60)):                                                               "a Orders 3@0s 5@1m0s; b Orders 2@0s; c Nothing",
		data(stat("a", "Orders", "Average", 300), stat("b", "Orders", "SampleCount", 300)):                                                                                   "a Orders 2@0s; b Orders 4@0s",
		data(stat("a", "Orders", "Maximum", 120), stat("b", "Orders", "Minimum", 120)):                                                                                       "a Orders 3@0s; b Orders 1@0s",
		data(hidden, stat("f", "Failures", "Sum", 60), types.MetricDataQuery{Id: aws.String("percent"), Expression: aws.String("100 * f / o"), Label: aws.String("failed")}): "f Failures 3@0s; percent failed 100@0s 0@1m0s",
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	statistics, err := c.GetMetricStatistics(t.Context(), &awscloudwatch.GetMetricStatisticsInput{Namespace: aws.String("Shop"), MetricName: aws.String("Orders"), Dimensions: shop,
		StartTime: &at, EndTime: aws.Time(at.Add(time.Hour)), Period: aws.Int32(300), Statistics: []types.Statistic{types.StatisticSum, types.StatisticMaximum}, ExtendedStatistics: []string{"p99.5"}})
	if err != nil || len(statistics.Datapoints) != 1 {
		t.Fatal(statistics, err)
	}
	if d := statistics.Datapoints[0]; *d.Sum != 8 || *d.Maximum != 3 || d.Average != nil || d.ExtendedStatistics["p99.5"] != 3 || d.Unit != types.StandardUnitCount || !d.Timestamp.Equal(at) {
		t.Errorf("statistics: %+v", d)
	}
	listed, err := c.ListMetrics(t.Context(), &awscloudwatch.ListMetricsInput{Namespace: aws.String("Shop"), Dimensions: []types.DimensionFilter{{Name: aws.String("Shop")}}})
	if err != nil || len(listed.Metrics) != 2 || *listed.Metrics[0].MetricName != "Failures" || *listed.Metrics[1].Dimensions[0].Value != "one" {
		t.Errorf("listed: %+v, %v", listed, err)
	}
	if none, err := c.ListMetrics(t.Context(), &awscloudwatch.ListMetricsInput{MetricName: aws.String("Orders"), Dimensions: []types.DimensionFilter{{Name: aws.String("Shop"), Value: aws.String("two")}}}); err != nil || len(none.Metrics) != 0 {
		t.Errorf("listed: %+v, %v", none, err)
	}
}

func TestManyMetricsComeZipped(t *testing.T) {
	c, _ := serve(t, Config{})
	in := &awscloudwatch.PutMetricDataInput{Namespace: aws.String("Shop")}
	at := lately()
	for i := range 500 { // the SDK zips from 10 KB on
		in.MetricData = append(in.MetricData, types.MetricDatum{MetricName: aws.String(fmt.Sprint("m", i)), Value: aws.Float64(1), Timestamp: &at})
	}
	if _, err := c.PutMetricData(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	listed, err := c.ListMetrics(t.Context(), &awscloudwatch.ListMetricsInput{})
	if err != nil || len(listed.Metrics) != 500 || listed.NextToken != nil {
		t.Errorf("%d metrics, %v", len(listed.Metrics), err)
	}
}

func TestTheSDKKeepsAlarms(t *testing.T) {
	done := &acted{}
	c, _ := serve(t, Config{Functions: done, Topics: done, Metrics: &metric.Registry{}})
	ctx := t.Context()
	put := &awscloudwatch.PutMetricAlarmInput{AlarmName: aws.String("late"), AlarmDescription: aws.String("look"), Namespace: aws.String("AWS/SQS"), MetricName: aws.String("ApproximateAgeOfOldestMessage"),
		Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: aws.String("q")}}, Statistic: types.StatisticMaximum, Period: aws.Int32(60), EvaluationPeriods: aws.Int32(5), DatapointsToAlarm: aws.Int32(3),
		Threshold: aws.Float64(600.5), ComparisonOperator: types.ComparisonOperatorGreaterThanOrEqualToThreshold, TreatMissingData: aws.String("ignore"), AlarmActions: []string{breakerARN},
		Tags: []types.Tag{{Key: aws.String("owner"), Value: aws.String("ann")}}}
	if _, err := c.PutMetricAlarm(ctx, put); err != nil {
		t.Fatal(err)
	}
	describe := func() types.MetricAlarm {
		t.Helper()
		out, err := c.DescribeAlarms(ctx, &awscloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String("la"), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}})
		if err != nil || len(out.MetricAlarms) != 1 {
			t.Fatal(out, err)
		}
		return out.MetricAlarms[0]
	}
	a := describe()
	if *a.AlarmArn != "arn:aws:cloudwatch:us-east-1:000000000000:alarm:late" || *a.Threshold != 600.5 || *a.DatapointsToAlarm != 3 || !*a.ActionsEnabled || a.StateValue != types.StateValueInsufficientData ||
		a.StateUpdatedTimestamp == nil || len(a.OKActions) != 0 || a.AlarmActions[0] != breakerARN || *a.Dimensions[0].Value != "q" {
		t.Errorf("described: %+v", a)
	}
	if _, err := c.SetAlarmState(ctx, &awscloudwatch.SetAlarmStateInput{AlarmName: put.AlarmName, StateValue: types.StateValueAlarm, StateReason: aws.String("a test"), StateReasonData: aws.String(`{"by":"hand"}`)}); err != nil {
		t.Fatal(err)
	}
	if a := describe(); a.StateValue != types.StateValueAlarm || *a.StateReason != "a test" || *a.StateReasonData != `{"by":"hand"}` {
		t.Errorf("set: %+v", a)
	}
	if got := done.since(); got != "breaker ALARM" {
		t.Errorf("done: %s", got)
	}
	if _, err := c.DisableAlarmActions(ctx, &awscloudwatch.DisableAlarmActionsInput{AlarmNames: []string{"late"}}); err != nil || *describe().ActionsEnabled {
		t.Errorf("disabled: %v", err)
	}
	if _, err := c.EnableAlarmActions(ctx, &awscloudwatch.EnableAlarmActionsInput{AlarmNames: []string{"late"}}); err != nil || !*describe().ActionsEnabled {
		t.Errorf("enabled: %v", err)
	}
	put.Tags = nil // an update leaves the tags
	if _, err := c.PutMetricAlarm(ctx, put); err != nil {
		t.Fatal(err)
	}
	if tags, err := c.ListTagsForResource(ctx, &awscloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn}); err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "ann" {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	if _, err := c.TagResource(ctx, &awscloudwatch.TagResourceInput{ResourceARN: a.AlarmArn, Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UntagResource(ctx, &awscloudwatch.UntagResourceInput{ResourceARN: a.AlarmArn, TagKeys: []string{"owner"}}); err != nil {
		t.Fatal(err)
	}
	if tags, err := c.ListTagsForResource(ctx, &awscloudwatch.ListTagsForResourceInput{ResourceARN: a.AlarmArn}); err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "team" {
		t.Errorf("tags: %+v, %v", tags, err)
	}
	history, err := c.DescribeAlarmHistory(ctx, &awscloudwatch.DescribeAlarmHistoryInput{AlarmName: put.AlarmName, HistoryItemType: types.HistoryItemTypeStateUpdate})
	if err != nil || len(history.AlarmHistoryItems) != 1 || *history.AlarmHistoryItems[0].HistorySummary != "Alarm updated from INSUFFICIENT_DATA to ALARM" || history.AlarmHistoryItems[0].Timestamp == nil {
		t.Errorf("history: %+v, %v", history, err)
	}
	if _, err := c.DeleteAlarms(ctx, &awscloudwatch.DeleteAlarmsInput{AlarmNames: []string{"late"}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.SetAlarmState(ctx, &awscloudwatch.SetAlarmStateInput{AlarmName: put.AlarmName, StateValue: types.StateValueOk, StateReason: aws.String("gone")})
	if refused := (*types.ResourceNotFound)(nil); !errors.As(err, &refused) {
		t.Errorf("after its deletion: %v", err)
	}
}

func TestWhatCloudWatchRefusesIsRefused(t *testing.T) {
	c, _ := serve(t, Config{})
	now := time.Now()
	datum := func(edit func(*types.MetricDatum)) func() error {
		return func() error {
			d := types.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(1)}
			edit(&d)
			_, err := c.PutMetricData(t.Context(), &awscloudwatch.PutMetricDataInput{Namespace: aws.String("Shop"), MetricData: []types.MetricDatum{d}})
			return err
		}
	}
	data := func(in awscloudwatch.GetMetricDataInput) func() error {
		return func() error {
			if in.StartTime == nil {
				in.StartTime, in.EndTime = aws.Time(now.Add(-time.Hour)), &now
			}
			_, err := c.GetMetricData(t.Context(), &in)
			return err
		}
	}
	queries := []types.MetricDataQuery{{Id: aws.String("m"), MetricStat: &types.MetricStat{Metric: &types.Metric{Namespace: aws.String("n"), MetricName: aws.String("m")}, Period: aws.Int32(60), Stat: aws.String("Sum")}}}
	for _, c := range []struct {
		code, want string
		call       func() error
	}{
		{"InvalidParameterValue", "The value AWS/Own for parameter Namespace is invalid", func() error {
			_, err := c.PutMetricData(t.Context(), &awscloudwatch.PutMetricDataInput{Namespace: aws.String("AWS/Own"), MetricData: []types.MetricDatum{{MetricName: aws.String("m"), Value: aws.Float64(1)}}})
			return err
		}},
		{"InvalidParameterValue", "StorageResolution 1 is not supported", datum(func(d *types.MetricDatum) { d.StorageResolution = aws.Int32(1) })},
		{"InvalidParameterValue", "within the last two weeks", datum(func(d *types.MetricDatum) { d.Timestamp = aws.Time(now.Add(-15 * 24 * time.Hour)) })},
		{"InvalidParameterValue", "from -2^360 to 2^360", datum(func(d *types.MetricDatum) { d.Value = aws.Float64(1e200) })},
		{"InvalidParameterCombination", "exactly one of Value", datum(func(d *types.MetricDatum) { d.Values = []float64{1} })},
		{"InvalidParameterValue", "150 Values", datum(func(d *types.MetricDatum) { d.Value, d.Values = nil, slices.Repeat([]float64{1}, 151) })},
		{"InvalidParameterValue", "want numbers above 0", datum(func(d *types.MetricDatum) { d.Value, d.Values, d.Counts = nil, []float64{1}, []float64{0} })},
		{"InvalidParameterValue", "a SampleCount above 0", datum(func(d *types.MetricDatum) {
			d.Value, d.StatisticValues = nil, &types.StatisticSet{SampleCount: aws.Float64(0), Sum: aws.Float64(0), Minimum: aws.Float64(0), Maximum: aws.Float64(0)}
		})},
		{"InvalidParameterCombination", "StartTime must be less", data(awscloudwatch.GetMetricDataInput{StartTime: &now, EndTime: &now, MetricDataQueries: queries})},
		{"InvalidParameterValue", "more than 100800 data points", data(awscloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-100 * 24 * time.Hour)), EndTime: &now, MetricDataQueries: queries})},
		{"ValidationException", "parameter MaxDatapoints is not supported", data(awscloudwatch.GetMetricDataInput{MaxDatapoints: aws.Int32(10), MetricDataQueries: queries})},
		{"InvalidParameterCombination", "exceeds the limit of 1440", func() error {
			_, err := c.GetMetricStatistics(t.Context(), &awscloudwatch.GetMetricStatisticsInput{Namespace: aws.String("n"), MetricName: aws.String("m"), Period: aws.Int32(60),
				StartTime: aws.Time(now.Add(-48 * time.Hour)), EndTime: &now, Statistics: []types.Statistic{types.StatisticSum}})
			return err
		}},
		{"UnknownOperationException", "operation PutDashboard is not supported", func() error {
			_, err := c.PutDashboard(t.Context(), &awscloudwatch.PutDashboardInput{DashboardName: aws.String("d"), DashboardBody: aws.String("{}")})
			return err
		}},
	} {
		err := c.call()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s: %s", err, c.code, c.want)
		}
	}
}

// TestCommandLinesOfEveryAgeAreServed sends what the AWS CLI sends: AWS JSON today,
// the query protocol some years ago.
func TestCommandLinesOfEveryAgeAreServed(t *testing.T) {
	c, url := serve(t, Config{})
	at := lately()
	putOrders(t, c, at)
	start, end := at.Format(time.RFC3339), at.Add(5*time.Minute).Format(time.RFC3339)
	for _, r := range []struct{ kind, target, body, want string }{
		{"application/x-amz-json-1.0", Target + ".GetMetricStatistics",
			fmt.Sprintf(`{"Namespace":"Shop","MetricName":"Orders","Dimensions":[{"Name":"Shop","Value":"one"}],"StartTime":%d,"EndTime":%d,"Period":300,"Statistics":["Sum"]}`, at.Unix(), at.Unix()+300),
			fmt.Sprintf(`{"Label":"Orders","Datapoints":[{"Timestamp":%d,"Unit":"Count","Sum":8}]}`, at.Unix())},
		{"application/x-www-form-urlencoded", "", "Action=GetMetricStatistics&Version=2010-08-01&Namespace=Shop&MetricName=Orders&Dimensions.member.1.Name=Shop&Dimensions.member.1.Value=one&StartTime=" + start + "&EndTime=" + end + "&Period=300&Statistics.member.1=Sum",
			"<GetMetricStatisticsResult><Label>Orders</Label><Datapoints><member><Timestamp>" + at.UTC().Format("2006-01-02T15:04:05.000Z") + "</Timestamp><Unit>Count</Unit><Sum>8</Sum></member></Datapoints></GetMetricStatisticsResult>"},
		{"application/x-www-form-urlencoded", "", "Action=PutMetricData&Namespace=Shop&MetricData.member.1.MetricName=Orders&MetricData.member.1.Value=0.5&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=Shop&MetricData.member.1.Dimensions.member.1.Value=two", "<PutMetricDataResult></PutMetricDataResult>"},
		{"application/x-www-form-urlencoded", "", "Action=ListMetrics&Dimensions.member.1.Name=Shop&Dimensions.member.1.Value=two", "<MetricName>Orders</MetricName>"},
		{"application/x-www-form-urlencoded", "", "Action=PutMetricAlarm&AlarmName=a&Namespace=Shop&MetricName=Orders&Statistic=Sum&Period=60&EvaluationPeriods=1&Threshold=0.5&ComparisonOperator=GreaterThanThreshold&ActionsEnabled=false", "<PutMetricAlarmResult></PutMetricAlarmResult>"},
		{"application/x-www-form-urlencoded", "", "Action=DescribeAlarms&AlarmNames.member.1=a", "<ActionsEnabled>false</ActionsEnabled>"},
		{"application/x-www-form-urlencoded", "", "Action=DeleteAlarms", "<Code>InvalidParameterValue</Code>"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", r.kind)
		request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=x")
		if r.target != "" {
			request.Header.Set("X-Amz-Target", r.target)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(got), r.want) {
			t.Errorf("%s\ngot  %s, %v\nwant %s", r.body, got, err, r.want)
		}
	}
}
