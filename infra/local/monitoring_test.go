package local_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/infra/local"
)

// The resources of a shop that is watched.
const (
	people       = `"People": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "shop-local-people", "DisplayName": "Shop", "Tags": [{"Key": "a", "Value": "b"}]}}`
	peoplePolicy = `"PeoplePolicy": {"Type": "AWS::SNS::TopicPolicy", "Properties": {"Topics": [{"Ref": "People"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": {"Ref": "People"},
		 "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:*"}, "StringEquals": {"aws:SourceAccount": "000000000000"}}}]}}}`
	byMail  = `"ByMail": {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Ref": "People"}, "Protocol": "email", "Endpoint": "ann@example.org"}}`
	byQueue = `"ByQueue": {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": {"Ref": "People"}, "Protocol": "sqs", "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]}, "RawMessageDelivery": true}}`
	mayTell = `"MayTell": {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}, "Action": "sqs:SendMessage", "Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}}`
	changes = `"Changes": {"Type": "AWS::Events::Rule", "Properties": {"Name": "changes", "EventPattern": {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}},
		"Targets": [{"Id": "q", "Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}]}}`
	late = `"Late": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "late", "AlarmDescription": "look", "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0.5, "EvaluationPeriods": 3,
		"DatapointsToAlarm": 2, "TreatMissingData": "notBreaching", "AlarmActions": [{"Ref": "People"}], "Metrics": [
			{"Id": "m", "ReturnData": false, "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Late", "Dimensions": [{"Name": "Queue", "Value": {"Fn::GetAtt": ["Queue", "QueueName"]}}]}, "Period": 60, "Stat": "p90"}},
			{"Id": "filled", "Expression": "FILL(m, 0)", "Label": "late"}]}}`
	board = `"Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": {"DashboardName": "shop", "DashboardBody": "{}"}}`
)

// safeBuffer is a buffer that a logger writes to while a test reads it.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func setAlarm(t *testing.T, env *local.Environment, state cwtypes.StateValue) {
	t.Helper()
	_, err := cloudwatch.NewFromConfig(awsConfig(env.Endpoint())).SetAlarmState(t.Context(), &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("late"), StateValue: state, StateReason: aws.String("a test")})
	if err != nil {
		t.Fatal(err)
	}
}

func TestADeployedAlarmTellsPeopleAndTheBus(t *testing.T) {
	dir := t.TempDir()
	log := &safeBuffer{}
	settings := config(shopOf(ordersQueue, people, peoplePolicy, byMail, byQueue, mayTell, changes, late, board), dir)
	settings.Logger = slog.New(slog.NewTextHandler(log, nil))
	env, err := local.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = env.Close() })
	setAlarm(t, env, cwtypes.StateValueAlarm)
	queues := sqs.NewFromConfig(awsConfig(env.Endpoint()))
	got := map[string]string{}
	until(t, "the topic's queue and the rule's have been told", func() bool {
		out, err := queues.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(env.Endpoint() + "/000000000000/shop-local-orders"), MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			var body struct {
				NewStateValue string
				DetailType    string `json:"detail-type"`
				Account       string `json:"account"`
			}
			if err := json.Unmarshal([]byte(*m.Body), &body); err != nil {
				t.Fatal(err)
			}
			got[body.NewStateValue+body.DetailType] = *m.Body
		}
		return got["ALARM"] != "" && got["CloudWatch Alarm State Change"] != ""
	})
	if !strings.Contains(log.String(), `to=ann@example.org subject="ALARM: \"late\" in US East (N. Virginia)" message="Your Amazon CloudWatch alarm`) {
		t.Errorf("the email was not shown: %s", log)
	}
	if without := strings.Join(env.WithoutEffect(), "; "); !strings.Contains(without, "dashboards") || !strings.Contains(without, "email") {
		t.Errorf("without effect: %s", without)
	}

	// A restart leaves the state; without the templates' alarm and topic there is none.
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	states := func(env *local.Environment) (alarms []string, topics int) {
		t.Helper()
		described, err := cloudwatch.NewFromConfig(awsConfig(env.Endpoint())).DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range described.MetricAlarms {
			alarms = append(alarms, *a.AlarmName+" "+string(a.StateValue))
		}
		listed, err := sns.NewFromConfig(awsConfig(env.Endpoint())).ListTopics(t.Context(), &sns.ListTopicsInput{})
		if err != nil {
			t.Fatal(err)
		}
		return alarms, len(listed.Topics)
	}
	again, err := local.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	if alarms, topics := states(again); len(alarms) != 1 || alarms[0] != "late ALARM" || topics != 1 {
		t.Errorf("after a restart: %v, %d topics", alarms, topics)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	without := openShop(t, dir, ordersQueue)
	if alarms, topics := states(without.Environment); len(alarms) != 0 || topics != 0 {
		t.Errorf("without them: %v, %d topics", alarms, topics)
	}
}

func TestADeployedAlarmInvokesAFunctionThatPermitsIt(t *testing.T) {
	snapshot, err := quick()
	if err != nil {
		t.Fatal(err)
	}
	const function = "arn:aws:lambda:us-east-1:000000000000:function:" + trades
	snapshot.Stacks = append(snapshot.Stacks, "watch")
	snapshot.Templates["watch"] = json.RawMessage(`{"Resources": {
		"May": {"Type": "AWS::Lambda::Permission", "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": "` + trades + `", "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
			"SourceAccount": "000000000000", "SourceArn": {"Fn::GetAtt": ["Late", "Arn"]}}},
		"Late": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "late", "Namespace": "Shop", "MetricName": "Late", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
			"ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "ignore", "AlarmActions": ["` + function + `"]}}}}`)
	env := start(t, snapshot, t.TempDir())
	t.Cleanup(func() { env.Close() })
	setAlarm(t, env, cwtypes.StateValueAlarm)
	logs := cloudwatchlogs.NewFromConfig(awsConfig(env.Endpoint()))
	until(t, "the function has been invoked", func() bool {
		out, err := logs.FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String("/aws/lambda/" + trades), FilterPattern: aws.String("START")})
		return err == nil && len(out.Events) > 0
	})
	history, err := cloudwatch.NewFromConfig(awsConfig(env.Endpoint())).DescribeAlarmHistory(t.Context(), &cloudwatch.DescribeAlarmHistoryInput{AlarmName: aws.String("late"), HistoryItemType: cwtypes.HistoryItemTypeAction})
	if err != nil || len(history.AlarmHistoryItems) != 1 || *history.AlarmHistoryItems[0].HistorySummary != "Successfully executed action "+function {
		t.Errorf("history: %+v, %v", history, err)
	}
}
