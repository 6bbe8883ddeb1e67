package cloudwatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Functions is what alarms need of Lambda.
type Functions interface {
	// Invoke invokes a function asynchronously on behalf of an alarm, as
	// lambda.alarms.cloudwatch.amazonaws.com.
	Invoke(functionARN, alarmARN string, event []byte) error
}

// Topics is what alarms need of SNS.
type Topics interface {
	// Publish publishes to a topic on behalf of an alarm, as
	// cloudwatch.amazonaws.com.
	Publish(topicARN, alarmARN string, n Notification) error
}

// Notification is what an alarm tells the subscribers of a topic.
type Notification struct {
	Subject string
	Message string // a JSON document, for programs
	Email   string // a sentence, for people
}

// Events is what alarms need of EventBridge.
type Events interface {
	// Put publishes an event of CloudWatch on the default bus.
	Put(detailType string, resources []string, detail []byte) error
}

// action is something that an alarm has to do because its state changed. It is
// in the store until it is done: "CloudWatch alarms guarantees an asynchronous
// invocation of the Lambda function for a given state change" ("Invoke a Lambda
// function from an alarm").
type action struct {
	ARN      string `json:",omitempty"` // of a topic or function; empty: an event on the bus
	Subject  string `json:",omitempty"` // for a topic
	Email    string `json:",omitempty"` // likewise
	Document string
}

// maxSubject is how long a subject is ("Publish", Amazon SNS API reference).
const maxSubject = 100

// actionsOf are the actions of an alarm that came from the state before to the
// one it has.
func (s *Service) actionsOf(a *Alarm, before AlarmState) ([]action, error) {
	event, err := s.stateChange(a, before)
	if err != nil {
		return nil, err
	}
	out := []action{{Document: string(event)}}
	if !a.enabled() {
		return out, nil
	}
	for _, arn := range a.actions(a.State.Value) {
		one := action{ARN: arn}
		var document []byte
		var err error
		if isTopic(arn) {
			one.Subject = fmt.Sprintf("%s: %q in %s", a.State.Value, a.AlarmName, regionName(s.config.Region))
			one.Subject = one.Subject[:min(len(one.Subject), maxSubject)]
			one.Email = s.email(a)
			document, err = s.notification(a, before)
		} else {
			document, err = s.invocation(a, before)
		}
		if err != nil {
			return nil, err
		}
		one.Document = string(document)
		out = append(out, one)
	}
	return out, nil
}

// act tries again what alarms have not done yet.
func (s *Service) act() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.alarms {
		if len(a.Pending) > 0 {
			s.actOn(a)
		}
	}
}

// actOn does what an alarm has to do, and keeps what failed by chance for the
// next minute. What was refused, as for want of a permission, is given up. The
// caller holds mu.
func (s *Service) actOn(a *Alarm) {
	next := *a
	next.Pending = nil
	var items []historyItem
	for _, one := range a.Pending {
		err := s.do(a, one)
		refused := (*awswire.Error)(nil)
		switch {
		case err == nil && one.ARN == "":
		case err == nil:
			items = append(items, item(a, time.Now(), "Action", "Successfully executed action "+one.ARN, actionData(a, one, "Succeeded", "")))
		case errors.As(err, &refused) && refused.Status < 500:
			s.config.Logger.Warn("an alarm's action was refused", "alarm", a.AlarmName, "action", one.ARN, "error", err)
			if one.ARN == "" {
				continue
			}
			items = append(items, item(a, time.Now(), "Action", "Failed to execute action "+one.ARN, actionData(a, one, "Failed", err.Error())))
		default:
			s.config.Logger.Error("an alarm's action failed, and is tried again in a minute", "alarm", a.AlarmName, "action", one.ARN, "error", err)
			next.Pending = append(next.Pending, one)
		}
	}
	if err := s.save(&next, items...); err != nil {
		s.config.Logger.Error("an alarm could not be saved: its actions may be repeated", "alarm", a.AlarmName, "error", err)
	}
}

func (s *Service) do(a *Alarm, one action) error {
	switch {
	case one.ARN == "" && s.config.Events != nil:
		return s.config.Events.Put("CloudWatch Alarm State Change", []string{s.ARN(a.AlarmName)}, []byte(one.Document))
	case isTopic(one.ARN) && s.config.Topics != nil:
		return s.config.Topics.Publish(one.ARN, s.ARN(a.AlarmName), Notification{one.Subject, one.Document, one.Email})
	case isFunction(one.ARN) && s.config.Functions != nil:
		return s.config.Functions.Invoke(one.ARN, s.ARN(a.AlarmName), []byte(one.Document))
	}
	return nil
}

