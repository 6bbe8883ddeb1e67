package stacks

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// A metric of CloudWatch: what is measured, and by its dimensions of what.
type metric struct {
	namespace, name string
	dimensions      []dimension
}

type dimension struct{ name, value string }

func queueMetric(name, queue string) metric {
	return metric{"AWS/SQS", name, []dimension{{"QueueName", queue}}}
}

func functionMetric(name, function string) metric {
	return metric{"AWS/Lambda", name, []dimension{{"FunctionName", function}}}
}

// mappingMetric is one of a mapping's own ("Types of metrics for Lambda
// functions", event source mapping metrics). They count what a handler reports
// as failed, which the function's Errors do not.
func mappingMetric(name string, uuid *string) metric {
	return metric{"AWS/Lambda", name, []dimension{{"EventSourceMappingUUID", *uuid}}}
}

func ruleMetric(name, bus, rule string) metric {
	return metric{"AWS/Events", name, []dimension{{"EventBusName", bus}, {"RuleName", rule}}}
}

// programMetric is one that a program of Penstock's own reports; see functions/system.
func programMetric(n names.Names, name string) metric {
	return metric{"Penstock", name, []dimension{{"App", n.App}, {"Environment", n.Env}}}
}

// An alarm watches one metric by the minute. Its description is what a person
// reads at night: what is the matter, and what to do.
type alarm struct {
	name        string
	description string
	metric      metric
	stat        string  // Sum or Maximum
	above       float64 // it breaches with more than this
	minutes     int     // in so many minutes
	ofMinutes   int     // of so many
	// always says that the metric is there every minute, so that people are
	// told when it is missing. Of others, a minute without data is a good one.
	always bool
}

// add makes the alarm, which tells the environment's topic.
func (a alarm) add(p *project, scope constructs.Construct) {
	props := &awscloudwatch.CfnAlarmProps{
		AlarmName:          &a.name,
		AlarmDescription:   &a.description,
		Namespace:          &a.metric.namespace,
		MetricName:         &a.metric.name,
		Dimensions:         a.metric.alarmDimensions(),
		Statistic:          &a.stat,
		Period:             jsii.Number(60),
		EvaluationPeriods:  jsii.Number(a.ofMinutes),
		DatapointsToAlarm:  jsii.Number(a.minutes),
		Threshold:          jsii.Number(a.above),
		ComparisonOperator: jsii.String("GreaterThanThreshold"),
		TreatMissingData:   jsii.String("notBreaching"),
		AlarmActions:       &[]any{topicARN(p.names.Topic())},
	}
	if a.always {
		props.TreatMissingData = jsii.String("missing")
		props.InsufficientDataActions = props.AlarmActions
	}
	_, about, _ := strings.Cut(a.name, "/")
	awscloudwatch.NewCfnAlarm(scope, jsii.String("Alarm-"+about), props)
}

func (m metric) alarmDimensions() []any {
	var out []any
	for _, d := range m.dimensions {
		out = append(out, &awscloudwatch.CfnAlarm_DimensionProperty{Name: &d.name, Value: &d.value})
	}
	return out
}

// oldestHours is the age at which an event has waited for too long: an hour, which
// outlasts the retries of a manifest's defaults. A function on HTTP tries an event
// for the fourth time after up to 2 hours and 50 minutes, and SQS's figure passes
// over what was received so often.
func (f *Function) oldestHours() int {
	if f.Manifest.Kind() == manifest.KindHTTP {
		return 3
	}
	return 1
}

// hours is a number of hours, as a sentence has it.
func hours(n int) string {
	if n == 1 {
		return "an hour"
	}
	return fmt.Sprintf("%d hours", n)
}

