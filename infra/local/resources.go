package local

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
	"github.com/penstock-dev/penstock/infra/names"
)

// types are the resource types that templates may use: how each is created and
// changed, and how it is removed. The fields of each properties struct are the
// properties that are supported; any other is an error that names it.
//
// ReplacedBy lists the supported properties of which the type's page in the
// "AWS CloudFormation template reference" says "Update requires: Replacement".
func (e *Environment) types() cloudformation.Types {
	return cloudformation.Types{
		"AWS::ApiGatewayV2::Api":         cloudformation.Provide(e.api, cloudformation.ReplacedBy("ProtocolType"), cloudformation.RemovedBy(e.removeAPI)),
		"AWS::ApiGatewayV2::Authorizer":  cloudformation.Provide(e.apiAuthorizer, cloudformation.ReplacedBy("ApiId"), cloudformation.RemovedBy(e.removeAPIAuthorizer)),
		"AWS::ApiGatewayV2::Integration": cloudformation.Provide(e.apiIntegration, cloudformation.ReplacedBy("ApiId"), cloudformation.RemovedBy(e.removeAPIIntegration)),
		"AWS::ApiGatewayV2::Route":       cloudformation.Provide(e.apiRoute, cloudformation.ReplacedBy("ApiId"), cloudformation.RemovedBy(e.removeAPIRoute)),
		"AWS::ApiGatewayV2::Stage":       cloudformation.Provide(e.apiStage, cloudformation.ReplacedBy("ApiId", "StageName"), cloudformation.RemovedBy(e.removeAPIStage)),
		"AWS::Events::Archive": cloudformation.Provide(e.archive, cloudformation.Named("ArchiveName"), cloudformation.ReplacedBy("SourceArn"),
			cloudformation.RemovedBy(e.removeArchive)),
		"AWS::Events::EventBus": cloudformation.Provide(e.eventBus, cloudformation.Named("Name"), cloudformation.RemovedBy(e.removeEventBus)),
		"AWS::Events::EventBusPolicy": cloudformation.Provide(e.busPolicy, cloudformation.IdentifiedBy("EventBusName", "StatementId"),
			cloudformation.RemovedBy(e.removeBusPolicy)),
		"AWS::Events::Rule": cloudformation.Provide(e.rule, cloudformation.Named("Name"), cloudformation.IdentifiedBy("EventBusName", "Name"),
			cloudformation.ReplacedBy("EventBusName"), cloudformation.RemovedBy(e.removeRule)),
		"AWS::SQS::Queue":       cloudformation.Provide(e.queue, cloudformation.Named("QueueName"), cloudformation.RemovedBy(e.removeQueue)),
		"AWS::SQS::QueuePolicy": cloudformation.Provide(e.queuePolicy, cloudformation.RemovedBy(e.removeQueuePolicy)),
		"AWS::DynamoDB::Table": cloudformation.Provide(e.table, cloudformation.Named("TableName"),
			cloudformation.ReplacedBy("KeySchema", "AttributeDefinitions"), // without indexes, definitions are of keys
			cloudformation.ProtectedBy("DeletionProtectionEnabled"), cloudformation.RemovedBy(e.removeTable)),
		"AWS::Lambda::Function": cloudformation.Provide(e.function, cloudformation.Named("FunctionName"), cloudformation.RemovedBy(e.removeFunction)),
		"AWS::Lambda::EventSourceMapping": cloudformation.Provide(e.mapping, cloudformation.IdentifiedBy("FunctionName", "EventSourceArn"),
			cloudformation.ReplacedBy("StartingPosition"), cloudformation.RemovedBy(e.removeMapping)),
		"AWS::Lambda::EventInvokeConfig": cloudformation.Provide(e.eventInvokeConfig, cloudformation.IdentifiedBy("FunctionName", "Qualifier"),
			cloudformation.ReplacedBy("FunctionName", "Qualifier"), cloudformation.RemovedBy(e.removeEventInvokeConfig)),
		"AWS::SNS::Topic":       cloudformation.Provide(e.topic, cloudformation.Named("TopicName"), cloudformation.RemovedBy(e.removeTopic)),
		"AWS::SNS::TopicPolicy": cloudformation.Provide(e.topicPolicy, cloudformation.RemovedBy(e.removeTopicPolicy)),
		"AWS::SNS::Subscription": cloudformation.Provide(e.topicSubscription, cloudformation.IdentifiedBy("TopicArn", "Protocol", "Endpoint"),
			cloudformation.ReplacedBy("TopicArn", "Protocol", "Endpoint"), cloudformation.RemovedBy(e.removeTopicSubscription)),
		"AWS::CloudWatch::Alarm":     cloudformation.Provide(e.alarm, cloudformation.Named("AlarmName"), cloudformation.RemovedBy(e.removeAlarm)),
		"AWS::CloudWatch::Dashboard": cloudformation.Provide(e.dashboard, cloudformation.Named("DashboardName")),
		"AWS::Lambda::Permission":    cloudformation.Provide(e.permission, cloudformation.RemovedBy(e.removePermission)),
		"AWS::Logs::LogGroup":        cloudformation.Provide(e.logGroup, cloudformation.Named("LogGroupName"), cloudformation.RemovedBy(e.removeLogGroup)),
		"AWS::IAM::ManagedPolicy": cloudformation.Provide(e.managedPolicy, cloudformation.Named("ManagedPolicyName"),
			cloudformation.ReplacedBy("Description", "Path"), cloudformation.RemovedBy(e.removeManagedPolicy)),
		"AWS::IAM::Policy":            cloudformation.Provide(e.rolePolicy, cloudformation.RemovedBy(e.removeRolePolicy)),
		"AWS::IAM::Role":              cloudformation.Provide(e.role, cloudformation.Named("RoleName"), cloudformation.RemovedBy(e.removeRole)),
		"AWS::SecretsManager::Secret": cloudformation.Provide(e.secret, cloudformation.Named("Name"), cloudformation.RemovedBy(e.removeSecret)),
		"AWS::SSM::Parameter":         cloudformation.Provide(e.parameter, cloudformation.Named("Name")),
	}
}

