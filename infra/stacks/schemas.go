package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventschemas"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/registry"
)

// Schemas is the stack of an EventBridge schema registry that describes every
// event type of the project. An environment has it that says "schemaRegistry":
// true. Nothing depends on it: it is for people who look for events in the
// console, and for code bindings.
//
// How many schemas an account may have is a quota of it ("Amazon EventBridge
// Schemas endpoints and quotas"), and a stack has at most 500 resources.
type Schemas struct {
	Stack    awscdk.Stack
	Registry awseventschemas.CfnRegistry
}

func newSchemas(p *project) *Schemas {
	schemas, err := registry.Schemas(p.types)
	if err != nil {
		panic(err)
	}
	s := &Schemas{Stack: p.newStack(names.SchemasStack)}
	s.Registry = awseventschemas.NewCfnRegistry(s.Stack, jsii.String("Registry"), &awseventschemas.CfnRegistryProps{
		RegistryName: jsii.String(p.names.Registry()),
		Description:  jsii.String("The events on the bus " + p.names.Bus()),
	})
	for _, one := range schemas {
		// In a scope of its own, an id keeps apart what differs in no letter.
		scope := constructs.NewConstruct(s.Stack, jsii.String("Schema-"+one.Name))
		awseventschemas.NewCfnSchema(scope, jsii.String("Schema"), &awseventschemas.CfnSchemaProps{
			RegistryName: s.Registry.AttrRegistryName(),
			SchemaName:   &one.Name,
			Type:         jsii.String(registry.Format),
			Description:  optional(one.Description),
			Content:      &one.Content,
		})
	}
	return s
}
