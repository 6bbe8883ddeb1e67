// Package handlertest runs functions made with package handler in tests, as
// Lambda does, and asserts on what became of their events:
//
//	func TestAFeeIsCharged(t *testing.T) {
//		p := eventstest.NewPublisher(t)
//		fees := newFees(p) // takes an events.Publisher
//
//		result := handlertest.New(t, handler.Each(fees.charge)).Send(
//			savings.SampleWithdrawal(),
//			savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = -1 }),
//		)
//
//		result.RequireOutcomes("handled", "permanent")
//		result.RequireReason(1, "must be positive")
//		eventstest.RequirePublished[savings.FeeCharged](t, p)
//	}
//
// A payload that was recorded, as Lambda logged it, is run by
// [Function.InvokeFile]; the samples of the route's event types by
// [Function.SendSamples]; what was logged is read with [Logged]. Package
// eventstest captures what is published, and its sessions stand for a
// transaction.
//
// Nothing here opens a socket or reads a clock of its own, so that a test may
// run in a bubble of testing/synctest: there a function that waits takes no
// time, and [Timeout] ends it.
//
// Below that there are [Payload], which makes the JSON that Lambda gives a
// function, and [Failed], which reads the answer.
package handlertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Payload returns the JSON of a batch from the queue of that name: one message
// for each event, received for the first time, with the message ids of
// [MessageID] in order. Events are stamped; an [events.Envelope] keeps its
// metadata.
func Payload(t testing.TB, queue string, batch ...events.Event) []byte {
	t.Helper()
	bodies := make([]string, len(batch))
	for i, e := range batch {
		bodies[i] = Body(t, e)
	}
	return PayloadOf(t, queue, bodies...)
}

// MessageID is the message id of the event at index i of a payload.
func MessageID(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) }

// PayloadOf is Payload with message bodies as they are, for what is no event.
func PayloadOf(t testing.TB, queue string, bodies ...string) []byte {
	t.Helper()
	sent := fmt.Sprint(time.Now().UnixMilli())
	records := make([]map[string]any, len(bodies))
	for i, body := range bodies {
		records[i] = map[string]any{
			"messageId":     MessageID(i),
			"receiptHandle": receiptPrefix + MessageID(i),
			"body":          body,
			"attributes": map[string]string{
				"ApproximateReceiveCount":          "1",
				"SentTimestamp":                    sent,
				"SenderId":                         "AIDAIE4WZ4TYDEXAMPLE",
				"ApproximateFirstReceiveTimestamp": sent,
			},
			"messageAttributes": map[string]any{},
			"md5OfBody":         "e4e68fb7bd0e697a0ae8f1bb342846b3",
			"eventSource":       "aws:sqs",
			"eventSourceARN":    "arn:aws:sqs:eu-west-1:123456789012:" + queue,
			"awsRegion":         "eu-west-1",
		}
	}
	return marshal(t, map[string]any{"Records": records})
}

// Body returns the body of the message that EventBridge puts into a queue for
// an event.
func Body(t testing.TB, e events.Event) string {
	t.Helper()
	entry, err := events.Stamp(t.Context(), e).Entry()
	if err != nil {
		t.Fatalf("handlertest: %v", err)
	}
	return string(marshal(t, map[string]any{
		"version":     "0",
		"id":          "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
		"detail-type": entry.Type.Name,
		"source":      entry.Type.Source,
		"account":     "123456789012",
		"time":        time.Now().UTC().Format(time.RFC3339),
		"region":      "eu-west-1",
		"resources":   []string{},
		"detail":      json.RawMessage(entry.Detail),
	}))
}

// Failed returns the message ids in a response, as Lambda reads it: anything
// but a list of ids fails the test.
func Failed(t testing.TB, response []byte) []string {
	t.Helper()
	var r struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	d := json.NewDecoder(bytes.NewReader(response))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || r.BatchItemFailures == nil {
		t.Fatalf("handlertest: %q is not a partial batch response: %v", response, err)
	}
	ids := make([]string, len(r.BatchItemFailures))
	for i, f := range r.BatchItemFailures {
		if f.ItemIdentifier == "" {
			t.Fatalf("handlertest: %q has an empty id, which fails the whole batch", response)
		}
		ids[i] = f.ItemIdentifier
	}
	return ids
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("handlertest: %v", err)
	}
	return b
}
