package stacks

import (
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/names"
)

// Access is the stack of the policies for those who are not functions. Nobody
// has them until they are attached: to the role of an application, or to the
// permission set of a team.
type Access struct {
	Stack awscdk.Stack

	// Publish lets an application publish the event types of one source, by the
	// outbox or at once; by source.
	Publish map[string]awsiam.CfnManagedPolicy

	// Connect lets a connector find the functions that declare topics, and invoke
	// functions.
	Connect awsiam.CfnManagedPolicy

	// Operate lets people do what the command does, but neither deploy nor read
	// a secret's value.
	Operate awsiam.CfnManagedPolicy
}

func newAccess(p *project) *Access {
	a := &Access{Stack: p.newStack(names.AccessStack), Publish: map[string]awsiam.CfnManagedPolicy{}}
	for _, s := range sourcesOf(p.types) {
		a.Publish[s.name] = newManagedPolicy(a.Stack, "Publish-"+s.name, p.names.PublishPolicy(s.name),
			"Publish the events of "+s.name+" on the bus "+p.names.Bus(),
			[]statement{putEvents(p.names, s), enqueueEvents(p.names, s.types)})
	}
	a.Connect = newManagedPolicy(a.Stack, "Connect", p.names.ConnectPolicy(),
		"Invoke the functions of "+p.names.Bus()+" by the topics that they declare", []statement{
			// It takes no resource ("Actions, resources, and condition keys for AWS
			// Resource Groups Tagging API").
			{actions: []string{"tag:GetResources"}, resources: []*string{jsii.String("*")}},
			{actions: []string{"lambda:InvokeFunction"}, resources: []*string{arn("lambda", "function:"+p.names.Function("*"))}},
		})
	suppress(a.Connect, "AwsSolutions-IAM5", "The functions of an environment are told by the beginning of their names, and what finds them takes no resource.")
	a.Operate = newManagedPolicy(a.Stack, "Operate", p.names.OperatePolicy(),
		"What the penstock command does in "+p.names.Bus()+", but for reading secrets; no deployment", operations(p))
	suppress(a.Operate, "AwsSolutions-IAM5", "The resources of an environment are told by the beginning of their names, and what lists them takes no resource.")
	return a
}

func newManagedPolicy(stack awscdk.Stack, id, name, description string, statements []statement) awsiam.CfnManagedPolicy {
	return awsiam.NewCfnManagedPolicy(stack, &id, &awsiam.CfnManagedPolicyProps{
		ManagedPolicyName: &name,
		Description:       &description,
		PolicyDocument:    policyDocument(statements),
	})
}

// A source is a module, with the names of the event types that it announces.
type source struct {
	name  string
	types []string // "source/NAME", sorted
}

// sourcesOf returns the sources of all event types, sorted.
func sourcesOf(types *schema.Set) []source {
	var all []string
	for _, t := range types.Types() {
		all = append(all, t.String())
	}
	return bySource(all)
}

// bySource returns the sources of event types, "source/NAME", sorted.
func bySource(types []string) []source {
	var sources []source
	for _, t := range slices.Sorted(slices.Values(types)) {
		name, _, _ := strings.Cut(t, "/")
		if n := len(sources); n == 0 || sources[n-1].name != name {
			sources = append(sources, source{name: name})
		}
		s := &sources[len(sources)-1]
		s.types = append(s.types, t)
	}
	return sources
}

// putEvents allows the event types of one source on the bus. EventBridge looks
// at each entry of a call ("Using IAM policy conditions in Amazon EventBridge").
func putEvents(n names.Names, s source) statement {
	var detailTypes []string
	for _, name := range s.types {
		_, detailType, _ := strings.Cut(name, "/")
		detailTypes = append(detailTypes, detailType)
	}
	return statement{
		actions:   []string{"events:PutEvents"},
		resources: []*string{busARN(n.Bus())},
		conditions: map[string]any{"StringEquals": map[string]any{
			"events:source":      s.name,
			"events:detail-type": detailTypes,
		}},
	}
}

// enqueueEvents allows event types in the outbox, whose keys begin with the
// type: a writer can enqueue no others.
func enqueueEvents(n names.Names, types []string) statement {
	var keys []string
	for _, event := range types {
		keys = append(keys, event+"#*")
	}
	return statement{
		actions:    []string{"dynamodb:PutItem"},
		resources:  []*string{tableARN(n.Table(names.OutboxTable))},
		conditions: map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": keys}},
	}
}

