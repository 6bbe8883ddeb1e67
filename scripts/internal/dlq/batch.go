package dlq

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	// A batch takes 10 messages, whose bodies and attributes measure 1 MiB
	// together ("SendMessageBatch", Amazon SQS API Reference).
	maxBatch      = 10
	maxBatchBytes = 1 << 20

	// parallel is how many calls are under way at once.
	parallel = 8

	// callTimeout bounds a call that has begun, attempts included. It is not cut
	// short by an interrupt: nobody would know what had become of it.
	callTimeout = 20 * time.Second
)

// refusal is what SQS says of one entry that it does not take, when it takes the
// call.
type refusal struct{ code, message string }

func (r *refusal) Error() string { return r.code + ": " + r.message }

var errNoAnswer = errors.New("SQS did not answer for the message")

// batches makes as few calls about n entries as SQS allows, several at once, and
// returns what went wrong with each entry. size is what an entry measures, nil
// for entries that have no size; call makes a call about the entries from start
// to end, whose ids are their indexes.
func batches(ctx context.Context, n int, size func(i int) int,
	call func(ctx context.Context, start, end int) (failed []types.BatchResultErrorEntry, succeeded []string, err error),
) []error {
	errs := make([]error, n)
	slots := make(chan struct{}, parallel)
	var calls sync.WaitGroup
	ctx = context.WithoutCancel(ctx)
	for start := 0; start < n; {
		end, bytes := start, 0
		for end < n && end-start < maxBatch {
			if size != nil {
				if bytes += size(end); bytes > maxBatchBytes && end > start {
					break
				}
			}
			end++
		}
		from := start
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, callTimeout)
			defer cancel()
			failed, succeeded, err := call(ctx, from, end)
			for i := from; i < end; i++ {
				errs[i] = errNoAnswer
				if err != nil {
					errs[i] = err
				}
			}
			set := func(id string, err error) {
				if i, parsed := strconv.Atoi(id); parsed == nil && from <= i && i < end {
					errs[i] = err
				}
			}
			for _, id := range succeeded {
				set(id, nil)
			}
			for _, f := range failed {
				set(aws.ToString(f.Id), &refusal{aws.ToString(f.Code), aws.ToString(f.Message)})
			}
		})
		start = end
	}
	calls.Wait()
	return errs
}

// send sends entries to a queue. Their ids are set here.
func send(ctx context.Context, api API, url string, entries []types.SendMessageBatchRequestEntry) []error {
	for i := range entries {
		entries[i].Id = aws.String(strconv.Itoa(i))
	}
	return batches(ctx, len(entries), func(i int) int { return entrySize(&entries[i]) }, func(ctx context.Context, start, end int) ([]types.BatchResultErrorEntry, []string, error) {
		out, err := api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries[start:end]})
		if err != nil {
			return nil, nil, err
		}
		var ids []string
		for _, s := range out.Successful {
			ids = append(ids, aws.ToString(s.Id))
		}
		return out.Failed, ids, nil
	})
}

// entrySize is what SQS counts of an entry: its body, and the names, types and
// values of its attributes.
func entrySize(e *types.SendMessageBatchRequestEntry) int {
	n := len(aws.ToString(e.MessageBody))
	for name, a := range e.MessageAttributes {
		n += len(name) + len(aws.ToString(a.DataType)) + len(aws.ToString(a.StringValue)) + len(a.BinaryValue)
	}
	return n
}

// remove deletes messages of the queue.
func (q *Queue) remove(ctx context.Context, messages []*Message) []error {
	return batches(ctx, len(messages), nil, func(ctx context.Context, start, end int) ([]types.BatchResultErrorEntry, []string, error) {
		entries := make([]types.DeleteMessageBatchRequestEntry, 0, maxBatch)
		for i := start; i < end; i++ {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &messages[i].handle})
		}
		out, err := q.api.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, nil, err
		}
		var ids []string
		for _, s := range out.Successful {
			ids = append(ids, aws.ToString(s.Id))
		}
		return out.Failed, ids, nil
	})
}

// hide hides messages for a time from now, in whole seconds; 0 makes them visible.
func (q *Queue) hide(ctx context.Context, handles []string, d time.Duration) []error {
	return batches(ctx, len(handles), nil, func(ctx context.Context, start, end int) ([]types.BatchResultErrorEntry, []string, error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, 0, maxBatch)
		for i := start; i < end; i++ {
			entries = append(entries, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &handles[i], VisibilityTimeout: int32(d / time.Second),
			})
		}
		out, err := q.api.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, nil, err
		}
		var ids []string
		for _, s := range out.Successful {
			ids = append(ids, aws.ToString(s.Id))
		}
		return out.Failed, ids, nil
	})
}
