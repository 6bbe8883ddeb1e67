package stacks

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// busLogs are the logs that a bus delivers at each level ("Configuring logs for
// Amazon EventBridge event buses").
var busLogs = map[manifest.LogLevel][]string{
	manifest.LogErrors: {"ERROR_LOGS"},
	manifest.LogInfo:   {"ERROR_LOGS", "INFO_LOGS"},
	manifest.LogTrace:  {"ERROR_LOGS", "INFO_LOGS", "TRACE_LOGS"},
}

// newBusLog has the bus log what becomes of events, without their detail, to a
// log group:
//
//	bus ── source, one a kind of log ── delivery ──▶ destination ──▶ log group
func newBusLog(p *project, b *Bus, key *string) {
	level := p.props.Env.BusLogLevel
	b.Bus.Node().DefaultChild().(awsevents.CfnEventBus).SetLogConfig(&awsevents.CfnEventBus_LogConfigProperty{
		Level:         jsii.String(strings.ToUpper(string(level))),
		IncludeDetail: jsii.String("NONE"),
	})
	group := awslogs.NewCfnLogGroup(b.Stack, jsii.String("BusLogs"), &awslogs.CfnLogGroupProps{
		LogGroupName:    jsii.String(p.names.BusLogGroup()),
		RetentionInDays: jsii.Number(p.props.Env.LogRetentionDays),
	})
	group.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	encryptLogs(group, key)
	// "Enable logging from AWS services", where the service delivers.
	document := policyDocument([]statement{{
		sid:        "BusLogDelivery",
		principals: servicePrincipal("delivery.logs.amazonaws.com"),
		actions:    []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		resources:  []*string{arn("logs", "log-group:"+p.names.BusLogGroup()+":log-stream:*")},
		conditions: map[string]any{
			"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()},
			"ArnLike":      map[string]any{"aws:SourceArn": arn("logs", "*")},
		},
	}})
	policy := awslogs.NewCfnResourcePolicy(b.Stack, jsii.String("BusLogPolicy"), &awslogs.CfnResourcePolicyProps{
		PolicyName:     jsii.String(p.names.Bus() + "-bus-log"),
		PolicyDocument: b.Stack.ToJsonString(document, nil),
	})
	destination := awslogs.NewCfnDeliveryDestination(b.Stack, jsii.String("BusLogDestination"), &awslogs.CfnDeliveryDestinationProps{
		Name:                   jsii.String(p.names.Bus() + "-bus-log"),
		DestinationResourceArn: group.AttrArn(),
		OutputFormat:           jsii.String("json"),
	})
	destination.AddResourceDependency(policy, nil)
	var before awscdk.CfnResource
	for _, kind := range busLogs[level] {
		source := awslogs.NewCfnDeliverySource(b.Stack, jsii.String("BusLogSource-"+kind), &awslogs.CfnDeliverySourceProps{
			Name:        jsii.String(p.names.Bus() + "-" + strings.ToLower(strings.TrimSuffix(kind, "_LOGS"))),
			LogType:     &kind,
			ResourceArn: b.Bus.EventBusArn(),
		})
		delivery := awslogs.NewCfnDelivery(b.Stack, jsii.String("BusLogDelivery-"+kind), &awslogs.CfnDeliveryProps{
			DeliverySourceName:     source.Ref(),
			DeliveryDestinationArn: destination.AttrArn(),
		})
		// CloudWatch Logs refuses two deliveries of one bus at the same time.
		if before != nil {
			delivery.AddResourceDependency(before, nil)
		}
		before = delivery
	}
}