// described is an alarm's state in documents.
type described struct {
	Value      string `json:"value"`
	Reason     string `json:"reason"`
	ReasonData string `json:"reasonData,omitempty"`
	Timestamp  string `json:"timestamp"`
}

func describe(s AlarmState) described {
	return described{s.Value, s.Reason, s.ReasonData, stamp(s.UpdatedAt)}
}

// alarmData is what the documents for functions and for the bus have in common.
type alarmData struct {
	AlarmName     string        `json:"alarmName"`
	State         described     `json:"state"`
	PreviousState described     `json:"previousState"`
	Configuration configuration `json:"configuration"`
}

type configuration struct {
	Description string            `json:"description,omitempty"`
	Metrics     []configuredQuery `json:"metrics"`
}

type configuredQuery struct {
	ID         string          `json:"id"`
	Expression string          `json:"expression,omitempty"`
	Label      string          `json:"label,omitempty"`
	MetricStat *configuredStat `json:"metricStat,omitempty"`
	ReturnData bool            `json:"returnData"`
}

type configuredStat struct {
	Metric struct {
		Namespace  string            `json:"namespace"`
		Name       string            `json:"name"`
		Dimensions map[string]string `json:"dimensions"`
	} `json:"metric"`
	Period int    `json:"period"`
	Stat   string `json:"stat"`
	Unit   string `json:"unit,omitempty"`
}

func dataOf(a *Alarm, before AlarmState) alarmData {
	out := alarmData{a.AlarmName, describe(a.State), describe(before), configuration{Description: a.AlarmDescription}}
	for _, q := range a.queries() {
		one := configuredQuery{ID: q.Id, Expression: q.Expression, Label: q.Label, ReturnData: q.ReturnData == nil || *q.ReturnData}
		if m := q.MetricStat; m != nil {
			one.MetricStat = &configuredStat{Period: m.Period, Stat: m.Stat, Unit: m.Unit}
			one.MetricStat.Metric.Namespace, one.MetricStat.Metric.Name = m.Metric.Namespace, m.Metric.MetricName
			one.MetricStat.Metric.Dimensions = map[string]string{}
			for _, d := range m.Metric.Dimensions {
				one.MetricStat.Metric.Dimensions[d.Name] = d.Value
			}
		}
		out.Configuration.Metrics = append(out.Configuration.Metrics, one)
	}
	return out
}

// stateChange is the detail of the event on the bus ("Alarm events and
// EventBridge").
func (s *Service) stateChange(a *Alarm, before AlarmState) ([]byte, error) {
	return json.Marshal(dataOf(a, before))
}

// invocation is what a function is invoked with ("Invoke a Lambda function from
// an alarm").
func (s *Service) invocation(a *Alarm, before AlarmState) ([]byte, error) {
	return json.Marshal(struct {
		Source    string    `json:"source"`
		AlarmARN  string    `json:"alarmArn"`
		AccountID string    `json:"accountId"`
		Time      string    `json:"time"`
		Region    string    `json:"region"`
		AlarmData alarmData `json:"alarmData"`
	}{"aws.cloudwatch", s.ARN(a.AlarmName), s.config.Account, stamp(a.State.UpdatedAt), s.config.Region, dataOf(a, before)})
}

// email is what people are told; AWS adds a link and a table.
func (s *Service) email(a *Alarm) string {
	text := fmt.Sprintf("Your Amazon CloudWatch alarm %q in the %s region has entered the %s state, because %q.",
		a.AlarmName, regionName(s.config.Region), a.State.Value, a.State.Reason)
	if a.AlarmDescription != "" {
		text += " " + a.AlarmDescription
	}
	return text
}

