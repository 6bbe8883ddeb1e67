package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
)

// withdrawals is how many events the batch has that is decoded: 5 MB of them.
// Lambda gives a function at most 6 MB ("Lambda quotas").
const withdrawals = 4800

// decoding compares what a function does with a batch, from the bytes of Lambda
// to typed events to the response, with what one writes without Penstock. The
// functions themselves do nothing.
func decoding(ctx context.Context, b *bench) error {
	payload, err := batch(ctx, withdrawals)
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler) // the usual way logs nothing
	whole := handler.New(handler.Batch(func(context.Context, []*handler.Message[savings.Withdrawal]) error { return nil })).WithLogger(quiet)
	each := handler.New(handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error { return nil })).WithLogger(quiet)
	ways := []func(context.Context, []byte) ([]byte, error){whole.Invoke, each.Invoke, usual}

	var sides []side
	for _, way := range ways {
		response, err := way(ctx, payload)
		if err != nil {
			return err
		}
		if string(response) != `{"batchItemFailures":[]}` {
			return fmt.Errorf("the response is %.200s: nothing should have failed", response)
		}
		sides = append(sides, side{work: func(ctx context.Context) (int, error) {
			_, err := way(ctx, payload)
			return len(payload), err
		}})
	}
	rates, err := b.scale.finer(2).rates(ctx, sides...)
	if err != nil {
		return err
	}
	peer := fmt.Sprintf("SQSEvent, EventBridgeEvent and the detail with encoding/json; %d events, %.1f MB", withdrawals, float64(len(payload))/1e6)
	b.report.add(
		result{Name: "decode", Value: rates[0] / 1e6, Unit: "MB/s", Goal: "ratio ≥ 4"}.against(peer+"; ours with Batch", rates[2]/1e6),
		result{Name: "decode_each", Value: rates[1] / 1e6, Unit: "MB/s"}.against(peer+"; ours with Each", rates[2]/1e6),
	)
	allocations := make([]float64, len(ways))
	for i, way := range ways {
		n, err := mallocs(func() error { _, err := way(ctx, payload); return err })
		if err != nil {
			return err
		}
		allocations[i] = n
	}
	b.report.add(
		result{Name: "decode_allocs", Value: allocations[0], Unit: "allocations/batch", Goal: "ratio ≤ 0.2"}.against(peer+"; ours with Batch", allocations[2]),
		result{Name: "decode_allocs_each", Value: allocations[1], Unit: "allocations/batch"}.against(peer+"; ours with Each", allocations[2]),
	)
	return nil
}

// mallocs counts the allocations of the second of two calls: the first fills
// caches.
func mallocs(work func() error) (float64, error) {
	if err := work(); err != nil {
		return 0, err
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := work()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs), err
}

// usual is what one writes with aws-lambda-go and encoding/json.
func usual(_ context.Context, payload []byte) ([]byte, error) {
	var in awsevents.SQSEvent
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, err
	}
	out := awsevents.SQSEventResponse{BatchItemFailures: []awsevents.SQSBatchItemFailure{}}
	for _, m := range in.Records {
		if err := usualEvent(m.Body); err != nil {
			out.BatchItemFailures = append(out.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return json.Marshal(out)
}

func usualEvent(body string) error {
	var event awsevents.EventBridgeEvent
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return err
	}
	var detail struct {
		Metadata events.Metadata    `json:"metadata"`
		Data     savings.Withdrawal `json:"data"`
	}
	return json.Unmarshal(event.Detail, &detail)
}

// batch is the payload that Lambda gives a function for n withdrawals
// ("Example standard queue message event", AWS Lambda Developer Guide).
func batch(ctx context.Context, n int) ([]byte, error) {
	type message struct {
		MessageID         string            `json:"messageId"`
		ReceiptHandle     string            `json:"receiptHandle"`
		Body              string            `json:"body"`
		Attributes        map[string]string `json:"attributes"`
		MessageAttributes struct{}          `json:"messageAttributes"`
		MD5OfBody         string            `json:"md5OfBody"`
		EventSource       string            `json:"eventSource"`
		EventSourceARN    string            `json:"eventSourceARN"`
		AWSRegion         string            `json:"awsRegion"`
	}
	now := time.Now()
	messages := make([]message, n)
	for i := range messages {
		entry, err := events.Stamp(ctx, savings.SampleWithdrawal(func(w *savings.Withdrawal) {
			w.AccountID = fmt.Sprintf("ACC-%05d", i%997)
			w.TransactionID = fmt.Sprintf("TX-%06d", i)
			w.Amount = float64(100+i*37%90000) / 100
		})).Entry()
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(struct {
			Version    string          `json:"version"`
			ID         string          `json:"id"`
			DetailType string          `json:"detail-type"`
			Source     string          `json:"source"`
			Account    string          `json:"account"`
			Time       time.Time       `json:"time"`
			Region     string          `json:"region"`
			Resources  []string        `json:"resources"`
			Detail     json.RawMessage `json:"detail"`
		}{"0", fmt.Sprintf("53dc4d37-cffa-4f76-80c9-%012d", i), entry.Type.Name, entry.Type.Source, "123456789012",
			now.UTC().Truncate(time.Second), "eu-west-1", []string{}, entry.Detail})
		if err != nil {
			return nil, err
		}
		ms := strconv.FormatInt(now.UnixMilli()+int64(i), 10)
		messages[i] = message{
			MessageID:     fmt.Sprintf("059f36b4-87a3-44ab-83d2-%012d", i),
			ReceiptHandle: fmt.Sprintf("AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a%08d", i),
			Body:          string(body),
			Attributes: map[string]string{
				"ApproximateReceiveCount": "1", "SentTimestamp": ms,
				"SenderId": "AIDAIENQZJOLO23YVJ4VO", "ApproximateFirstReceiveTimestamp": ms,
			},
			MD5OfBody:      "e4e68fb7bd0e697a0ae8f1bb342846b3",
			EventSource:    "aws:sqs",
			EventSourceARN: "arn:aws:sqs:eu-west-1:123456789012:penstock-prod-withdrawal-fee-withdrawals",
			AWSRegion:      "eu-west-1",
		}
	}
	return json.Marshal(struct{ Records []message }{messages})
}
