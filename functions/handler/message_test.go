package handler_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestAMessageTellsWhatTheQueueAndThePublisherSaid(t *testing.T) {
	origin := events.WithOrigin(t.Context(), events.Origin{CorrelationID: "c-1", UserID: "u-1", OrganisationID: "o-1"})
	e := events.Stamp(origin, account("ACC-7"))

	// aws-lambda-go's own model of the payload, as a second opinion on it.
	payload, err := json.Marshal(awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId:      "059f36b4-87a3-44ab-83d2-661975830a7d",
		Body:           Body(t, e),
		EventSource:    "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-west-2:123456789012:" + queueName,
		Attributes:     map[string]string{"ApproximateReceiveCount": "3", "SentTimestamp": "1767225600123"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var got *withdrawal
	run(t, t.Context(), payload, handler.Each(func(_ context.Context, m *withdrawal) error {
		got = m
		return nil
	}))

	if got.Event != account("ACC-7") {
		t.Errorf("event is %+v", got.Event)
	}
	if got.Metadata != e.Metadata {
		t.Errorf("metadata is %+v, want %+v", got.Metadata, e.Metadata)
	}
	if got.Function != "withdrawal-fee" || got.Subscription != "withdrawals" {
		t.Errorf("received by %q on %q", got.Function, got.Subscription)
	}
	if got.MessageID != "059f36b4-87a3-44ab-83d2-661975830a7d" || got.ReceiveCount != 3 {
		t.Errorf("message %s, received %d times", got.MessageID, got.ReceiveCount)
	}
	if want := time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC); got.SentAt != want {
		t.Errorf("sent at %v, want %v", got.SentAt, want)
	}
	if want := "withdrawal-fee/withdrawals/" + e.ID; got.EventKey() != want {
		t.Errorf("event key is %q, want %q", got.EventKey(), want)
	}
}

// caused stamps two events of one type in the context of m.
func caused(ctx context.Context, m *withdrawal) [2]events.Metadata {
	return [2]events.Metadata{
		events.Stamp(m.Context(ctx), savings.SampleFeeCharged()).Metadata,
		events.Stamp(m.Context(ctx), savings.SampleFeeCharged()).Metadata,
	}
}

func TestWhatAnEventCausesHasTheSameIdsAtEveryDelivery(t *testing.T) {
	e := events.Stamp(t.Context(), account("A"))
	payload := Payload(t, queueName, e)
	var deliveries [][2]events.Metadata
	each := handler.Each(func(ctx context.Context, m *withdrawal) error {
		deliveries = append(deliveries, caused(ctx, m))
		return nil
	})
	batch := handler.Batch(func(ctx context.Context, messages []*withdrawal) error {
		deliveries = append(deliveries, caused(ctx, messages[0]))
		return nil
	})
	run(t, t.Context(), payload, each)
	run(t, t.Context(), payload, each)
	run(t, t.Context(), payload, batch)

	for _, d := range deliveries {
		if d[0].ID == d[1].ID {
			t.Errorf("two events have the id %s", d[0].ID)
		}
		for i, m := range d {
			if m.ID != deliveries[0][i].ID {
				t.Errorf("the id changed from %s to %s", deliveries[0][i].ID, m.ID)
			}
			if m.CausationID != e.ID || m.CorrelationID != e.CorrelationID {
				t.Errorf("caused by %q with correlation %q", m.CausationID, m.CorrelationID)
			}
		}
	}
}

func TestTheContextOfEachIsAlreadyThatOfItsMessage(t *testing.T) {
	e := events.Stamp(t.Context(), account("A"))
	run(t, t.Context(), Payload(t, queueName, e), handler.Each(func(ctx context.Context, m *withdrawal) error {
		first := events.Stamp(ctx, savings.SampleFeeCharged())
		second := events.Stamp(m.Context(ctx), savings.SampleFeeCharged())
		if first.CausationID != e.ID {
			t.Errorf("caused by %q", first.CausationID)
		}
		if first.ID == second.ID {
			t.Errorf("two events have the id %s", first.ID)
		}
		return nil
	}))
}

func TestAMessageMadeByHandHasAContextToo(t *testing.T) {
	m := &withdrawal{Event: account("A"), Metadata: events.Metadata{ID: "id-1"}, Function: "f", Subscription: "s"}
	if got := events.Stamp(m.Context(t.Context()), savings.SampleFeeCharged()); got.CausationID != "id-1" {
		t.Errorf("caused by %q", got.CausationID)
	}
}
