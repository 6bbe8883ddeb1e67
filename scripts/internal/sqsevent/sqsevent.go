// Package sqsevent makes what Lambda hands to a function for an event that
// EventBridge put into the function's queue, and reads the function's answer.
package sqsevent

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
)

// Queue names the queue that the event is to come from.
type Queue struct {
	Partition, Region, Account, Name string
}

// Message is a batch of one message.
type Message struct {
	ID      string // the message's
	Payload []byte // the SQS event, as JSON
}

// New makes the batch for an event that is received for the first time, in the
// form of "Example standard queue message event" (AWS Lambda Developer Guide)
// and "AWS service event metadata" (Amazon EventBridge Events Reference).
func New(e events.Envelope, q Queue) (*Message, error) {
	entry, err := e.Entry()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"version":     "0",
		"id":          uuid.NewString(),
		"detail-type": entry.Type.Name,
		"source":      entry.Type.Source,
		"account":     q.Account,
		"time":        time.Now().UTC().Format(time.RFC3339),
		"region":      q.Region,
		"resources":   []string{},
		"detail":      json.RawMessage(entry.Detail),
	})
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(body)
	sent := fmt.Sprint(time.Now().UnixMilli())
	m := &Message{ID: uuid.NewString()}
	m.Payload, err = json.Marshal(map[string]any{"Records": []any{map[string]any{
		"messageId":     m.ID,
		"receiptHandle": "", // no message of the queue: a function does nothing to the queue about it
		"body":          string(body),
		"attributes": map[string]string{
			"ApproximateReceiveCount":          "1",
			"SentTimestamp":                    sent,
			"SenderId":                         "AIDAIE4WZ4TYDEXAMPLE",
			"ApproximateFirstReceiveTimestamp": sent,
		},
		"messageAttributes": map[string]any{},
		"md5OfBody":         hex.EncodeToString(sum[:]),
		"eventSource":       "aws:sqs",
		"eventSourceARN":    fmt.Sprintf("arn:%s:sqs:%s:%s:%s", q.Partition, q.Region, q.Account, q.Name),
		"awsRegion":         q.Region,
	}}})
	return m, err
}

// Failed returns the ids of the messages that an answer names as failed;
// none if it is no partial batch response.
func Failed(answer []byte) []string {
	var r struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &r) != nil {
		return nil
	}
	var ids []string
	for _, f := range r.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}
