package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
)

// An environment is encrypted with keys of the services, or with one key of KMS
// for everything ("encryptionKey"). AWS-managed keys, such as aws/sqs, are not
// among the choices: rules and alarms cannot use what they encrypt, since nobody
// can change their policies.

// keyARN is the ARN of the environment's key as the resources of other stacks
// than the bus's name it; nil where the services' own keys are used.
func (p *project) keyARN() *string {
	switch key := p.props.Env.EncryptionKey; key {
	case "":
		return nil
	case manifest.CreateKey:
		return jsii.String("{{resolve:ssm:" + p.names.Parameter("key/arn") + "}}")
	default:
		return &key
	}
}

// newKey makes the key in the bus stack, which is deployed first.
func newKey(p *project, stack awscdk.Stack) awskms.CfnKey {
	key := awskms.NewCfnKey(stack, jsii.String("Key"), &awskms.CfnKeyProps{
		Description:       jsii.String("Encrypts what " + p.names.Bus() + " keeps"),
		EnableKeyRotation: jsii.Bool(true),
		KeyPolicy:         policyDocument(keyPolicy(p)),
	})
	// Without its key everything that it encrypted is lost, so it stays even in
	// an environment whose tables do not.
	key.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN, nil)
	awskms.NewCfnAlias(stack, jsii.String("KeyAlias"), &awskms.CfnAliasProps{
		AliasName:   jsii.String(p.names.KeyAlias()),
		TargetKeyId: key.AttrKeyId(),
	})
	return key
}

// keyPolicy is who may do what with the key. In the policy of a key, the
// resource "*" is that key.
func keyPolicy(p *project) []statement {
	bus := p.names.Bus()
	region := *awscdk.Aws_REGION()
	account := awscdk.Aws_ACCOUNT_ID()
	this := *jsii.Strings("*")
	sameAccount := map[string]any{"aws:SourceAccount": account}
	return []statement{
		{
			// Whoever the account's policies let administer keys; none of it
			// decrypts anything.
			sid:        "Administration",
			principals: accountPrincipal(),
			actions: []string{
				"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation",
				"kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListGrants", "kms:ListKeyPolicies",
				"kms:ListResourceTags", "kms:ListRetirableGrants", "kms:PutKeyPolicy", "kms:RevokeGrant", "kms:ScheduleKeyDeletion",
				"kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
			},
			resources: this,
		},
		{
			// As the keys have it that AWS manages: who may use a queue, a table
			// or a bus of this account may use the key by way of that service.
			sid:        "ByWayOfServices",
			principals: anyonePrincipal(),
			actions: []string{
				"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
				"kms:ReEncryptFrom", "kms:ReEncryptTo",
			},
			resources: this,
			conditions: map[string]any{"StringEquals": map[string]any{
				"kms:CallerAccount": account,
				"kms:ViaService":    viaServices(region, "dynamodb", "events", "lambda", "sns", "sqs"),
			}},
		},
		{
			// DynamoDB and Lambda work by grants, which they make when a table or
			// a function is made.
			sid:        "GrantsForServices",
			principals: anyonePrincipal(),
			actions:    []string{"kms:CreateGrant"},
			resources:  this,
			conditions: map[string]any{
				"Bool": map[string]any{"kms:GrantIsForAWSResource": "true"},
				"StringEquals": map[string]any{
					"kms:CallerAccount": account,
					"kms:ViaService":    viaServices(region, "dynamodb", "lambda"),
				},
			},
		},
		{
			// "Encrypting EventBridge event buses with AWS KMS keys". The bus, its
			// archive and its rules use the key in the context of the bus.
			sid:        "Bus",
			principals: servicePrincipal("events.amazonaws.com"),
			actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
			resources:  this,
			conditions: map[string]any{"StringEquals": map[string]any{"kms:EncryptionContext:aws:events:event-bus:arn": busARN(bus)}},
		},
		{
			// It is described without a context.
			sid:        "BusDescribes",
			principals: servicePrincipal("events.amazonaws.com"),
			actions:    []string{"kms:DescribeKey"},
			resources:  this,
			conditions: map[string]any{"StringEquals": sameAccount},
		},
		{
			// Rules put events into encrypted queues, and the bus into its DLQ.
			sid:        "RulesToQueues",
			principals: servicePrincipal("events.amazonaws.com"),
			actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
			resources:  this,
			conditions: map[string]any{
				"StringEquals": sameAccount,
				"ArnLike":      map[string]any{"aws:SourceArn": []*string{ruleARN(bus, "*"), busARN(bus)}},
			},
		},
		{
			// Alarms notify an encrypted topic.
			sid:        "AlarmsToTopics",
			principals: servicePrincipal("cloudwatch.amazonaws.com"),
			actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
			resources:  this,
			conditions: map[string]any{
				"StringEquals": sameAccount,
				"ArnLike":      map[string]any{"aws:SourceArn": arn("cloudwatch", "alarm:"+bus+"-*")},
			},
		},
		{
			// "Encrypt log data in CloudWatch Logs using AWS Key Management Service".
			sid:        "Logs",
			principals: servicePrincipal("logs." + region + ".amazonaws.com"),
			actions: []string{
				"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
				"kms:ReEncryptFrom", "kms:ReEncryptTo",
			},
			resources: this,
			conditions: map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []*string{
				arn("logs", "log-group:"+p.names.LogGroup("*")), arn("logs", "log-group:"+p.names.BusLogGroup()), arn("logs", "log-group:"+p.names.StorageLogGroup()),
			}}},
		},
		{
			// What an encrypted bus logs is decrypted as it is delivered.
			sid:        "LogDelivery",
			principals: servicePrincipal("delivery.logs.amazonaws.com"),
			actions:    []string{"kms:Decrypt", "kms:GenerateDataKey"},
			resources:  this,
			conditions: map[string]any{
				"StringEquals": sameAccount,
				"ArnLike":      map[string]any{"aws:SourceArn": arn("logs", "delivery-source:"+bus+"-*")},
			},
		},
	}
}

