package handler

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler/internal/fastjson"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// sqsMessage is what is used of a message in Lambda's payload ("Example
// standard queue message event", AWS Lambda Developer Guide).
type sqsMessage struct {
	MessageID      string `json:"messageId"`
	ReceiptHandle  string `json:"receiptHandle"`
	Body           string `json:"body"`
	EventSource    string `json:"eventSource"`
	EventSourceARN string `json:"eventSourceARN"`
	Attributes     struct {
		ReceiveCount  decimal `json:"ApproximateReceiveCount"`
		SentTimestamp decimal `json:"SentTimestamp"` // ms since 1970
	} `json:"attributes"`
	MessageAttributes attributes `json:"messageAttributes"`
}

// attributes are the texts among a message's attributes that are Penstock's own;
// nil for most messages, which have none.
type attributes map[string]string

// UnmarshalJSON reads the attributes of a message.
func (a *attributes) UnmarshalJSON(data []byte) error {
	if string(data) == "{}" { // nearly always
		return nil
	}
	var all map[string]struct {
		StringValue *string `json:"stringValue"` // null for an attribute that is binary
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	for name, value := range all {
		if !strings.HasPrefix(name, queue.Prefix) || value.StringValue == nil {
			continue
		}
		if *a == nil {
			*a = attributes{}
		}
		(*a)[name] = *value.StringValue
	}
	return nil
}

// decimal is a number that is written as a string.
type decimal int64

// UnmarshalJSON reads a string of digits. As everywhere in JSON, null is
// nothing.
func (d *decimal) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	if err != nil {
		return fmt.Errorf("%s: want a number in quotes", data)
	}
	*d = decimal(n)
	return nil
}

// readPayload reads what Lambda gives a function for a batch. It fails for
// anything but an SQS event whose messages all have ids: without an id a
// message could not be named as failed.
func readPayload(payload []byte) ([]sqsMessage, error) {
	var p struct {
		Records []sqsMessage `json:"Records"`
	}
	if err := fastjson.Unmarshal(payload, &p); err != nil {
		return nil, notSQS(payload, err.Error())
	}
	if p.Records == nil {
		return nil, notSQS(payload, "it has no Records")
	}
	for i, m := range p.Records {
		switch {
		case m.EventSource != "aws:sqs":
			return nil, notSQS(payload, fmt.Sprintf("the eventSource of record %d is %q", i, m.EventSource))
		case m.MessageID == "":
			return nil, notSQS(payload, fmt.Sprintf("record %d has no messageId", i))
		}
	}
	return p.Records, nil
}

func notSQS(payload []byte, why string) error {
	const shown = 200
	got := string(payload)
	if len(got) > shown {
		got = got[:shown] + "…"
	}
	return fmt.Errorf("handler: the payload is not an SQS event: %s; got %q", why, got)
}

// records makes the records of messages.
func (f *Function) records(messages []sqsMessage) []*Record {
	records := make([]*Record, len(messages))
	var room busEvent
	for i := range messages {
		records[i] = f.record(&messages[i], &room)
	}
	return records
}

// record makes the record of a message. Whatever is wrong with its body is kept
// in the record, to be its reason.
func (f *Function) record(m *sqsMessage, room *busEvent) *Record {
	name := m.EventSourceARN[strings.LastIndexByte(m.EventSourceARN, ':')+1:]
	r := &Record{
		Function:     f.name,
		Subscription: strings.TrimPrefix(name, f.queuePrefix),
		MessageID:    m.MessageID,
		ReceiveCount: int(m.Attributes.ReceiveCount),
		queueARN:     m.EventSourceARN,
		receipt:      m.ReceiptHandle,
		body:         m.Body,
		attributes:   m.MessageAttributes,
	}
	r.retries = cmp.Or(f.retries[r.Subscription], defaultRetries)
	if ms := m.Attributes.SentTimestamp; ms != 0 {
		r.SentAt = time.UnixMilli(int64(ms)).UTC()
	}
	r.err = r.readEvent(m.Body, room)
	return r
}

// busEvent is what is used of an event as EventBridge delivers it ("AWS service
// event metadata", Amazon EventBridge Events Reference; replay-name: "Archiving
// and replaying events in Amazon EventBridge").
type busEvent struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Replay     string `json:"replay-name"`
	Detail     struct {
		Metadata events.Metadata `json:"metadata"`
		Data     json.RawMessage `json:"data"`
	} `json:"detail"`
}

// readEvent reads the event in a message's body, by way of e.
func (r *Record) readEvent(body string, e *busEvent) error {
	err := fastjson.UnmarshalString(body, e)
	// As much as could be read, for the outcome record.
	r.Type = events.Type{Source: e.Source, Name: e.DetailType}
	r.Metadata = e.Detail.Metadata
	r.Data = e.Detail.Data
	r.Replay = e.Replay
	switch {
	case err != nil:
		return fmt.Errorf("the message is not an event from the bus: %w", err)
	case e.Source == "" || e.DetailType == "":
		return errors.New("the message is not an event from the bus: it has no source or no detail-type")
	case r.Metadata.ID == "":
		return fmt.Errorf("the event %s was not published by Penstock: detail.metadata has no id", r.Type)
	case r.Metadata.Depth > MaxDepth:
		return fmt.Errorf("the event %s was caused by a chain of %d others, and a function takes %d: they go round in a loop", r.Type, r.Metadata.Depth, MaxDepth)
	case len(r.Data) == 0 || string(r.Data) == "null":
		return fmt.Errorf("the event %s was not published by Penstock: detail has no data", r.Type)
	}
	return nil
}

// response is the partial batch response ("Implementing partial batch responses
// for Amazon SQS", AWS Lambda Developer Guide): the messages that failed. An
// empty list acknowledges the batch.
func response(records []*Record, failed *Failures) ([]byte, error) {
	type item struct {
		ItemIdentifier string `json:"itemIdentifier"`
	}
	items := []item{}
	for _, r := range records {
		if failed.Of(r) != nil {
			items = append(items, item{r.MessageID})
		}
	}
	return json.Marshal(struct {
		BatchItemFailures []item `json:"batchItemFailures"`
	}{items})
}
