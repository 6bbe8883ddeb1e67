package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsssm"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/names"
)

// Bus is the stack of the event bus. Penstock's own stacks know the bus by its
// name; other teams' find it in the parameters `/<app>/<env>/bus/name` and
// `…/bus/arn`, or import `<app>-<env>-bus-name` and `…-bus-arn`.
type Bus struct {
	Stack awscdk.Stack
	Bus   awsevents.EventBus
}

func newBus(p *project) *Bus {
	stack := p.newStack(names.BusStack)
	bus := awsevents.NewEventBus(stack, jsii.String("Bus"), &awsevents.EventBusProps{
		EventBusName: jsii.String(p.names.Bus()),
	})
	publish := func(id, key, export, description string, value *string) {
		awsssm.NewStringParameter(stack, jsii.String("Parameter"+id), &awsssm.StringParameterProps{
			ParameterName: jsii.String(p.names.Parameter(key)),
			Description:   &description,
			StringValue:   value,
		})
		awscdk.NewCfnOutput(stack, jsii.String("Bus"+id), &awscdk.CfnOutputProps{
			ExportName:  jsii.String(p.names.Export(export)),
			Description: &description,
			Value:       value,
		})
	}
	publish("Name", "bus/name", "bus-name", "Name of the event bus", bus.EventBusName())
	publish("Arn", "bus/arn", "bus-arn", "ARN of the event bus", bus.EventBusArn())
	return &Bus{Stack: stack, Bus: bus}
}