type tags []struct{ Key, Value string }

func (t tags) values() map[string]string {
	if len(t) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, one := range t {
		out[one.Key] = one.Value
	}
	return out
}

type busProperties struct {
	Name        string
	Description string
	Tags        tags
}

func (e *Environment) eventBus(_ context.Context, r cloudformation.Resource, p busProperties) (cloudformation.Attributes, error) {
	if !r.Unchanged || !e.events.HasBus(p.Name) {
		if err := e.events.EnsureBus(eventbridge.Bus{Name: p.Name, Description: p.Description, Tags: p.Tags.values()}); err != nil {
			return cloudformation.Attributes{}, err
		}
	}
	return cloudformation.Attributes{Ref: p.Name, Att: map[string]string{"Name": p.Name, "Arn": e.events.BusARN(p.Name)}}, nil
}

type archiveProperties struct {
	ArchiveName   string
	SourceArn     string
	Description   string
	EventPattern  json.RawMessage
	RetentionDays int
}

func (p *archiveProperties) Validate() error {
	if len(p.EventPattern) > 0 {
		if _, err := pattern.Parse(p.EventPattern); err != nil {
			return fmt.Errorf("property EventPattern: %w", err)
		}
	}
	return nil
}

func (e *Environment) archive(_ context.Context, _ cloudformation.Resource, p archiveProperties) (cloudformation.Attributes, error) {
	return cloudformation.Attributes{Ref: p.ArchiveName, Att: map[string]string{"ArchiveName": p.ArchiveName, "Arn": e.events.ArchiveARN(p.ArchiveName)}},
		e.events.EnsureArchive(eventbridge.Archive{
			Name: p.ArchiveName, Description: p.Description, Bus: p.SourceArn, Pattern: p.EventPattern, RetentionDays: p.RetentionDays,
		})
}

