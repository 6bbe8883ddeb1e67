package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Data is the stack of all tables, and of the relay that empties the outbox.
// Tables are billed by request and encrypted with DynamoDB's own key, unless the
// environment has another.
type Data struct {
	Stack awscdk.Stack

	// Outbox holds events that are committed and not yet on the bus, and those
	// that the bus will never take, with the reason. Nothing in it ever expires:
	// the relay deletes what it has sent, and no one else.
	Outbox awsdynamodb.Table

	// Idempotency holds deduplication marks, which expire.
	Idempotency awsdynamodb.Table

	// State holds which subscriptions were stopped, by whom and why.
	State awsdynamodb.Table

	// Deliveries is the log of what was delivered to functions on HTTP; nil where
	// there is none of them.
	Deliveries awsdynamodb.Table

	// Tables are those of infra/tables.json, by their short names.
	Tables map[string]awsdynamodb.Table

	// Relay is the program that moves events from the outbox to the bus: those
	// of the table's stream at once, and by Sweep, every minute, those that the
	// stream has missed.
	Relay *Program
	Sweep awsevents.CfnRule
}

func newData(p *project, tables manifest.Tables, functions []manifest.Function) *Data {
	d := &Data{Stack: p.newStack(names.DataStack), Tables: map[string]awsdynamodb.Table{}}
	d.Outbox = p.newTable(d.Stack, "Outbox", names.OutboxTable, &awsdynamodb.TableProps{
		PartitionKey: stringKey("pk"),
		Stream:       awsdynamodb.StreamViewType_NEW_IMAGE,
	})
	d.Idempotency = p.newTable(d.Stack, "Idempotency", names.IdempotencyTable, &awsdynamodb.TableProps{
		PartitionKey:        stringKey("pk"),
		TimeToLiveAttribute: jsii.String("expires"),
	})
	d.State = p.newTable(d.Stack, "State", names.StateTable, &awsdynamodb.TableProps{PartitionKey: stringKey("pk")})
	if manifest.HasHTTP(functions) {
		d.Deliveries = newDeliveries(p, d.Stack)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		props := &awsdynamodb.TableProps{PartitionKey: stringKey(tables[name].PartitionKey)}
		if sortKey := tables[name].SortKey; sortKey != "" {
			props.SortKey = stringKey(sortKey)
		}
		d.Tables[name] = p.newTable(d.Stack, "Table-"+name, name, props)
	}
	d.Relay = newRelay(p, d)
	d.Sweep = newSweep(p, d)
	return d
}

// newTable completes props with what all tables have, and what the environment
// says of them.
func (p *project) newTable(stack awscdk.Stack, id, name string, props *awsdynamodb.TableProps) awsdynamodb.Table {
	env := p.props.Env
	props.TableName = jsii.String(p.names.Table(name))
	props.BillingMode = awsdynamodb.BillingMode_PAY_PER_REQUEST
	props.RemovalPolicy = p.removal()
	if env.RemovalProtection {
		props.DeletionProtection = jsii.Bool(true)
	}
	if env.PointInTimeRecovery {
		props.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		}
	}
	table := awsdynamodb.NewTable(stack, &id, props)
	encryptTable(table, p.keyARN())
	if !env.PointInTimeRecovery {
		suppress(table.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-DDB3", "The environment says that its tables need not be restored (pointInTimeRecovery).")
	}
	return table
}

func stringKey(name string) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: &name, Type: awsdynamodb.AttributeType_STRING}
}

// newRelay adds the program that sends what is inserted into the outbox. It
// reads the table's stream from its beginning and never gives up: a record that
// was not sent is retried until the stream itself forgets it, after a day; the
// item stays in the table even then, and the sweep finds it.
func newRelay(p *project, d *Data) *Program {
	outbox := tableARN(p.names.Table(names.OutboxTable))
	relay := newProgram(p, d.Stack, "Relay", program{
		name:           names.OutboxRelay,
		description:    "Moves committed events from the outbox to the bus",
		code:           names.SystemPackages + names.OutboxRelay,
		memoryMB:       256,
		timeoutSeconds: 60,
		environment: map[string]string{
			names.VarApp:         p.names.App,
			names.VarEnv:         p.names.Env,
			names.VarFunction:    names.OutboxRelay,
			names.VarBus:         p.names.Bus(),
			names.VarOutboxTable: p.names.Table(names.OutboxTable),
		},
		policy: append([]statement{
			readStream(d.Outbox),
			{actions: []string{"dynamodb:BatchWriteItem", "dynamodb:Scan", "dynamodb:UpdateItem"}, resources: []*string{outbox}},
		}, putAllEvents(p)...),
	})
	awslambda.NewCfnEventSourceMapping(d.Stack, jsii.String("RelayMapping"), &awslambda.CfnEventSourceMappingProps{
		FunctionName:                   relay.Lambda.FunctionName(),
		EventSourceArn:                 d.Outbox.TableStreamArn(),
		StartingPosition:               jsii.String("TRIM_HORIZON"),
		BatchSize:                      jsii.Number(1000),
		MaximumBatchingWindowInSeconds: jsii.Number(0),
		// All but the relay's own deletions, and what it sets aside. An item
		// that is put back, to be sent again, is a modification too.
		FilterCriteria: &awslambda.CfnEventSourceMapping_FilterCriteriaProperty{
			Filters: []any{&awslambda.CfnEventSourceMapping_FilterProperty{Pattern: jsii.String(`{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"setAside":{"S":[{"exists":false}]}}}}`)}},
		},
		FunctionResponseTypes:      jsii.Strings("ReportBatchItemFailures"),
		BisectBatchOnFunctionError: jsii.Bool(true),
		MaximumRetryAttempts:       jsii.Number(-1), // without limit
		MaximumRecordAgeInSeconds:  jsii.Number(-1), // without limit
	})
	return relay
}

// readStream allows what Lambda does to read the stream of a table.
func readStream(table awsdynamodb.Table) statement {
	return statement{
		actions:   []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"},
		resources: []*string{table.TableStreamArn()},
	}
}

// putAllEvents allows the event types of the project, whoever may enqueue them.
func putAllEvents(p *project) []statement {
	var policy []statement
	for _, s := range sourcesOf(p.types) {
		policy = append(policy, putEvents(p.names, s))
	}
	return policy
}

// newSweep adds the schedule by which the relay looks through the outbox for
// what the stream has missed. One that does not reach the relay is not repeated:
// the next comes soon.
func newSweep(p *project, d *Data) awsevents.CfnRule {
	name := p.names.Rule(names.OutboxRelay, "sweep")
	awslambda.NewCfnPermission(d.Stack, jsii.String("SweepPermission"), &awslambda.CfnPermissionProps{
		Action:       jsii.String("lambda:InvokeFunction"),
		FunctionName: d.Relay.Lambda.FunctionName(),
		Principal:    jsii.String("events.amazonaws.com"),
		SourceArn:    scheduleARN(name),
	})
	return awsevents.NewCfnRule(d.Stack, jsii.String("Sweep"), &awsevents.CfnRuleProps{
		Name:               &name,
		Description:        jsii.String("Has the outbox relay look for events that the table's stream has missed"),
		ScheduleExpression: jsii.String("rate(1 minute)"),
		State:              jsii.String("ENABLED"),
		Targets: []any{&awsevents.CfnRule_TargetProperty{
			Id:  jsii.String("relay"),
			Arn: d.Relay.Lambda.FunctionArn(),
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(60),
				MaximumRetryAttempts:     jsii.Number(0),
			},
		}},
	})
}
