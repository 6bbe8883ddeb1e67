package local

import (
	"context"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch"
	"github.com/penstock-dev/penstock/infra/local/internal/eventbridge"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
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
	if p.AlarmName != "" {
		return p.AlarmName
	}
	return r.Stack + "-" + r.LogicalID
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
	if p.DashboardName == "" {
		return cloudformation.Attributes{Ref: fmt.Sprintf("%s-%s", r.Stack, r.LogicalID)}, nil
	}
	return cloudformation.Attributes{Ref: p.DashboardName}, nil
}
