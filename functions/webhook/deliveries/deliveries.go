// Package deliveries is the log of what was delivered to functions on HTTP: every
// attempt, with its request, response and outcome, for some days.
//
// It is a DynamoDB table. An attempt is two items, written by one call:
//
//	pk  FUNCTION/event/EVENT ID          sk  TIME/MESSAGE/NUMBER               the whole attempt
//	pk  FUNCTION/day/2026-11-21/SHARD    sk  OUTCOME/TIME/EVENT/MESSAGE/NUMBER  the same without request and response
//
// So every question is a Query: by event of the first kind, by function, time and
// outcome of the second. A day is spread over four shards by the message, since a
// partition of DynamoDB takes 1,000 writes a second ("Burst and adaptive capacity").
// Keys begin with the function's name: by its role a function writes no other's
// log. DynamoDB deletes what has expired, within some days ("Using time to live").
package deliveries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/penstock-dev/penstock/events"
)

// How long attempts are kept, in days.
const (
	MinDays     = 7
	DefaultDays = 14
	MaxDays     = 365
)

const (
	// MaxResponse is what is kept of a response's body, in bytes.
	MaxResponse = 4 << 10

	// MaxRequest is the longest body of a request that is kept, in bytes. Of a longer
	// one only the start is, and the event cannot be sent again by the log. An item
	// has 400 KB at most ("Quotas in Amazon DynamoDB").
	MaxRequest = 128 << 10

	startOfRequest = 4 << 10 // what is kept of a longer one
)

// Outcome is what became of an attempt.
type Outcome string

const (
	Delivered Outcome = "delivered" // the endpoint answered 2xx
	Retrying  Outcome = "retrying"  // it failed, and there is another attempt
	Failed    Outcome = "failed"    // it failed, and the event is in the DLQ
)

// Outcomes are all of them.
var Outcomes = []Outcome{Delivered, Retrying, Failed}

// Attempt is one attempt to deliver an event. Times are to the millisecond, in
// UTC.
type Attempt struct {
	Function     string        `json:"function"` // its short name
	Subscription string        `json:"subscription"`
	Type         string        `json:"type"`    // the event's, as source/NAME
	Event        string        `json:"event"`   // the event's id
	Message      string        `json:"message"` // SQS's id of the message, which a resend does not keep
	Number       int           `json:"attempt"` // of the message, from 1
	At           time.Time     `json:"at"`      // when it began
	Duration     time.Duration `json:"durationNs"`
	Outcome      Outcome       `json:"outcome"`
	Status       int           `json:"status,omitempty"` // of the response; 0: there was none
	Error        string        `json:"error,omitempty"`  // why it failed
	Next         time.Time     `json:"next,omitzero"`    // when it is tried again, at the earliest

	// What a list does not have.
	Metadata events.Metadata `json:"metadata,omitzero"`
	Request  Request         `json:"request,omitzero"`
	Response Response        `json:"response,omitzero"`
}

// Request is what was sent, with every secret replaced.
type Request struct {
	URL    string            `json:"url,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	Bytes  int               `json:"bytes,omitempty"` // of the whole body, as it is here
}

// Whole reports whether the whole body is there.
func (r Request) Whole() bool { return r.Bytes > 0 && len(r.Body) == r.Bytes }

// Response is what came back.
type Response struct {
	ContentType string `json:"contentType,omitempty"`
	Body        string `json:"body,omitempty"`      // its start, up to MaxResponse
	Truncated   bool   `json:"truncated,omitempty"` // whether there was more
}

// API is what the log needs of DynamoDB: *dynamodb.Client has it.
type API interface {
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
	dynamodb.QueryAPIClient
}

// Log is the log of one environment. It is safe for concurrent use if its client
// is.
type Log struct {
	API   API
	Table string // its name
	Days  int    // how long an attempt is kept; 0: DefaultDays
}

const shards = 4

// clock is a time as keys have it: all of the same length.
const clock = "2006-01-02T15:04:05.000Z"

// position orders the attempts of a function by time, and is different for each.
func (a *Attempt) position() string {
	return a.At.UTC().Format(clock) + "/" + a.Event + "/" + a.Message + "/" + strconv.Itoa(a.Number)
}

func dayKey(function, day string, shard int) string {
	return function + "/day/" + day + "/" + strconv.Itoa(shard)
}

func eventKey(function, event string) string { return function + "/event/" + event }

// Write adds an attempt. Writing it again changes nothing.
func (l Log) Write(ctx context.Context, a Attempt) error {
	a.At = a.At.UTC().Truncate(time.Millisecond)
	if len(a.Request.Body) > MaxRequest {
		a.Request.Body = a.Request.Body[:startOfRequest]
	}
	days := l.Days
	if days == 0 {
		days = DefaultDays
	}
	expires := strconv.FormatInt(a.At.AddDate(0, 0, days).Unix(), 10)
	h := fnv.New32a()
	_, _ = h.Write([]byte(a.Message))
	listed := a
	listed.Metadata, listed.Request, listed.Response = events.Metadata{}, Request{}, Response{}
	var requests []types.WriteRequest
	for _, item := range []struct {
		pk, sk string
		value  Attempt
	}{
		{eventKey(a.Function, a.Event), a.At.Format(clock) + "/" + a.Message + "/" + strconv.Itoa(a.Number), a},
		{dayKey(a.Function, a.At.Format(time.DateOnly), int(h.Sum32()%shards)), string(a.Outcome) + "/" + a.position(), listed},
	} {
		text, err := json.Marshal(item.value)
		if err != nil {
			return err
		}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"pk":      &types.AttributeValueMemberS{Value: item.pk},
			"sk":      &types.AttributeValueMemberS{Value: item.sk},
			"attempt": &types.AttributeValueMemberS{Value: string(text)},
			"expires": &types.AttributeValueMemberN{Value: expires},
		}}})
	}
	out, err := l.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{l.Table: requests}})
	if err == nil && len(out.UnprocessedItems) > 0 {
		// One more try: what is throttled for longer is a log with a gap.
		out, err = l.API.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: out.UnprocessedItems})
		if err == nil && len(out.UnprocessedItems) > 0 {
			err = errors.New("the table is throttled")
		}
	}
	if err != nil {
		return fmt.Errorf("writing to table %s: %w", l.Table, err)
	}
	return nil
}

func decode(item map[string]types.AttributeValue) (a Attempt, err error) {
	text, ok := item["attempt"].(*types.AttributeValueMemberS)
	if !ok {
		return a, fmt.Errorf("log of deliveries: item %v is no attempt", item["pk"])
	}
	return a, json.Unmarshal([]byte(text.Value), &a)
}
