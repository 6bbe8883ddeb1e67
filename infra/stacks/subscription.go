package stacks

import (
	"encoding/json"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Subscription is one function receiving one event type:
//
//	bus ──▶ Rule ──▶ Queue ── Mapping ──▶ the function
//	          │        └─ after MaxReceiveCount receives ──▶ DLQ
//	          └─ what could not be put into the queue ─────▶ RuleDLQ
//
// An event waits 4 days in the queue; in the DLQs 14, since the age of a message
// that was moved there counts from when it was first sent.
type Subscription struct {
	Manifest *manifest.Subscription
	Rule     awsevents.CfnRule
	Queue    awssqs.Queue
	DLQ      awssqs.Queue
	RuleDLQ  awssqs.Queue
	Mapping  awslambda.CfnEventSourceMapping // nil for one that was deleted

	scope constructs.Construct
}

const (
	queueRetentionDays = manifest.TombstoneDays // that a deleted subscription's queue stays
	dlqRetentionDays   = 14

	// EventBridge's own defaults, written out ("RetryPolicy"): for a day it
	// tries to put an event into the queue, then the event goes to the RuleDLQ.
	ruleRetrySeconds  = 24 * 60 * 60
	ruleRetryAttempts = 185
)

// newSubscription makes all but the mapping, which deliver adds. The logical ids
// are by the subscription's name alone, so that one which is deleted and created
// again keeps its queue.
func newSubscription(p *project, f *Function, m *manifest.Subscription) *Subscription {
	scope := constructs.NewConstruct(f.Stack, jsii.String("Subscription-"+m.Name))
	fn := f.Manifest.Name
	s := &Subscription{Manifest: m, scope: scope}

	s.DLQ = newQueue(scope, "DLQ", &awssqs.QueueProps{
		QueueName:       jsii.String(p.names.DLQ(fn, m.Name)),
		RetentionPeriod: days(dlqRetentionDays),
	}, p.keyARN())
	s.Queue = newQueue(scope, "Queue", &awssqs.QueueProps{
		QueueName:       jsii.String(p.names.Queue(fn, m.Name)),
		RetentionPeriod: days(queueRetentionDays),
		// Lambda, "Creating and configuring an Amazon SQS event source mapping":
		// six times the timeout plus the window, so that a batch which Lambda
		// has throttled and tries again is still invisible to everyone else.
		VisibilityTimeout: seconds(6*f.Manifest.TimeoutSeconds + m.BatchWindowSeconds),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: s.DLQ, MaxReceiveCount: jsii.Number(m.MaxReceiveCount)},
	}, p.keyARN())
	// By these the breaker, which is told of a mapping, knows the subscription.
	tags := awscdk.Tags_Of(s.Queue)
	tags.Add(jsii.String(names.TagFunction), &fn, nil)
	tags.Add(jsii.String(names.TagSubscription), &m.Name, nil)
	tags.Add(jsii.String(names.TagEvent), &m.Event, nil)
	tags.Add(jsii.String(names.TagProbe), jsii.String(strconv.Itoa(m.Breaker.ProbeAfterMinutes)), nil)
	s.RuleDLQ = newQueue(scope, "RuleDLQ", &awssqs.QueueProps{
		QueueName:       jsii.String(p.names.RuleDLQ(fn, m.Name)),
		RetentionPeriod: days(dlqRetentionDays),
	}, p.keyARN())

	suppressNoDLQ(s.RuleDLQ)

	s.Rule = p.newRule(scope, p.names.Rule(fn, m.Name), eventPattern(m.Pattern()), s.Queue, s.RuleDLQ)
	return s
}

