package lambda

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
)

// tried is what became of a batch so far.
type tried struct {
	times int     // the function was reached
	last  *Result // nil: never
}

func (t *tried) count(result *Result) {
	if result != nil {
		t.times++
		t.last = result
	}
}

// The conditions of records that were dropped.
const (
	retryAttemptsExhausted condition = "RetryAttemptsExhausted"
	recordAgeExceeded      condition = "RecordAgeExceeded"
)

// shardID is that of the one shard that a stream has here.
const shardID = "shardId-00000000000000000000-00000000"

// droppedRecord is what a queue is sent about records that were dropped: where
// they are, and not what they say ("Retain discarded records for a DynamoDB event
// source in Lambda").
type droppedRecord struct {
	RequestContext  requestContext   `json:"requestContext"`
	ResponseContext *responseContext `json:"responseContext,omitempty"` // nil: the function was never reached
	Version         string           `json:"version"`
	Timestamp       string           `json:"timestamp"`
	Batch           streamBatch      `json:"DDBStreamBatchInfo"`
}

type streamBatch struct {
	ShardID      string `json:"shardId"`
	Start        string `json:"startSequenceNumber"`
	End          string `json:"endSequenceNumber"`
	FirstArrived string `json:"approximateArrivalOfFirstRecord"`
	LastArrived  string `json:"approximateArrivalOfLastRecord"`
	Size         int    `json:"batchSize"`
	StreamARN    string `json:"streamArn"`
}

// tellDropped tells the mapping's destination that a batch is dropped, before it
// counts as handled. A queue that does not take it is not told again, as with the
// destinations of asynchronous invocations.
func (s *shard) tellDropped(batch []StreamRecord, reason string, t tried) {
	if s.spec.OnFailure == "" {
		return
	}
	l, first, last := s.m.l, batch[0], batch[len(batch)-1]
	record := droppedRecord{
		RequestContext: requestContext{FunctionArn: l.functionARN(s.spec.Function), Condition: retryAttemptsExhausted, ApproximateInvokeCount: t.times},
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		Batch: streamBatch{
			ShardID: shardID, Start: sequenceNumber(first), End: sequenceNumber(last),
			FirstArrived: first.At.UTC().Format(time.RFC3339), LastArrived: last.At.UTC().Format(time.RFC3339),
			Size: len(batch), StreamARN: s.spec.SourceARN,
		},
	}
	if reason == droppedAge {
		record.RequestContext.Condition = recordAgeExceeded
	}
	if t.last != nil {
		record.RequestContext.RequestID = t.last.RequestID
		record.ResponseContext = &responseContext{StatusCode: 200, ExecutedVersion: "$LATEST", FunctionError: t.last.FunctionError}
	}
	body, err := json.Marshal(record)
	if err == nil {
		err = s.send(string(body))
	}
	if err != nil {
		l.record(s.spec.Function, func(m *functionMetrics) { m.destinationFailures.Add(1) })
		l.cfg.Logger.Error("nobody is told of records that were dropped: the destination did not take it",
			"function", s.spec.Function, "stream", s.spec.SourceARN, "destination", s.spec.OnFailure, "error", err)
	}
}

func (s *shard) send(body string) error {
	l := s.m.l
	f, err := l.find(s.spec.Function, "")
	if err != nil {
		return err
	}
	if err := l.mayUse(f, "SendMessage", s.spec.OnFailure); err != nil {
		return err
	}
	return l.cfg.Queues.Send(context.WithoutCancel(l.ctx), s.spec.OnFailure, body)
}

func sequenceNumber(r StreamRecord) string { return fmt.Sprintf("%021d", r.Sequence) }
