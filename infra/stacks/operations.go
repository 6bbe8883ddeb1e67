package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Operations is the stack of what keeps an eye on an environment:
//
//	alarms of every stack ──────────▶ Topic ──▶ the environment's alarmEmails
//	a subscription's breaker alarm ──▶ Breaker ──┘
//
// A function's own alarms are in its stack.
type Operations struct {
	Stack awscdk.Stack

	// Topic is how alarms and the breaker tell people. More may subscribe to it.
	Topic awssns.CfnTopic

	// Breaker is the program that stops subscriptions which fail; by Watch,
	// every minute, it looks after those that are stopped.
	Breaker *Program
	Watch   awsevents.CfnRule

	// Dashboards show the environment and every subscription; there is a further
	// one for every 90 subscriptions.
	Dashboards []awscloudwatch.CfnDashboard
}

func newOperations(p *project, functions []manifest.Function) *Operations {
	o := &Operations{Stack: p.newStack(names.OperationsStack)}
	o.newTopic(p)
	o.newBreaker(p)
	sharedAlarms(p, o)
	for i, body := range dashboards(p, functions) {
		part := i + 1
		o.Dashboards = append(o.Dashboards, awscloudwatch.NewCfnDashboard(o.Stack, jsii.Sprintf("Dashboard%d", part), &awscloudwatch.CfnDashboardProps{
			DashboardName: jsii.String(p.names.Dashboard(part)),
			DashboardBody: &body,
		}))
	}
	return o
}

// newTopic adds the topic, to which this environment's alarms may publish, and
// the breaker by its role. It is encrypted where the environment has a key: SNS
// has none of its own but aws/sns, which no alarm can use ("Encrypting messages
// published to Amazon SNS with AWS KMS").
func (o *Operations) newTopic(p *project) {
	o.Topic = awssns.NewCfnTopic(o.Stack, jsii.String("Topic"), &awssns.CfnTopicProps{
		TopicName:      jsii.String(p.names.Topic()),
		DisplayName:    jsii.String(p.names.Bus()),
		KmsMasterKeyId: p.keyARN(),
	})
	if p.keyARN() == nil {
		suppress(o.Topic, "AwsSolutions-SNS2", "The environment has no key of its own, and alarms cannot use the one that AWS manages.")
	}
	this := []*string{o.Topic.Ref()}
	awssns.NewCfnTopicPolicy(o.Stack, jsii.String("TopicPolicy"), &awssns.CfnTopicPolicyProps{
		Topics: &this,
		PolicyDocument: policyDocument([]statement{
			{
				sid:        "Alarms",
				principals: servicePrincipal("cloudwatch.amazonaws.com"),
				actions:    []string{"sns:Publish"},
				resources:  this,
				conditions: map[string]any{
					"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()},
					"ArnLike":      map[string]any{"aws:SourceArn": arn("cloudwatch", "alarm:"+p.names.Bus()+"-*")},
				},
			},
			{
				sid:        "TLSOnly",
				deny:       true,
				principals: anyonePrincipal(),
				actions:    []string{"sns:Publish"},
				resources:  this,
				conditions: map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
			},
		}),
	})
	for _, address := range p.props.Env.AlarmEmails {
		awssns.NewCfnSubscription(o.Stack, jsii.String("Email-"+address), &awssns.CfnSubscriptionProps{
			TopicArn: o.Topic.Ref(), Protocol: jsii.String("email"), Endpoint: &address,
		})
	}
}

// breakerEvents are what the breaker publishes.
var breakerEvents = source{"penstock", []string{"penstock/SUBSCRIPTION_RESUMED", "penstock/SUBSCRIPTION_STOPPED"}}

// newBreaker adds the program. Its timeout is Lambda's longest, since it waits
// for a function that it probes.
func (o *Operations) newBreaker(p *project) {
	n := p.names
	all := n.Bus() + "-*"
	alarms := arn("cloudwatch", "alarm:"+n.Alarm("*", "*", names.BreakerAlarm))
	o.Breaker = newProgram(p, o.Stack, "Breaker", program{
		name:           names.Breaker,
		description:    "Stops subscriptions that fail, and looks after those that are stopped",
		code:           names.SystemPackages + names.Breaker,
		memoryMB:       256,
		timeoutSeconds: 900,
		environment: map[string]string{
			names.VarApp:        n.App,
			names.VarEnv:        n.Env,
			names.VarFunction:   names.Breaker,
			names.VarBus:        n.Bus(),
			names.VarStateTable: n.Table(names.StateTable),
			names.VarTopic:      *o.Topic.Ref(),
		},
		policy: []statement{
			{actions: []string{"lambda:ListEventSourceMappings", "cloudwatch:GetMetricData"}, resources: *jsii.Strings("*")},
			{
				actions:    []string{"lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"},
				resources:  []*string{arn("lambda", "event-source-mapping:*")},
				conditions: map[string]any{"ArnLike": map[string]any{"lambda:FunctionArn": arn("lambda", "function:"+all)}},
			},
			{actions: []string{"lambda:InvokeFunction"}, resources: []*string{arn("lambda", "function:"+all)}},
			{actions: []string{"cloudwatch:DescribeAlarms"}, resources: []*string{arn("cloudwatch", "alarm:*")}},
			{actions: []string{"cloudwatch:SetAlarmState"}, resources: []*string{alarms}},
			{
				actions:   []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags", "sqs:ReceiveMessage"},
				resources: []*string{queueARN(all)},
			},
			{actions: []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"}, resources: []*string{tableARN(n.Table(names.StateTable))}},
			{actions: []string{"sns:Publish"}, resources: []*string{o.Topic.Ref()}},
			putEvents(n, breakerEvents),
		},
	})
	suppress(o.Breaker.Role.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-IAM5",
		"It looks after every subscription of the environment, whose resources are told by the beginning of their names; what lists takes no resource.")
	awslambda.NewCfnPermission(o.Stack, jsii.String("AlarmsPermission"), &awslambda.CfnPermissionProps{
		Action:        jsii.String("lambda:InvokeFunction"),
		FunctionName:  o.Breaker.Lambda.FunctionName(),
		Principal:     jsii.String("lambda.alarms.cloudwatch.amazonaws.com"),
		SourceAccount: awscdk.Aws_ACCOUNT_ID(),
		SourceArn:     alarms,
	})
	rule := n.Rule(names.Breaker, "watch")
	awslambda.NewCfnPermission(o.Stack, jsii.String("WatchPermission"), &awslambda.CfnPermissionProps{
		Action:       jsii.String("lambda:InvokeFunction"),
		FunctionName: o.Breaker.Lambda.FunctionName(),
		Principal:    jsii.String("events.amazonaws.com"),
		SourceArn:    scheduleARN(rule),
	})
	o.Watch = awsevents.NewCfnRule(o.Stack, jsii.String("Watch"), &awsevents.CfnRuleProps{
		Name:               &rule,
		Description:        jsii.String("Has the breaker look after the subscriptions that are stopped"),
		ScheduleExpression: jsii.String("rate(1 minute)"),
		State:              jsii.String("ENABLED"),
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:  jsii.String("breaker"),
			Arn: o.Breaker.Lambda.FunctionArn(),
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(60),
				MaximumRetryAttempts:     jsii.Number(0),
			},
		}},
	})
}