// newRule adds the rule, in scope, that puts events into a queue, and what it
// could not put there into a DLQ of its own.
func (p *project) newRule(scope constructs.Construct, name string, pattern any, queue, dlq awssqs.Queue) awsevents.CfnRule {
	bus := p.names.Bus()
	allowEvents(queue, ruleARN(bus, name))
	allowEvents(dlq, ruleARN(bus, name))
	rule := awsevents.NewCfnRule(scope, jsii.String("Rule"), &awsevents.CfnRuleProps{
		Name:         &name,
		EventBusName: &bus,
		EventPattern: pattern,
		State:        jsii.String("ENABLED"), // a pause disables the mapping, never the rule
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:               jsii.String("queue"),
			Arn:              queue.QueueArn(),
			DeadLetterConfig: &awsevents.CfnRule_DeadLetterConfigProperty{Arn: dlq.QueueArn()},
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(ruleRetrySeconds),
				MaximumRetryAttempts:     jsii.Number(ruleRetryAttempts),
			},
		}},
	})
	// A rule that is there before it may send loses events: to EventBridge a
	// queue that refuses is no reason to try again.
	rule.AddResourceDependency(policyOf(queue), nil)
	rule.AddResourceDependency(policyOf(dlq), nil)
	return rule
}

// deliver adds the mapping, by which the function receives what is in the queue.
func (s *Subscription) deliver(f *Function) {
	m := s.Manifest
	props := &awslambda.CfnEventSourceMappingProps{
		FunctionName:                   f.Lambda.FunctionName(),
		EventSourceArn:                 s.Queue.QueueArn(),
		BatchSize:                      jsii.Number(m.BatchSize),
		MaximumBatchingWindowInSeconds: jsii.Number(m.BatchWindowSeconds),
		FunctionResponseTypes:          jsii.Strings("ReportBatchItemFailures"),
		ScalingConfig: &awslambda.CfnEventSourceMapping_ScalingConfigProperty{
			MaximumConcurrency: jsii.Number(f.Manifest.MaxConcurrency),
		},
		// What a handler reports as failed leaves no trace in the function's
		// Errors: FailedInvokeEventCount is where it shows.
		MetricsConfig: &awslambda.CfnEventSourceMapping_MetricsConfigProperty{Metrics: jsii.Strings("EventCount")},
	}
	if m.Enabled != nil && !*m.Enabled {
		// Only ever false: a template that said true would undo the breaker, or
		// a person, at the next deployment.
		props.Enabled = jsii.Bool(false)
	}
	s.Mapping = awslambda.NewCfnEventSourceMapping(s.scope, jsii.String("Mapping"), props)
}

// eventPattern is an event pattern as the CDK takes it.
func eventPattern(text []byte) any {
	var pattern any
	if err := json.Unmarshal(text, &pattern); err != nil {
		panic(err)
	}
	return withNulls(pattern)
}

// withNulls replaces each null in a JSON value by the CDK's own, which leaves
// out a null that comes from another language.
func withNulls(value any) any {
	switch value := value.(type) {
	case nil:
		return awscdk.JsonNull_INSTANCE()
	case []any:
		for i := range value {
			value[i] = withNulls(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = withNulls(value[key])
		}
	}
	return value
}

// newQueue makes a queue that is encrypted, with SQS's own key if key is nil,
// and takes no request without TLS.
func newQueue(scope constructs.Construct, id string, props *awssqs.QueueProps, key *string) awssqs.Queue {
	props.Encryption = awssqs.QueueEncryption_SQS_MANAGED
	props.EnforceSSL = jsii.Bool(true)
	props.RemovalPolicy = awscdk.RemovalPolicy_DESTROY
	queue := awssqs.NewQueue(scope, &id, props)
	encryptQueue(queue, key)
	return queue
}

// allowEvents lets EventBridge send to a queue on behalf of one source, a rule
// or a bus, and of no other, in this account or another.
func allowEvents(queue awssqs.Queue, source *string) {
	queue.AddToResourcePolicy(statement{
		principals: servicePrincipal("events.amazonaws.com"),
		actions:    []string{"sqs:SendMessage"},
		resources:  []*string{queue.QueueArn()},
		conditions: map[string]any{"ArnEquals": map[string]any{"aws:SourceArn": source}},
	}.policyStatement())
}

// suppressNoDLQ says of a queue that it is the DLQ of a rule or a bus, which
// cdk-nag does not know: it looks for queues that name it.
func suppressNoDLQ(dlq awssqs.Queue) {
	suppress(dlq.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-SQS3", "It is itself a DLQ, of EventBridge.")
}

// policyOf is the resource of a queue's policy.
func policyOf(queue awssqs.Queue) awscdk.CfnResource {
	policy := queue.Node().FindChild(jsii.String("Policy"))
	return policy.Node().DefaultChild().(awscdk.CfnResource)
}