// alarms adds those of a subscription that is delivered.
func (s *Subscription) alarms(p *project, f *Function) {
	n, fn, m := p.names, f.Manifest.Name, s.Manifest
	named := fn + "/" + m.Name
	for _, a := range []alarm{
		{
			name: n.Alarm(fn, m.Name, "dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", n.DLQ(fn, m.Name)), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("Events that %s could not handle are in its DLQ, %s. They stay for %d days. See why (penstock dlq list %s), mend it, and move them back (penstock dlq redrive %s --all).",
				named, n.DLQ(fn, m.Name), dlqRetentionDays, named, named),
		},
		{
			name: n.Alarm(fn, m.Name, "rule-dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", n.RuleDLQ(fn, m.Name)), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("EventBridge could not put events into the queue of %s: they are in %s, for %d days, with the reason. See it (penstock dlq list %s), look at the queue, its policy and its key, and move them on (penstock dlq redrive %s --queue rule-dlq --all).",
				named, n.RuleDLQ(fn, m.Name), dlqRetentionDays, named, named),
		},
		{
			name: n.Alarm(fn, m.Name, "rule-failures"), metric: ruleMetric("FailedInvocations", n.Bus(), n.Rule(fn, m.Name)), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("EventBridge gave up delivering events to %s. Look into %s for them, and at the policy and the key of the queue %s for the cause.",
				named, n.RuleDLQ(fn, m.Name), n.Queue(fn, m.Name)),
		},
		{
			name: n.Alarm(fn, m.Name, "age"), metric: queueMetric("ApproximateAgeOfOldestMessage", n.Queue(fn, m.Name)), stat: "Maximum", above: float64(3600 * f.oldestHours()), minutes: 5, ofMinutes: 5,
			description: fmt.Sprintf("Events for %s wait for more than %s; after %d days they are lost. See whether it is stopped (penstock subscriptions get %s), throttled or slow: enable it, mend it, or raise maxConcurrency.",
				named, hours(f.oldestHours()), queueRetentionDays, named),
		},
		{
			// SQS's figure of the oldest message passes over one that was
			// received often: that a few fail again and again shows here alone.
			name: n.Alarm(fn, m.Name, "failed"), metric: mappingMetric("FailedInvokeEventCount", s.Mapping.AttrId()), stat: "Sum", minutes: 10, ofMinutes: 15,
			description: fmt.Sprintf("Events keep failing in %s: some in 10 of the last 15 minutes. Read why (penstock functions logs %s --filter '\"outcome\":\"failed\"'). What fails %d times goes to the DLQ.",
				named, fn, m.MaxReceiveCount),
		},
	} {
		a.add(p, s.scope)
	}
	if !m.Breaker.Off {
		s.breakerAlarm(p, f)
	}
}

// breakerAlarm adds the one that has the breaker stop the subscription. People
// are told by the breaker, once it has.
func (s *Subscription) breakerAlarm(p *project, f *Function) {
	m, b := s.Manifest, s.Manifest.Breaker
	stat := func(id, name string) *awscloudwatch.CfnAlarm_MetricDataQueryProperty {
		metric := mappingMetric(name, s.Mapping.AttrId())
		return &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id: &id, ReturnData: jsii.Bool(false),
			MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{
				Metric: &awscloudwatch.CfnAlarm_MetricProperty{Namespace: &metric.namespace, MetricName: &metric.name, Dimensions: metric.alarmDimensions()},
				Period: jsii.Number(60), Stat: jsii.String("Sum"),
			},
		}
	}
	awscloudwatch.NewCfnAlarm(s.scope, jsii.String("Alarm-"+names.BreakerAlarm), &awscloudwatch.CfnAlarmProps{
		AlarmName: jsii.String(p.names.Alarm(f.Manifest.Name, m.Name, names.BreakerAlarm)),
		AlarmDescription: jsii.String(fmt.Sprintf("%s/%s fails: the breaker stops it, and its events wait in the queue. Mend the cause, then: penstock subscriptions enable %s/%s",
			f.Manifest.Name, m.Name, f.Manifest.Name, m.Name)),
		Metrics: []any{
			stat("invoked", "InvokedEventCount"), stat("failed", "FailedInvokeEventCount"),
			&awscloudwatch.CfnAlarm_MetricDataQueryProperty{
				Id: jsii.String("percent"), Label: jsii.String("failed events, percent"),
				Expression: jsii.String(fmt.Sprintf("IF(invoked >= %d, 100 * failed / invoked, 0)", b.MinimumEvents)),
			},
		},
		EvaluationPeriods:  jsii.Number(b.OfMinutes),
		DatapointsToAlarm:  jsii.Number(b.Minutes),
		Threshold:          jsii.Number(b.FailedPercent),
		ComparisonOperator: jsii.String("GreaterThanOrEqualToThreshold"),
		TreatMissingData:   jsii.String("notBreaching"),
		AlarmActions:       &[]any{arn("lambda", "function:"+p.names.Function(names.Breaker))},
	})
}

