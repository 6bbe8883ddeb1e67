package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
)

// The clients of AWS's services that the breaker needs.
type (
	functions interface {
		stops.Mappings
		GetEventSourceMapping(context.Context, *awslambda.GetEventSourceMappingInput, ...func(*awslambda.Options)) (*awslambda.GetEventSourceMappingOutput, error)
		Invoke(context.Context, *awslambda.InvokeInput, ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error)
	}
	alarms interface {
		stops.Alarms
		cloudwatch.DescribeAlarmsAPIClient
		cloudwatch.GetMetricDataAPIClient
	}
	queues interface {
		GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) //nolint:revive // the SDK's spelling
		ListQueueTags(context.Context, *sqs.ListQueueTagsInput, ...func(*sqs.Options)) (*sqs.ListQueueTagsOutput, error)
		GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
		ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
		DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
		ChangeMessageVisibilityBatch(context.Context, *sqs.ChangeMessageVisibilityBatchInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityBatchOutput, error)
	}
	topics interface {
		Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
	}
	clients struct {
		lambda functions
		items  stops.Items
		alarms alarms
		queues queues
		topics topics
		bus    eventbus.API
	}
)

// breaker looks after the subscriptions of one environment. Lambda calls it with
// one event at a time.
type breaker struct {
	clients
	stops     *stops.Switch
	publisher *eventbus.Publisher
	env       string
	topic     string // ARN
	log       *slog.Logger
}

// newBreaker reads the settings that the deployment gives it.
func newBreaker(c clients, getenv func(string) string, log *slog.Logger) (*breaker, error) {
	for _, name := range []string{"PENSTOCK_ENV", "PENSTOCK_BUS", "PENSTOCK_STATE_TABLE", "PENSTOCK_TOPIC"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: the deployment gives it", name)
		}
	}
	return &breaker{
		clients:   c,
		stops:     &stops.Switch{Mappings: c.lambda, Items: c.items, Alarms: c.alarms, Table: getenv("PENSTOCK_STATE_TABLE")},
		publisher: eventbus.New(c.bus, getenv("PENSTOCK_BUS")),
		env:       getenv("PENSTOCK_ENV"),
		topic:     getenv("PENSTOCK_TOPIC"),
		log:       log,
	}, nil
}

// input is what the breaker is called with: a change of an alarm's state ("Invoke
// a Lambda function from an alarm"), or a schedule's event.
type input struct {
	DetailType string     `json:"detail-type"`
	AlarmData  *alarmData `json:"alarmData"`
}

func (b *breaker) handle(ctx context.Context, in input) error {
	switch {
	case in.AlarmData != nil:
		return b.alarmed(ctx, in.AlarmData)
	case in.DetailType == "Scheduled Event":
		return b.watch(ctx)
	}
	return errors.New("the event is neither that of an alarm nor that of a schedule: what invokes this function?")
}

// watch brings every subscription in line with its record, tells what was not
// told, and probes. What fails with one keeps no other waiting.
func (b *breaker) watch(ctx context.Context) error {
	records, err := b.stops.All(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for i, r := range records {
		if !r.Stopped && r.Told {
			continue // what became of it since is nobody's business
		}
		if records[i], err = b.settle(ctx, r); err != nil {
			faults = append(faults, fmt.Errorf("subscription %s: %w", r.Subscription, err))
		}
	}
	// Last, since a function may take its time.
	for _, r := range records {
		if r.Stopped && r.Told && !r.ProbeAt.IsZero() && !time.Now().Before(r.ProbeAt) {
			if err := b.probe(ctx, r); err != nil {
				faults = append(faults, fmt.Errorf("subscription %s: probe: %w", r.Subscription, err))
			}
		}
	}
	return errors.Join(faults...)
}

// settle does what a record still asks for.
func (b *breaker) settle(ctx context.Context, r stops.Record) (stops.Record, error) {
	if err := b.stops.Apply(ctx, r); err != nil && !errors.Is(err, stops.ErrNotDeployed) {
		return r, err
	}
	if r.Told {
		return r, nil
	}
	if err := b.tell(ctx, r); err != nil {
		return r, err
	}
	r.Told = true
	told, err := b.stops.Put(ctx, r)
	if errors.Is(err, stops.ErrChanged) {
		return r, nil // somebody was as fast; the next minute shows
	}
	return told, err
}

// subscriptionOf knows the subscription behind a mapping's queue by the queue's
// tags, which the deployment gives it.
func (b *breaker) subscriptionOf(ctx context.Context, queueARN, functionARN, alarm string) (stops.Subscription, error) {
	url, err := b.queueURL(ctx, queueARN)
	if err != nil {
		return stops.Subscription{}, err
	}
	out, err := b.queues.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
	if err != nil {
		return stops.Subscription{}, err
	}
	s := stops.Subscription{
		Function: out.Tags["penstock:function"], Name: out.Tags["penstock:subscription"], Event: out.Tags["penstock:event"],
		Lambda: lastPart(functionARN), Queue: queueARN, Alarm: alarm,
	}
	minutes, err := strconv.Atoi(out.Tags["penstock:probe-after-minutes"])
	if s.Function == "" || s.Name == "" || err != nil {
		return s, fmt.Errorf("queue %s lacks the tags of a subscription (penstock:function and so on): deploy its function again", queueARN)
	}
	s.ProbeAfter = time.Duration(minutes) * time.Minute
	return s, nil
}

func (b *breaker) queueURL(ctx context.Context, arn string) (string, error) {
	name := lastPart(arn)
	out, err := b.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("queue %s: %w", name, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// lastPart is the name at the end of an ARN.
func lastPart(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }
