package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/sns"
	"github.com/penstock-dev/penstock/infra/local/internal/sqs"
)

// alarmFunctions are the functions as CloudWatch's alarms see them.
type alarmFunctions struct{ lambda *lambda.Lambda }

// Invoke implements [cloudwatch.Functions].
func (f alarmFunctions) Invoke(functionARN, alarmARN string, event []byte) error {
	return f.lambda.InvokeFromService("lambda.alarms.cloudwatch.amazonaws.com", alarmARN, functionARN, event)
}

// alarmEvents is the bus as CloudWatch's alarms see it.
type alarmEvents struct{ events *eventbridge.Service }

// Put implements [cloudwatch.Events].
func (b alarmEvents) Put(detailType string, resources []string, detail []byte) error {
	return b.events.PutFromService("aws.cloudwatch", detailType, resources, detail)
}

// alarmTopics are the topics as CloudWatch's alarms see them.
type alarmTopics struct{ sns *sns.Service }

// Publish implements [cloudwatch.Topics].
func (t alarmTopics) Publish(topicARN, alarmARN string, n cloudwatch.Notification) error {
	return t.sns.PublishFromService("cloudwatch.amazonaws.com", alarmARN, topicARN, sns.Message{Subject: n.Subject, Text: n.Message, Email: n.Email})
}

// subscribedQueues are the queues as topics see them.
type subscribedQueues struct{ sqs *sqs.Service }

// Send implements [sns.Queues].
func (q subscribedQueues) Send(queueARN, topicARN, body string) error {
	errs, err := q.sqs.SendFromService("sns.amazonaws.com", []sqs.Outgoing{{QueueARN: queueARN, Body: body, SourceARN: topicARN}})
	return cmp.Or(err, errors.Join(errs...))
}

// subscribedFunctions are the functions as topics see them.
type subscribedFunctions struct{ lambda *lambda.Lambda }

// Invoke implements [sns.Functions].
func (f subscribedFunctions) Invoke(functionARN, topicARN string, event []byte) error {
	return f.lambda.InvokeFromService("sns.amazonaws.com", topicARN, functionARN, event)
}

// mail shows what AWS would send by email.
func (e *Environment) mail(address, subject, message string) {
	e.config.Logger.Warn("an email, which AWS would send", "to", address, "subject", subject, "message", message)
}

type alarmProperties struct {
	AlarmName                                        string
	AlarmDescription                                 string
	ActionsEnabled                                   *bool
	OKActions, AlarmActions, InsufficientDataActions []string
	Namespace                                        string
	MetricName                                       string
	Dimensions                                       []cloudwatch.Dimension
	Statistic, ExtendedStatistic                     string
	Period                                           int
	Unit                                             string
	Metrics                                          []cloudwatch.Query
	EvaluationPeriods                                int
	DatapointsToAlarm                                *int
	Threshold                                        *float64
	ComparisonOperator                               string
	TreatMissingData                                 string
	Tags                                             tags
}

func (p *alarmProperties) config(name string) cloudwatch.AlarmConfig {
	out := cloudwatch.AlarmConfig{
		AlarmName: name, AlarmDescription: p.AlarmDescription,
		ActionsEnabled: p.ActionsEnabled, OKActions: p.OKActions, AlarmActions: p.AlarmActions, InsufficientDataActions: p.InsufficientDataActions,
		Metric:    cloudwatch.Metric{Namespace: p.Namespace, MetricName: p.MetricName, Dimensions: p.Dimensions},
		Statistic: p.Statistic, ExtendedStatistic: p.ExtendedStatistic, Period: p.Period, Unit: p.Unit, Metrics: p.Metrics,
		EvaluationPeriods: p.EvaluationPeriods, DatapointsToAlarm: p.DatapointsToAlarm, Threshold: p.Threshold,
		ComparisonOperator: p.ComparisonOperator, TreatMissingData: p.TreatMissingData,
	}
	for _, t := range p.Tags {
		out.Tags = append(out.Tags, cloudwatch.Tag(t))
	}
	return out
}

// Validate checks everything but the actions, whose ARNs may not be known yet.
func (p *alarmProperties) Validate() error {
	config := p.config("name")
	config.OKActions, config.AlarmActions, config.InsufficientDataActions = nil, nil, nil
	return config.Check()
}