// operations are what the command does, by the group of its verbs. A test of the
// command holds them to what its verbs use.
func operations(p *project) []statement {
	n := p.names
	all := n.Bus() + "-*"
	tails, replays := n.TailPrefix()+"*", n.ReplayPrefix()+"*"
	lists := *jsii.Strings("*")
	var sessions []statement
	if p.props.Env.StorageAPI {
		sessions = []statement{
			{
				sid:       "SessionKeys",
				actions:   []string{"secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue"},
				resources: []*string{secretARN(n.SessionKeys())},
			},
			{
				sid:       "RevokedSessions",
				actions:   []string{"dynamodb:PutItem"},
				resources: []*string{tableARN(n.Table(names.SessionsTable))},
			},
		}
	}
	return append(sessions, []statement{
		{
			sid: "Functions",
			actions: []string{
				"lambda:GetFunctionConfiguration", "lambda:InvokeFunction",
			},
			resources: []*string{arn("lambda", "function:"+all)},
		},
		{
			sid:       "Logs",
			actions:   []string{"logs:FilterLogEvents"},
			resources: []*string{arn("logs", "log-group:"+n.LogGroup("*"))},
		},
		{
			sid:        "Subscriptions",
			actions:    []string{"lambda:UpdateEventSourceMapping"},
			resources:  []*string{arn("lambda", "event-source-mapping:*")},
			conditions: map[string]any{"ArnLike": map[string]any{"lambda:FunctionArn": arn("lambda", "function:"+all)}},
		},
		{
			sid:       "Queues",
			actions:   []string{"sqs:GetQueueAttributes", "sqs:GetQueueUrl"},
			resources: []*string{queueARN(all)},
		},
		{
			sid:       "DLQs",
			actions:   []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"},
			resources: []*string{queueARN(all + "-dlq")}, // those of rules, too
		},
		{
			sid: "TapQueues", // which a tail and a replay make for a while
			actions: []string{
				"sqs:CreateQueue", "sqs:DeleteMessage", "sqs:DeleteQueue", "sqs:ListQueueTags", "sqs:ReceiveMessage", "sqs:TagQueue",
			},
			resources: []*string{queueARN(tails), queueARN(replays)},
		},
		{
			sid: "TapRules",
			actions: []string{
				"events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource",
			},
			resources: []*string{ruleARN(n.Bus(), tails), scheduleARN(tails), ruleARN(n.Bus(), replays)}, // of this bus, and of the default one
		},
		{
			sid:       "Replays",
			actions:   []string{"events:CancelReplay", "events:DescribeReplay", "events:StartReplay"},
			resources: []*string{arn("events", "replay/"+replays)},
		},
		{
			sid:       "Archive",
			actions:   []string{"events:DescribeArchive", "events:StartReplay"},
			resources: []*string{arn("events", "archive/"+n.Archive())},
		},
		{
			// Straight to a subscription's queue: what a redrive brings back, and what a
			// replay at a pace sends as the rule would.
			sid:       "Resend",
			actions:   []string{"sqs:SendMessage"},
			resources: []*string{queueARN(all)},
		},
		{
			sid:       "Rules",
			actions:   []string{"events:ListTargetsByRule"},
			resources: []*string{ruleARN(n.Bus(), all)},
		},
		{
			sid:       "Publish",
			actions:   []string{"events:PutEvents"},
			resources: []*string{busARN(n.Bus())},
		},
		{
			sid: "Secrets",
			actions: []string{
				"secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret",
				"secretsmanager:RestoreSecret", "secretsmanager:UpdateSecret",
			},
			resources: []*string{secretARN(n.Secret("*"))},
		},
		{
			// Whatever else they have: the command never reads a value.
			sid:       "NoSecretValues",
			deny:      true,
			actions:   []string{"secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"},
			resources: lists,
		},
		{
			sid:       "Alarms",
			actions:   []string{"cloudwatch:SetAlarmState"},
			resources: []*string{arn("cloudwatch", "alarm:"+all)},
		},
		{
			sid:       "Deliveries",
			actions:   []string{"dynamodb:Query"},
			resources: []*string{tableARN(n.Table(names.DeliveriesTable))},
		},
		{
			sid:       "Stops",
			actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan"},
			resources: []*string{tableARN(n.Table(names.StateTable))},
		},
		{
			sid:       "Outbox", // where a trace looks for what was not sent yet
			actions:   []string{"dynamodb:Scan"},
			resources: []*string{tableARN(n.Table(names.OutboxTable))},
		},
		{
			sid:       "AlarmTopic",
			actions:   []string{"sns:ListSubscriptionsByTopic"},
			resources: []*string{arn("sns", n.Topic())},
		},
		{
			sid:       "Bootstrap",
			actions:   []string{"ssm:GetParameter"},
			resources: []*string{arn("ssm", "parameter/cdk-bootstrap/*")},
		},
		{sid: "Metrics", actions: anyResource["metrics"], resources: lists},
		{sid: "Lists", actions: slices.Sorted(slices.Values(anyResource["lists"])), resources: lists},
	}...)
}