// throttles adds a function's alarm of invocations that Lambda refused.
func (f *Function) throttles(p *project) {
	n, fn := p.names, f.Manifest.Name
	alarm{
		name: n.FunctionAlarm(fn, "throttles"), metric: functionMetric("Throttles", n.Function(fn)), stat: "Sum", minutes: 5, ofMinutes: 10,
		description: fmt.Sprintf("Lambda keeps refusing to run %s: the account has no concurrency left, or the function has less reserved than its mappings may use. Events are retried. Lower maxConcurrency in function.json, or ask AWS for more (penstock's synth prints how near the quota is).", n.Function(fn)),
	}.add(p, f.Stack)
}

// sharedAlarms adds those of what all functions share.
func sharedAlarms(p *project, o *Operations) {
	n := p.names
	relay := n.Function(names.OutboxRelay)
	scopes := map[string]constructs.Construct{} // by the program
	for _, a := range []alarm{
		{
			name: n.FunctionAlarm(names.OutboxRelay, "oldest"), metric: programMetric(n, "OutboxOldestAge"), stat: "Maximum", above: 300, minutes: 3, ofMinutes: 5, always: true,
			description: "Committed events wait in the outbox for more than 5 minutes, or the relay does not report (insufficient data). None is lost. Read the log of " + relay + ": is the bus throttled, or the relay refused?",
		},
		{
			name: n.FunctionAlarm(names.OutboxRelay, "set-aside"), metric: programMetric(n, "OutboxEventsSetAside"), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: "The bus will never take some events of the outbox: they are set aside in the table " + n.Table(names.OutboxTable) + " with the reason (attribute setAside), and in the log of " + relay + ". Mend what publishes them; take the attribute away to have one sent again.",
		},
		{
			name: n.FunctionAlarm(names.OutboxRelay, "errors"), metric: functionMetric("Errors", relay), stat: "Sum", minutes: 3, ofMinutes: 5,
			description: "The outbox relay fails again and again: read its log, " + n.LogGroup(names.OutboxRelay) + ". Committed events wait in the outbox; none is lost.",
		},
		{
			name: n.FunctionAlarm(names.Breaker, "errors"), metric: functionMetric("Errors", n.Function(names.Breaker)), stat: "Sum", minutes: 3, ofMinutes: 5,
			description: "The breaker fails again and again: subscriptions that fail may not be stopped. Read its log, " + n.LogGroup(names.Breaker) + ".",
		},
	} {
		of, _, _ := strings.Cut(strings.TrimPrefix(a.name, n.Bus()+"-"), "/")
		if scopes[of] == nil {
			scopes[of] = constructs.NewConstruct(o.Stack, &of)
		}
		a.add(p, scopes[of])
	}
	if p.keyARN() != nil {
		alarm{
			name: n.FunctionAlarm(names.BusStack, "dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", n.BusDLQ()), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: "The bus could not encrypt or decrypt events: they are in " + n.BusDLQ() + ". Look at the policy of the environment's key.",
		}.add(p, o.Stack)
	}
}