func alarmName(r cloudformation.Resource, p alarmProperties) string {
	return cmp.Or(p.AlarmName, r.Stack+"-"+r.LogicalID)
}

func (e *Environment) alarm(_ context.Context, r cloudformation.Resource, p alarmProperties) (cloudformation.Attributes, error) {
	name := alarmName(r, p)
	out := cloudformation.Attributes{Ref: name, Att: map[string]string{"Arn": e.cloudwatch.ARN(name)}}
	if r.Unchanged && e.cloudwatch.HasAlarm(name) {
		return out, nil
	}
	return out, e.cloudwatch.PutAlarm(p.config(name))
}

func (e *Environment) removeAlarm(_ context.Context, r cloudformation.Resource, p alarmProperties) (string, error) {
	return "", e.cloudwatch.DeleteAlarm(alarmName(r, p))
}

type dashboardProperties struct {
	DashboardName string
	DashboardBody string
}

// dashboard makes nothing: there is no page to show it on.
func (e *Environment) dashboard(_ context.Context, r cloudformation.Resource, p dashboardProperties) (cloudformation.Attributes, error) {
	return cloudformation.Attributes{Ref: cmp.Or(p.DashboardName, r.Stack+"-"+r.LogicalID)}, nil
}

type topicProperties struct {
	TopicName   string
	DisplayName string
	Tags        tags
}

func topicName(r cloudformation.Resource, p topicProperties) string {
	return cmp.Or(p.TopicName, r.Stack+"-"+r.LogicalID)
}

func (e *Environment) topic(_ context.Context, r cloudformation.Resource, p topicProperties) (cloudformation.Attributes, error) {
	name := topicName(r, p)
	arn := e.sns.ARN(name)
	out := cloudformation.Attributes{Ref: arn, Att: map[string]string{"TopicName": name, "TopicArn": arn}}
	if r.Unchanged && e.sns.Exists(name) {
		return out, nil
	}
	return out, e.sns.EnsureTopic(name, p.DisplayName, p.Tags.values())
}

func (e *Environment) removeTopic(_ context.Context, r cloudformation.Resource, p topicProperties) (string, error) {
	return "", e.sns.DeleteTopic(topicName(r, p))
}

type topicPolicyProperties struct {
	Topics         []string // ARNs
	PolicyDocument json.RawMessage
}

func (p *topicPolicyProperties) Validate() error {
	if _, err := policy.Parse(p.PolicyDocument); err != nil {
		return fmt.Errorf("property PolicyDocument: %w", err)
	}
	return nil
}

func (e *Environment) topicPolicy(_ context.Context, r cloudformation.Resource, p topicPolicyProperties) (cloudformation.Attributes, error) {
	for _, arn := range p.Topics {
		if err := e.sns.SetPolicy(arn, string(p.PolicyDocument)); err != nil {
			return cloudformation.Attributes{}, err
		}
	}
	return cloudformation.Attributes{Ref: r.Stack + "-" + r.LogicalID}, nil
}

func (e *Environment) removeTopicPolicy(_ context.Context, _ cloudformation.Resource, p topicPolicyProperties) (string, error) {
	for _, arn := range p.Topics {
		if !e.sns.Exists(arn[strings.LastIndex(arn, ":")+1:]) {
			continue
		}
		if err := e.sns.SetPolicy(arn, ""); err != nil {
			return "", err
		}
	}
	return "", nil
}

type subscriptionProperties struct {
	TopicArn           string
	Protocol           string
	Endpoint           string
	RawMessageDelivery bool
}

func (e *Environment) topicSubscription(_ context.Context, _ cloudformation.Resource, p subscriptionProperties) (cloudformation.Attributes, error) {
	arn, err := e.sns.Subscribe(p.TopicArn, sns.Subscription{Protocol: p.Protocol, Endpoint: p.Endpoint, Raw: p.RawMessageDelivery})
	return cloudformation.Attributes{Ref: arn, Att: map[string]string{"Arn": arn}}, err
}

func (e *Environment) removeTopicSubscription(_ context.Context, _ cloudformation.Resource, p subscriptionProperties) (string, error) {
	return "", e.sns.UnsubscribeEndpoint(p.TopicArn, p.Protocol, p.Endpoint)
}
