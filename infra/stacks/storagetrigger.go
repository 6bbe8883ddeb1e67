package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/names"
)

// storageEvents are what the trigger of the storage table publishes.
var storageEvents = source{"storage", []string{"storage/STORAGE_DELETE", "storage/STORAGE_INSERT", "storage/STORAGE_UPDATE"}}

const (
	storageTriggerTimeout = 60 // seconds

	// A stream keeps a record for a day ("Change data capture for DynamoDB
	// Streams"). Half of it is for the bus to come back, the other for people to
	// read what was never announced.
	storageTriggerAgeSeconds = 12 * 3600
)

// newTrigger adds the program that announces what the table's stream says:
//
//	Table ── stream ──▶ Trigger ──▶ bus
//	              └─ not within half a day ──▶ Unannounced, which is told where
//
// It reads the stream from its beginning, and by one batch at a time of each
// shard, so that the changes of a row are announced one after the other.
func (s *Storage) newTrigger(p *project) {
	n := p.names
	unannounced := n.DLQ(names.StorageTrigger, "changes")
	s.Unannounced = newQueue(s.Stack, "Unannounced", &awssqs.QueueProps{
		QueueName:       &unannounced,
		RetentionPeriod: days(dlqRetentionDays),
	}, p.keyARN())
	suppress(s.Unannounced.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-SQS3", "It is itself a DLQ, of the stream's event source mapping.")
	s.Trigger = newProgram(p, s.Stack, "Trigger", program{
		name:           names.StorageTrigger,
		description:    "Announces the changes of users' rows",
		code:           names.SystemPackages + names.StorageTrigger,
		memoryMB:       256,
		timeoutSeconds: storageTriggerTimeout,
		environment: map[string]string{
			names.VarApp: n.App, names.VarEnv: n.Env, names.VarFunction: names.StorageTrigger, names.VarBus: n.Bus(),
		},
		policy: []statement{
			readStream(s.Table),
			putEvents(n, storageEvents),
			{actions: []string{"sqs:SendMessage"}, resources: []*string{queueARN(unannounced)}},
		},
	})
	awslambda.NewCfnEventSourceMapping(s.Stack, jsii.String("TriggerMapping"), &awslambda.CfnEventSourceMappingProps{
		FunctionName:                   s.Trigger.Lambda.FunctionName(),
		EventSourceArn:                 s.Table.TableStreamArn(),
		StartingPosition:               jsii.String("TRIM_HORIZON"),
		BatchSize:                      jsii.Number(1000),
		MaximumBatchingWindowInSeconds: jsii.Number(0),
		FunctionResponseTypes:          jsii.Strings("ReportBatchItemFailures"),
		BisectBatchOnFunctionError:     jsii.Bool(true),
		MaximumRetryAttempts:           jsii.Number(-1), // without limit, but for the age
		MaximumRecordAgeInSeconds:      jsii.Number(storageTriggerAgeSeconds),
		DestinationConfig: &awslambda.CfnEventSourceMapping_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventSourceMapping_OnFailureProperty{Destination: s.Unannounced.QueueArn()},
		},
	})
	s.triggerAlarms(p)
}

func (s *Storage) triggerAlarms(p *project) {
	n := p.names
	trigger, unannounced := n.Function(names.StorageTrigger), n.DLQ(names.StorageTrigger, "changes")
	scope := constructs.NewConstruct(s.Stack, jsii.String(names.StorageTrigger))
	for _, a := range []alarm{
		{
			name: n.FunctionAlarm(names.StorageTrigger, "age"), metric: functionMetric("IteratorAge", trigger), stat: "Maximum", above: 300_000, minutes: 3, ofMinutes: 5,
			description: "Changes of users' rows wait for more than 5 minutes to be announced. None is lost within 12 hours. Read the log of " + trigger + ": is the bus throttled, or the trigger refused?",
		},
		{
			name: n.FunctionAlarm(names.StorageTrigger, "lost"), metric: programMetric(n, "StorageEventsLost"), stat: "Sum", minutes: 1, ofMinutes: 1,
			description: "Changes in the table " + n.Table(names.StorageTable) + " are announced to nobody: something other than the data API writes there. The log of " + trigger + " has their sequence numbers.",
		},
		{
			name: n.FunctionAlarm(names.StorageTrigger, "dlq"), metric: queueMetric("ApproximateNumberOfMessagesVisible", unannounced), stat: "Maximum", minutes: 1, ofMinutes: 1,
			description: "Changes of users' rows could not be announced for 12 hours, and are passed by. The messages in " + unannounced + " say where in the stream of " + n.Table(names.StorageTable) + " they are, which has them for another 12 hours; the reason is in the log of " + trigger + ".",
		},
	} {
		a.add(p, scope)
	}
}