type ruleProperties struct {
	Name               string
	Description        string
	EventBusName       string
	EventPattern       json.RawMessage
	ScheduleExpression string
	State              string
	Targets            []struct {
		Id               string //nolint:revive // CloudFormation's spelling
		Arn              string
		DeadLetterConfig struct{ Arn string }
		RetryPolicy      eventbridge.RetryPolicy
	}
}

func (p *ruleProperties) Validate() error {
	if p.State != "" && p.State != "ENABLED" && p.State != "DISABLED" {
		return fmt.Errorf("property State: %q is not supported by the local environment", p.State)
	}
	if len(p.EventPattern) == 0 && p.ScheduleExpression == "" {
		return fmt.Errorf("properties EventPattern and ScheduleExpression are missing: a rule has one of them")
	}
	if p.ScheduleExpression != "" {
		if err := eventbridge.CheckSchedule(p.ScheduleExpression); err != nil {
			return fmt.Errorf("property ScheduleExpression: %w", err)
		}
	}
	if len(p.EventPattern) == 0 {
		return nil
	}
	if _, err := pattern.Parse(p.EventPattern); err != nil {
		return fmt.Errorf("property EventPattern: %w", err)
	}
	return nil
}

func (p *ruleProperties) bus() string { return cmp.Or(p.EventBusName, "default") }

func (e *Environment) rule(_ context.Context, r cloudformation.Resource, p ruleProperties) (cloudformation.Attributes, error) {
	// "AWS::Events::Rule": Ref is the bus's name and the rule's.
	attributes := cloudformation.Attributes{Ref: p.bus() + "|" + p.Name, Att: map[string]string{"Arn": e.events.RuleARN(p.bus(), p.Name)}}
	if r.Unchanged && e.events.ResumeRule(p.bus(), p.Name) {
		return attributes, nil
	}
	rule := eventbridge.Rule{
		Bus: p.bus(), Name: p.Name, Description: p.Description,
		Pattern: p.EventPattern, Schedule: p.ScheduleExpression, Disabled: p.State == "DISABLED",
	}
	for _, t := range p.Targets {
		rule.Targets = append(rule.Targets, eventbridge.Target{
			ID: t.Id, ARN: t.Arn, DeadLetterARN: t.DeadLetterConfig.Arn, RetryPolicy: t.RetryPolicy,
		})
	}
	return attributes, e.events.EnsureRule(rule)
}

type queueProperties struct {
	QueueName                     string
	DelaySeconds                  *int
	MaximumMessageSize            *int
	MessageRetentionPeriod        *int
	ReceiveMessageWaitTimeSeconds *int
	VisibilityTimeout             *int
	SqsManagedSseEnabled          *bool
	RedrivePolicy                 json.RawMessage
	RedriveAllowPolicy            json.RawMessage
	Tags                          tags
}

func (e *Environment) queue(_ context.Context, r cloudformation.Resource, p queueProperties) (cloudformation.Attributes, error) {
	url := e.sqs.QueueURL(p.QueueName)
	out := cloudformation.Attributes{Ref: url, Att: map[string]string{"Arn": e.sqs.ARN(p.QueueName), "QueueName": p.QueueName, "QueueUrl": url}}
	if _, exists := e.sqs.Messages(p.QueueName); r.Unchanged && exists {
		return out, nil
	} else if r.Unchanged {
		e.remade[url] = true
	}
	attributes := sqs.Attributes{}
	for name, value := range map[string]*int{
		"DelaySeconds": p.DelaySeconds, "MaximumMessageSize": p.MaximumMessageSize, "MessageRetentionPeriod": p.MessageRetentionPeriod,
		"ReceiveMessageWaitTimeSeconds": p.ReceiveMessageWaitTimeSeconds, "VisibilityTimeout": p.VisibilityTimeout,
	} {
		if value != nil {
			attributes[name] = fmt.Sprint(*value)
		}
	}
	if p.SqsManagedSseEnabled != nil {
		attributes["SqsManagedSseEnabled"] = fmt.Sprint(*p.SqsManagedSseEnabled)
	}
	if p.RedrivePolicy != nil {
		attributes["RedrivePolicy"] = string(p.RedrivePolicy)
	}
	if p.RedriveAllowPolicy != nil {
		attributes["RedriveAllowPolicy"] = string(p.RedriveAllowPolicy)
	}
	return out, e.sqs.EnsureQueue(p.QueueName, attributes, p.Tags.values())
}

