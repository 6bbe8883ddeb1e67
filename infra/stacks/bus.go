package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Bus is the stack of the event bus, its log and its archive. Penstock's own
// stacks know the bus by its name; other teams' find it in the parameters
// `/<app>/<env>/bus/name` and `…/bus/arn`, or import `<app>-<env>-bus-name` and
// `…-bus-arn`.
type Bus struct {
	Stack awscdk.Stack
	Bus   awsevents.EventBus

	// Archive keeps every event for as long as the environment says; nil where
	// it says nothing of an archive.
	Archive awsevents.CfnArchive

	// Key encrypts everything in the environment; nil unless the environment has
	// one made.
	Key awskms.CfnKey

	// DLQ holds events that the bus could not encrypt or decrypt; nil where the
	// bus uses EventBridge's own key, with which that does not happen.
	DLQ awssqs.Queue
}

func newBus(p *project) *Bus {
	env := p.props.Env
	b := &Bus{Stack: p.newStack(names.BusStack)}
	key := p.keyARN()
	if env.EncryptionKey == manifest.CreateKey {
		b.Key = newKey(p, b.Stack)
		key = b.Key.AttrArn()
		p.publish(b.Stack, "KeyArn", "key/arn", "ARN of the key that everything is encrypted with", key)
	}
	if key != nil {
		b.DLQ = newQueue(b.Stack, "DLQ", &awssqs.QueueProps{
			QueueName:       jsii.String(p.names.BusDLQ()),
			RetentionPeriod: days(dlqRetentionDays),
		}, key)
		allowEvents(b.DLQ, busARN(p.names.Bus()))
		suppressNoDLQ(b.DLQ)
	}
	b.Bus = awsevents.NewEventBus(b.Stack, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(p.names.Bus()),
	})
	bus := b.Bus.Node().DefaultChild().(awsevents.CfnEventBus)
	bus.ApplyRemovalPolicy(p.removal(), nil)
	encryptBus(bus, key, b.DLQ)
	// Nobody outside the account is let in, and those within use TLS.
	awsevents.NewCfnEventBusPolicy(b.Stack, jsii.String("BusPolicy"), &awsevents.CfnEventBusPolicyProps{
		EventBusName: b.Bus.EventBusName(),
		StatementId:  jsii.String("TLSOnly"),
		Statement: map[string]any{
			"Sid":       "TLSOnly",
			"Effect":    "Deny",
			"Principal": map[string]any{"AWS": "*"},
			"Action":    "events:PutEvents",
			"Resource":  b.Bus.EventBusArn(),
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		},
	})
	if env.BusLogLevel != "" {
		newBusLog(p, b, key)
	}
	if env.ArchiveRetentionDays > 0 {
		b.Archive = awsevents.NewCfnArchive(b.Stack, jsii.String("Archive"), &awsevents.CfnArchiveProps{
			ArchiveName:      jsii.String(p.names.Archive()),
			Description:      jsii.String("Every event on the bus " + p.names.Bus() + ", to be replayed"),
			SourceArn:        b.Bus.EventBusArn(),
			RetentionDays:    jsii.Number(env.ArchiveRetentionDays),
			KmsKeyIdentifier: key,
		})
		b.Archive.ApplyRemovalPolicy(p.removal(), nil)
	}

	for _, value := range []struct {
		id, key, export, description string
		value                        *string
	}{
		{"Name", "bus/name", "bus-name", "Name of the event bus", b.Bus.EventBusName()},
		{"Arn", "bus/arn", "bus-arn", "ARN of the event bus", b.Bus.EventBusArn()},
	} {
		p.publish(b.Stack, value.id, value.key, value.description, value.value)
		awscdk.NewCfnOutput(b.Stack, jsii.String("Bus"+value.id), &awscdk.CfnOutputProps{
			ExportName:  jsii.String(p.names.Export(value.export)),
			Description: &value.description,
			Value:       value.value,
		})
	}
	return b
}

// publish makes a value a parameter in Systems Manager.
func (p *project) publish(stack awscdk.Stack, id, key, description string, value *string) {
	awsssm.NewStringParameter(stack, jsii.String("Parameter"+id), &awsssm.StringParameterProps{
		ParameterName: jsii.String(p.names.Parameter(key)),
		Description:   &description,
		StringValue:   value,
	})
}

// removal is what becomes of a resource that keeps something when it is no
// longer in its stack, or the stack goes.
func (p *project) removal() awscdk.RemovalPolicy {
	if p.props.Env.RemovalProtection {
		return awscdk.RemovalPolicy_RETAIN
	}
	return awscdk.RemovalPolicy_DESTROY
}
