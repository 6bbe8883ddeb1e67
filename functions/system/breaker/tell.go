package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
)

// tell publishes the event of a record, and sends people a message. Told again,
// the event is the same, by its id.
func (b *breaker) tell(ctx context.Context, r stops.Record) error {
	t, err := events.ParseType(r.Event)
	if err != nil {
		return err
	}
	var event events.Event
	var subject, message string
	if r.Stopped {
		event = penstock.SubscriptionStopped{
			Function: r.Function, Subscription: r.Name, Event: t, Since: r.Since, By: r.By, Person: r.Person, Reason: r.Reason, Failures: r.Failures,
		}
		subject = fmt.Sprintf("Stopped: %s in %s", r.Subscription, b.env)
		message = fmt.Sprintf("%s no longer receives %s.\n\nWhy: %s\nSince: %s\nBy: %s\n\nIts events wait in the queue %s, for up to 4 days; nothing is lost until then.\n", r.Subscription, r.Event, r.Reason, r.Since.Format("2006-01-02 15:04:05 MST"), who(r), lastPart(r.Queue))
		if !r.ProbeAt.IsZero() {
			message += fmt.Sprintf("The breaker tries it again at %s.\n", r.ProbeAt.Format("15:04:05 MST"))
		}
		message += fmt.Sprintf("Once the cause is mended:\n\n    penstock subscriptions enable %s --env %s\n", r.Subscription, b.env)
	} else {
		event = penstock.SubscriptionResumed{
			Function: r.Function, Subscription: r.Name, Event: t, StoppedSince: r.StoppedSince, ResumedAt: r.Since, By: r.By, Person: r.Person, Reason: r.Reason,
			Queued: b.queued(ctx, r),
		}
		subject = fmt.Sprintf("Resumed: %s in %s", r.Subscription, b.env)
		message = fmt.Sprintf("%s receives %s again, what has waited since %s first.\n\nWhy: %s\nBy: %s\n", r.Subscription, r.Event, r.StoppedSince.Format("2006-01-02 15:04:05 MST"), r.Reason, who(r))
	}
	stamped := events.Stamp(ctx, event)
	stamped.ID = events.DeriveID(r.Since, r.String(), event.EventType(), 0)
	stamped.CorrelationID, stamped.OccurredAt = stamped.ID, r.Since
	_, err = b.topics.Publish(ctx, &sns.PublishInput{TopicArn: &b.topic, Subject: aws.String(subject[:min(len(subject), maxSubject)]), Message: &message})
	// Who is not told by one way is by the other.
	return errors.Join(err, b.publisher.Publish(ctx, stamped))
}

// maxSubject is how long a subject is ("Publish", Amazon SNS API reference).
const maxSubject = 100

func who(r stops.Record) string {
	if r.By == penstock.ActorBreaker {
		return "the breaker"
	}
	return r.Person
}

// queued is about how many events wait; nil if it cannot be asked.
func (b *breaker) queued(ctx context.Context, r stops.Record) *int64 {
	url, err := b.queueURL(ctx, r.Queue)
	if err != nil {
		return nil
	}
	name := types.QueueAttributeNameApproximateNumberOfMessages
	out, err := b.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return nil
	}
	n, err := strconv.ParseInt(out.Attributes[string(name)], 10, 64)
	if err != nil {
		return nil
	}
	return &n
}