type queuePolicyProperties struct {
	PolicyDocument json.RawMessage
	Queues         []string // their URLs
}

func (p *queuePolicyProperties) Validate() error {
	_, err := policy.Parse(p.PolicyDocument)
	return err
}

func (e *Environment) queuePolicy(_ context.Context, r cloudformation.Resource, p queuePolicyProperties) (cloudformation.Attributes, error) {
	for _, url := range p.Queues {
		if r.Unchanged && !e.remade[url] {
			continue
		}
		if err := e.sqs.SetAttributes(path.Base(url), sqs.Attributes{"Policy": string(p.PolicyDocument)}); err != nil {
			return cloudformation.Attributes{}, err
		}
	}
	return cloudformation.Attributes{Ref: r.Stack + "-" + r.LogicalID}, nil
}

type tableProperties struct {
	TableName               string
	AttributeDefinitions    []struct{ AttributeName, AttributeType string }
	KeySchema               []struct{ AttributeName, KeyType string }
	StreamSpecification     struct{ StreamViewType string }
	TimeToLiveSpecification struct {
		AttributeName string
		Enabled       bool
	}
	BillingMode                      string
	DeletionProtectionEnabled        bool
	PointInTimeRecoverySpecification struct {
		PointInTimeRecoveryEnabled bool
		RecoveryPeriodInDays       int
	}
	SSESpecification struct{ SSEEnabled bool }
	Tags             tags
}

func (e *Environment) table(ctx context.Context, r cloudformation.Resource, p tableProperties) (cloudformation.Attributes, error) {
	t := dynamodb.Table{Name: p.TableName, StreamView: dynamodb.StreamView(p.StreamSpecification.StreamViewType), Tags: p.Tags.values()}
	if p.TimeToLiveSpecification.Enabled {
		t.TTLAttribute = p.TimeToLiveSpecification.AttributeName
	}
	kinds := map[string]string{}
	for _, a := range p.AttributeDefinitions {
		kinds[a.AttributeName] = a.AttributeType
	}
	for _, k := range p.KeySchema {
		attribute := dynamodb.KeyAttribute{Name: k.AttributeName, Type: kinds[k.AttributeName]}
		if k.KeyType == "HASH" {
			t.PartitionKey = attribute
		} else {
			t.SortKey = attribute
		}
	}
	if !r.Unchanged || !e.dynamodb.Exists(p.TableName) {
		if err := e.dynamodb.CreateTable(ctx, t); err != nil {
			return cloudformation.Attributes{}, err
		}
	}
	out := cloudformation.Attributes{Ref: p.TableName, Att: map[string]string{"Arn": e.dynamodb.TableARN(p.TableName)}}
	if arn, ok := e.dynamodb.StreamARN(p.TableName); ok {
		out.Att["StreamArn"] = arn
	}
	return out, nil
}

type functionProperties struct {
	FunctionName  string
	Description   string
	Architectures []string
	Runtime       string
	Handler       string
	Role          string
	MemorySize    int
	Timeout       int
	// The code is built from the folder that Metadata names.
	Code                         struct{ S3Bucket, S3Key string }
	Environment                  struct{ Variables map[string]string }
	LoggingConfig                struct{ LogGroup string }
	ReservedConcurrentExecutions *int
	Tags                         tags
}

func (p *functionProperties) Validate() error {
	if p.Runtime != "provided.al2023" {
		return fmt.Errorf("property Runtime: %q is not supported by the local environment: want provided.al2023", p.Runtime)
	}
	return nil
}