func viaServices(region string, services ...string) []string {
	var names []string
	for _, service := range services {
		names = append(names, service+"."+region+".amazonaws.com")
	}
	return names
}

// The functions below set the environment's key on a resource, where there is
// one; the CDK's own way would add statements to its policy.

func encryptQueue(queue awssqs.Queue, key *string) {
	if key != nil {
		resource := queue.Node().DefaultChild().(awssqs.CfnQueue)
		resource.AddPropertyDeletionOverride(jsii.String("SqsManagedSseEnabled"))
		resource.SetKmsMasterKeyId(key)
		resource.SetKmsDataKeyReusePeriodSeconds(jsii.Number(300)) // SQS's default, written out
	}
}

func encryptTable(table awsdynamodb.Table, key *string) {
	if key != nil {
		table.Node().DefaultChild().(awsdynamodb.CfnTable).SetSseSpecification(&awsdynamodb.CfnTable_SSESpecificationProperty{
			SseEnabled: jsii.Bool(true), SseType: jsii.String("KMS"), KmsMasterKeyId: key,
		})
	}
}

func encryptLogs(logs awslogs.CfnLogGroup, key *string) {
	if key != nil {
		logs.SetKmsKeyId(key)
	}
}

func encryptVariables(lambda awslambda.CfnFunction, key *string) {
	if key != nil {
		lambda.SetKmsKeyArn(key)
	}
}

func encryptBus(bus awsevents.CfnEventBus, key *string, dlq awssqs.Queue) {
	if key != nil {
		bus.SetKmsKeyIdentifier(key)
		bus.SetDeadLetterConfig(&awsevents.CfnEventBus_DeadLetterConfigProperty{Arn: dlq.QueueArn()})
	}
}
