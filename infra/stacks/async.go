package stacks

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Async is what becomes of the asynchronous calls of a function with topics:
//
//	the function ── each result ──▶ bus ── Rule: failed for good ──▶ DLQ
//	                                │        └─ could not be put there ──▶ RuleDLQ
//	                                └─ with a callback URL ──▶ the callback program
//
// A message in the DLQ is Lambda's record of the call: the request
// (detail.requestPayload), why it was given up (detail.requestContext.condition)
// and what the function said last (detail.responsePayload).
type Async struct {
	Config  awslambda.CfnEventInvokeConfig
	Rule    awsevents.CfnRule
	DLQ     awssqs.Queue
	RuleDLQ awssqs.Queue
}

func newAsync(p *project, f *Function) *Async {
	scope := constructs.NewConstruct(f.Stack, jsii.String("Async"))
	n, fn := p.names, f.Manifest.Name
	a := &Async{
		DLQ: newQueue(scope, "DLQ", &awssqs.QueueProps{
			QueueName:       jsii.String(n.DLQ(fn, names.Async)),
			RetentionPeriod: days(dlqRetentionDays),
		}, p.keyARN()),
		RuleDLQ: newQueue(scope, "RuleDLQ", &awssqs.QueueProps{
			QueueName:       jsii.String(n.RuleDLQ(fn, names.Async)),
			RetentionPeriod: days(dlqRetentionDays),
		}, p.keyARN()),
	}
	tags := awscdk.Tags_Of(a.DLQ)
	tags.Add(jsii.String(names.TagFunction), &fn, nil)
	tags.Add(jsii.String(names.TagSubscription), jsii.String(names.Async), nil)
	suppress(a.DLQ.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-SQS3", "It is itself a DLQ, of asynchronous calls.")
	suppressNoDLQ(a.RuleDLQ)
	a.Rule = p.newRule(scope, n.Rule(fn, names.Async), map[string]any{
		"source":      []string{manifest.ResultSource},
		"detail-type": []string{manifest.ResultFailure},
		"detail": map[string]any{"requestContext": map[string]any{
			"functionArn": []string{*arn("lambda", "function:"+n.Function(fn)+":$LATEST")},
		}},
	}, a.DLQ, a.RuleDLQ)

	settings := f.Manifest.AsyncSettings()
	bus := busARN(n.Bus())
	a.Config = awslambda.NewCfnEventInvokeConfig(scope, jsii.String("Config"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName:             f.Lambda.FunctionName(),
		Qualifier:                jsii.String("$LATEST"),
		MaximumRetryAttempts:     jsii.Number(settings.Retries),
		MaximumEventAgeInSeconds: jsii.Number(settings.MaxAgeSeconds),
		DestinationConfig: &awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnSuccess: &awslambda.CfnEventInvokeConfig_OnSuccessProperty{Destination: bus},
			OnFailure: &awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: bus},
		},
	})
	a.Config.AddResourceDependency(a.Rule, nil)
	a.alarms(p, scope, fn)
	return a
}

// putResults lets Lambda put the results of a function's asynchronous calls on the
// bus, by the function's role. When the destination is set, Lambda asks for the
// permission without saying which event it is about: hence IfExists.
func putResults(n names.Names) statement {
	return statement{
		actions:   []string{"events:PutEvents"},
		resources: []*string{busARN(n.Bus())},
		conditions: map[string]any{"StringEqualsIfExists": map[string]any{
			"events:source":      manifest.ResultSource,
			"events:detail-type": []string{manifest.ResultSuccess, manifest.ResultFailure},
		}},
	}
}

func (a *Async) alarms(p *project, scope constructs.Construct, fn string) {
	n := p.names
	for _, one := range []alarm{
		{
			name: n.Alarm(fn, names.Async, "dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", n.DLQ(fn, names.Async)), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("Asynchronous calls of %s have failed for good: they are in %s, for %d days, with the reason (detail.requestContext.condition, detail.responsePayload) and the request (detail.requestPayload). Mend the cause, and call the function again with what is in requestPayload.",
				fn, n.DLQ(fn, names.Async), dlqRetentionDays),
		},
		{
			name: n.Alarm(fn, names.Async, "rule-dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", n.RuleDLQ(fn, names.Async)), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("EventBridge could not put asynchronous calls of %s that failed for good into %s: they are in %s, for %d days, with the reason in the attribute ERROR_CODE. Look at the queue, its policy and its key.",
				fn, n.DLQ(fn, names.Async), n.RuleDLQ(fn, names.Async), dlqRetentionDays),
		},
		{
			name: n.FunctionAlarm(fn, "results-lost"), metric: functionMetric("DestinationDeliveryFailures", n.Function(fn)), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: fmt.Sprintf("Results of asynchronous calls of %s are lost: Lambda could not put them on the bus %s. Request and response together are larger than the 1 MB that it takes, or the function's role may not. The START lines of its log, %s, have the ids of the calls.",
				fn, n.Bus(), n.LogGroup(fn)),
		},
	} {
		one.add(p, scope)
	}
}

// newCallback adds the program that sends results to those who wait for them.
func newCallback(p *project, m *manifest.Function) *Function {
	env := p.props.Env
	m.Variables = map[string]string{}
	if len(env.CallbackHosts) > 0 {
		m.Variables[names.VarCallbackHosts] = strings.Join(env.CallbackHosts, " ")
	}
	if env.Endpoint != "" {
		m.Variables[names.VarEgress] = names.EgressLocal
	}
	return newFunction(p, m)
}