func (e *Environment) function(ctx context.Context, r cloudformation.Resource, p functionProperties) (cloudformation.Attributes, error) {
	if str(r.Metadata[names.CodeMetadata]) == "" {
		return cloudformation.Attributes{}, fmt.Errorf("its Metadata does not say under %s where its code is", names.CodeMetadata)
	}
	program, folder := e.code.of(r.Metadata)
	credentials, err := e.iam.ForFunction(p.Role, p.FunctionName)
	if err != nil {
		return cloudformation.Attributes{}, err
	}
	err = e.lambda.EnsureFunction(ctx, lambda.Function{
		Name: p.FunctionName, Description: p.Description, Program: program, TaskRoot: folder, Handler: p.Handler,
		Environment: p.Environment.Variables, Timeout: seconds(p.Timeout), MemoryMB: p.MemorySize,
		ReservedConcurrency: p.ReservedConcurrentExecutions, LogGroup: p.LoggingConfig.LogGroup,
		RoleARN: p.Role, Credentials: lambda.Credentials(credentials), Tags: p.Tags.values(),
	})
	if err != nil {
		return cloudformation.Attributes{}, err
	}
	return cloudformation.Attributes{Ref: p.FunctionName, Att: map[string]string{
		"Arn": fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", e.config.Region, e.config.Account, p.FunctionName),
	}}, nil
}

type mappingProperties struct {
	FunctionName                   string
	EventSourceArn                 string
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	Enabled                        *bool
	FunctionResponseTypes          []string
	ScalingConfig                  struct{ MaximumConcurrency int }
	FilterCriteria                 struct{ Filters []struct{ Pattern string } }
	MetricsConfig                  struct{ Metrics []string }
	StartingPosition               string
	ParallelizationFactor          int
	BisectBatchOnFunctionError     bool
	MaximumRetryAttempts           *int
	MaximumRecordAgeInSeconds      int
	DestinationConfig              struct{ OnFailure struct{ Destination string } }
	Tags                           tags
}

func (p *mappingProperties) Validate() error {
	for _, one := range p.FunctionResponseTypes {
		if one != "ReportBatchItemFailures" {
			return fmt.Errorf("property FunctionResponseTypes: %q is not supported by the local environment", one)
		}
	}
	if _, err := lambda.EventCountIn(p.MetricsConfig.Metrics); err != nil {
		return err
	}
	_, err := matchAny(p.filters())
	return err
}

// filters returns the texts of the patterns that records are filtered by.
func (p *mappingProperties) filters() []string {
	var out []string
	for _, f := range p.FilterCriteria.Filters {
		out = append(out, f.Pattern)
	}
	return out
}

// matchAny returns what tells whether a record passes: one of the patterns
// must match it. It returns nil, which lets all pass, for no patterns.
func matchAny(texts []string) (func(record []byte) bool, error) {
	var patterns []*pattern.Pattern
	for i, text := range texts {
		one, err := pattern.Parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("property FilterCriteria.Filters[%d].Pattern: %w", i, err)
		}
		patterns = append(patterns, one)
	}
	if patterns == nil {
		return nil, nil
	}
	set := pattern.NewSet(patterns...)
	return func(record []byte) bool {
		matched, err := set.Match(record)
		return err == nil && len(matched) > 0
	}, nil
}

