package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
)

// budget is how long a person may wait for the bus, and once more for the queue.
const budget = time.Second

// queueAPI is what is needed of SQS.
type queueAPI interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// trigger is what Lambda calls, with one event at a time.
type trigger struct {
	bus   *eventbus.Publisher
	queue queueAPI
	url   string // of the queue
	log   *slog.Logger

	app, env string // of the metrics
}

// newTrigger reads the settings that the deployment gives it.
func newTrigger(bus eventbus.API, queue queueAPI, getenv func(string) string, log *slog.Logger) (*trigger, error) {
	for _, name := range []string{"PENSTOCK_APP", "PENSTOCK_ENV", "PENSTOCK_BUS", "PENSTOCK_UNSENT_QUEUE"} {
		if getenv(name) == "" {
			return nil, fmt.Errorf("%s is not set: the deployment gives it", name)
		}
	}
	return &trigger{
		bus:   eventbus.New(bus, getenv("PENSTOCK_BUS"), eventbus.WithLogger(log, slog.LevelInfo)),
		queue: queue, url: getenv("PENSTOCK_UNSENT_QUEUE"), log: log,
		app: getenv("PENSTOCK_APP"), env: getenv("PENSTOCK_ENV"),
	}, nil
}

// handle answers a call of Cognito with the call itself, unchanged, whatever has
// become of the event: an error would turn the person away. Messages of the queue
// are answered with those that failed.
func (t *trigger) handle(ctx context.Context, in json.RawMessage) (any, error) {
	var kind struct {
		TriggerSource string
		Records       []awsevents.SQSMessage
	}
	if err := json.Unmarshal(in, &kind); err != nil {
		t.log.ErrorContext(ctx, "unreadable call: what invokes this function?", slog.String("reason", err.Error()))
		return in, nil
	}
	switch {
	case kind.Records != nil:
		return t.forward(ctx, kind.Records), nil
	case kind.TriggerSource == "":
		return nil, errors.New("the event is neither a call of a Cognito trigger nor a batch of messages: what invokes this function?")
	}
	t.announce(ctx, in)
	return in, nil
}

// announce makes the event of a call and sends it, one way or the other.
func (t *trigger) announce(ctx context.Context, in json.RawMessage) {
	defer func() { // nobody is turned away for a fault of ours
		if r := recover(); r != nil {
			t.count(ctx, metricLost, fmt.Errorf("panic: %v", r))
		}
	}()
	var c call
	if err := json.Unmarshal(in, &c); err != nil {
		t.count(ctx, metricLost, fmt.Errorf("unreadable call of a Cognito trigger: %w", err))
		return
	}
	envelope, ok := eventOf(c, time.Now())
	if !ok {
		return
	}
	event := about(envelope.ID, envelope.EventType(), envelope.UserID)
	entry, err := envelope.Entry()
	if err != nil {
		t.count(ctx, metricLost, err, event...)
		return
	}
	busErr := t.put(ctx, entry)
	if busErr == nil {
		t.count(ctx, metricSent, nil, event...)
		return
	}
	if err := t.keep(ctx, entry); err != nil {
		t.count(ctx, metricLost, errors.Join(busErr, err), event...)
		return
	}
	t.count(ctx, metricQueued, busErr, event...)
}

func (t *trigger) put(ctx context.Context, entry events.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return t.bus.PutEntries(ctx, []events.Entry{entry})
}

// keep puts an event into the queue.
func (t *trigger) keep(ctx context.Context, entry events.Entry) error {
	body, err := json.Marshal(unsent{entry.ID, entry.Type.Source, entry.Type.Name, entry.Detail})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	_, err = t.queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &t.url, MessageBody: aws.String(string(body))})
	return err
}