// notification is the message to a topic, as queues and functions receive it
// (events.CloudWatchAlarmSNSPayload of aws-lambda-go).
func (s *Service) notification(a *Alarm, before AlarmState) ([]byte, error) {
	type dimension struct {
		Value string `json:"value"`
		Name  string `json:"name"`
	}
	type metricStat struct {
		Metric struct {
			Dimensions []dimension
			MetricName string
			Namespace  string
		}
		Period int
		Stat   string
		Unit   string `json:",omitempty"`
	}
	type query struct {
		Expression string      `json:",omitempty"`
		Id         string      //nolint:revive // the document's spelling
		Label      string      `json:",omitempty"`
		MetricStat *metricStat `json:",omitempty"`
		ReturnData bool
	}
	type trigger struct {
		MetricName        string      `json:",omitempty"`
		Namespace         string      `json:",omitempty"`
		StatisticType     string      `json:",omitempty"`
		Statistic         string      `json:",omitempty"`
		ExtendedStatistic string      `json:",omitempty"`
		Unit              *string     // null without one
		Dimensions        []dimension `json:",omitempty"`
		Period            int
		EvaluationPeriods int
		DatapointsToAlarm int

		ComparisonOperator               string
		Threshold                        decimal
		TreatMissingData                 string
		EvaluateLowSampleCountPercentile string
		Metrics                          []query `json:",omitempty"`
	}
	dimensions := func(of []Dimension) []dimension {
		out := []dimension{}
		for _, d := range of {
			out = append(out, dimension{d.Value, d.Name})
		}
		return out
	}
	t := trigger{Period: int(a.watch.period() / time.Second), EvaluationPeriods: a.EvaluationPeriods, DatapointsToAlarm: a.datapoints(),
		ComparisonOperator: a.ComparisonOperator, Threshold: decimal(*a.Threshold), TreatMissingData: a.treatMissing()}
	if a.MetricName != "" {
		t.MetricName, t.Namespace, t.Dimensions = a.MetricName, a.Namespace, dimensions(a.Dimensions)
		t.StatisticType, t.Statistic = "Statistic", upper[a.Statistic]
		if a.ExtendedStatistic != "" {
			t.StatisticType, t.ExtendedStatistic = "ExtendedStatistic", a.ExtendedStatistic
		}
		if a.Unit != "" {
			t.Unit = &a.Unit
		}
	}
	for _, q := range a.Metrics {
		one := query{Expression: q.Expression, Id: q.Id, Label: q.Label, ReturnData: q.ReturnData == nil || *q.ReturnData}
		if m := q.MetricStat; m != nil {
			one.MetricStat = &metricStat{Period: m.Period, Stat: m.Stat, Unit: m.Unit}
			one.MetricStat.Metric.Dimensions = dimensions(m.Metric.Dimensions)
			one.MetricStat.Metric.MetricName, one.MetricStat.Metric.Namespace = m.Metric.MetricName, m.Metric.Namespace
		}
		t.Metrics = append(t.Metrics, one)
	}
	var description *string // null without one
	if a.AlarmDescription != "" {
		description = &a.AlarmDescription
	}
	return json.Marshal(struct {
		AlarmName                          string
		AlarmDescription                   *string
		AWSAccountId                       string //nolint:revive // the document's spelling
		AlarmConfigurationUpdatedTimestamp string
		NewStateValue                      string
		NewStateReason                     string
		StateChangeTime                    string
		Region                             string
		AlarmArn                           string
		OldStateValue                      string
		OKActions                          []string
		AlarmActions                       []string
		InsufficientDataActions            []string
		Trigger                            trigger
	}{
		a.AlarmName, description, s.config.Account, stamp(a.ConfiguredAt), a.State.Value, a.State.Reason, stamp(a.State.UpdatedAt),
		regionName(s.config.Region), s.ARN(a.AlarmName), before.Value,
		orEmpty(a.OKActions), orEmpty(a.AlarmActions), orEmpty(a.InsufficientDataActions), t,
	})
}

// upper is how the message to a topic writes statistics.
var upper = map[string]string{"SampleCount": "SAMPLE_COUNT", "Sum": "SUM", "Average": "AVERAGE", "Minimum": "MINIMUM", "Maximum": "MAXIMUM"}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// regionNames are the names that messages to topics have for regions ("AWS
// Regions", AWS General Reference).
var regionNames = map[string]string{
	"us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)", "us-west-2": "US West (Oregon)",
	"ca-central-1": "Canada (Central)", "sa-east-1": "South America (Sao Paulo)",
	"eu-central-1": "EU (Frankfurt)", "eu-west-1": "EU (Ireland)", "eu-west-2": "EU (London)", "eu-west-3": "EU (Paris)", "eu-north-1": "EU (Stockholm)",
	"ap-northeast-1": "Asia Pacific (Tokyo)", "ap-northeast-2": "Asia Pacific (Seoul)", "ap-northeast-3": "Asia Pacific (Osaka)",
	"ap-south-1": "Asia Pacific (Mumbai)", "ap-southeast-1": "Asia Pacific (Singapore)", "ap-southeast-2": "Asia Pacific (Sydney)",
}

// regionName is the name of a region; one that is not known here is called by
// its code.
func regionName(code string) string {
	if name, ok := regionNames[code]; ok {
		return name
	}
	return code
}