func (e *Environment) mapping(ctx context.Context, _ cloudformation.Resource, p mappingProperties) (cloudformation.Attributes, error) {
	filter, err := matchAny(p.filters())
	if err != nil {
		return cloudformation.Attributes{}, err
	}
	id, err := e.lambda.EnsureMapping(ctx, lambda.Mapping{
		Function: p.FunctionName, SourceARN: p.EventSourceArn, BatchSize: p.BatchSize,
		Window: seconds(p.MaximumBatchingWindowInSeconds), Enabled: p.Enabled,
		ReportBatchItemFailures: len(p.FunctionResponseTypes) > 0, MaximumConcurrency: p.ScalingConfig.MaximumConcurrency,
		StartingPosition: p.StartingPosition, ParallelizationFactor: p.ParallelizationFactor,
		BisectBatchOnFunctionError: p.BisectBatchOnFunctionError, MaximumRetryAttempts: p.MaximumRetryAttempts,
		MaximumRecordAge: seconds(p.MaximumRecordAgeInSeconds), Filter: filter, FilterPatterns: p.filters(),
		EventCountMetrics: len(p.MetricsConfig.Metrics) > 0, OnFailure: p.DestinationConfig.OnFailure.Destination,
	})
	if err != nil {
		return cloudformation.Attributes{}, err
	}
	return cloudformation.Attributes{Ref: id, Att: map[string]string{"Id": id}}, nil
}

type eventInvokeProperties struct {
	FunctionName             string
	Qualifier                string
	MaximumRetryAttempts     *int
	MaximumEventAgeInSeconds int
	DestinationConfig        struct {
		OnSuccess struct{ Destination string }
		OnFailure struct{ Destination string }
	}
}

func (p *eventInvokeProperties) config() lambda.EventInvokeConfig {
	return lambda.EventInvokeConfig{
		MaximumRetryAttempts: p.MaximumRetryAttempts, MaximumEventAge: seconds(p.MaximumEventAgeInSeconds),
		OnSuccess: p.DestinationConfig.OnSuccess.Destination, OnFailure: p.DestinationConfig.OnFailure.Destination,
	}
}

func (p *eventInvokeProperties) Validate() error {
	if p.Qualifier != "$LATEST" {
		return fmt.Errorf("property Qualifier: %q is not supported by the local environment: want $LATEST", p.Qualifier)
	}
	return nil
}

func (e *Environment) eventInvokeConfig(_ context.Context, r cloudformation.Resource, p eventInvokeProperties) (cloudformation.Attributes, error) {
	id := r.Stack + "-" + r.LogicalID
	return cloudformation.Attributes{Ref: id}, e.lambda.EnsureEventInvokeConfig(p.FunctionName, p.config())
}

type permissionProperties struct {
	Action        string
	FunctionName  string // or its ARN
	Principal     string
	SourceArn     string
	SourceAccount string
}

func (e *Environment) permission(_ context.Context, r cloudformation.Resource, p permissionProperties) (cloudformation.Attributes, error) {
	id := permissionID(r)
	err := e.lambda.EnsurePermission(id, lambda.Permission{
		Function: p.FunctionName, Action: p.Action, Principal: p.Principal, SourceARN: p.SourceArn, SourceAccount: p.SourceAccount,
	})
	return cloudformation.Attributes{Ref: id, Att: map[string]string{"Id": id}}, err
}

func permissionID(r cloudformation.Resource) string { return r.Stack + "-" + r.LogicalID }

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

type logGroupProperties struct {
	LogGroupName    string
	RetentionInDays int
	Tags            tags
}

func (e *Environment) logGroup(_ context.Context, r cloudformation.Resource, p logGroupProperties) (cloudformation.Attributes, error) {
	if !r.Unchanged || !e.logs.Exists(p.LogGroupName) {
		if err := e.logs.CreateGroup(p.LogGroupName, p.RetentionInDays); err != nil {
			return cloudformation.Attributes{}, err
		}
	}
	return cloudformation.Attributes{Ref: p.LogGroupName, Att: map[string]string{
		"Arn": fmt.Sprintf("arn:aws:logs:%s:%s:log-group:%s:*", e.config.Region, e.config.Account, p.LogGroupName),
	}}, nil
}

type parameterProperties struct {
	Name        string
	Description string
	Type        string
	Value       string
}

func (e *Environment) parameter(_ context.Context, _ cloudformation.Resource, p parameterProperties) (cloudformation.Attributes, error) {
	return cloudformation.Attributes{Ref: p.Name, Att: map[string]string{"Type": p.Type, "Value": p.Value}}, nil
}
