package handler

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

const (
	// answerTime is what is left of the invocation for the answer to reach
	// Lambda.
	answerTime = 100 * time.Millisecond

	// settleTime is how long settling takes at most, with or without an end of
	// the invocation.
	settleTime = 10 * time.Second
)

// settle does to the queue what the failed records need: those that failed for
// good are sent to the DLQ, those that were never started and have no receive
// left are sent afresh, and all others are given the time at which they come
// back. What was accepted elsewhere is a failure no longer: it is acknowledged.
// What SQS did not accept, or there was no time for, stays a failure, and comes
// back after the queue's visibility timeout.
//
// A message without a receipt handle was not received from a queue: somebody
// has called the function by hand. Nothing is done to the queue about it.
//
// The records whose outcome could not be known before get their outcome record
// here.
func (f *Function) settle(ctx context.Context, records []*Record, failed *Failures) {
	if f.queue != nil && failed.len() > 0 {
		f.settleQueues(ctx, records, failed)
	}
	for _, r := range records {
		if err := failed.Of(r); r.outcome == "" && err != nil {
			r.fail(ctx, err)
		}
	}
}

func (f *Function) settleQueues(ctx context.Context, records []*Record, failed *Failures) {
	bounded, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if end, ok := ctx.Deadline(); ok {
		bounded, cancel = context.WithDeadline(bounded, end.Add(-answerTime))
		defer cancel()
	}
	byQueue := map[string][]*Record{} // there is one in a payload of Lambda's
	for _, r := range records {
		if failed.Of(r) != nil && r.receipt != "" {
			byQueue[r.queueARN] = append(byQueue[r.queueARN], r)
		}
	}
	for arn, batch := range byQueue {
		batch = f.sendPermanent(bounded, arn, batch, failed)
		batch = f.sendAfresh(bounded, arn, batch, failed)
		f.delay(bounded, arn, batch, failed)
	}

	// Acknowledged by its id: one that another record fails under, which does not
	// happen on Lambda, stays.
	stays := map[string]bool{}
	for _, r := range records {
		if failed.Of(r) != nil && !r.elsewhere {
			stays[r.MessageID] = true
		}
	}
	for _, r := range records {
		if r.elsewhere && !stays[r.MessageID] {
			failed.remove(r)
		}
	}
}

// message is the record's message as it was received, to be sent elsewhere.
func (r *Record) message() queue.Message {
	return queue.Message{Body: r.body, Attributes: r.attributes}
}

// sendPermanent sends the records that failed permanently to the DLQ, and
// returns the others.
func (f *Function) sendPermanent(ctx context.Context, queueARN string, batch []*Record, failed *Failures) []*Record {
	permanent, others := partition(batch, func(r *Record) bool { return isPermanent(failed.Of(r)) })
	if len(permanent) == 0 {
		return batch
	}
	letters := make([]queue.Letter, len(permanent))
	for i, r := range permanent {
		letters[i] = r.letter(failed.Of(r))
	}
	errs := f.queue.DeadLetter(ctx, queueARN, letters)
	for i, r := range permanent {
		reason := letters[i].Reason
		if err := answered(errs, i); err != nil {
			r.end(ctx, slog.LevelError, failedOutcome, reason+" (and it could not be sent to the DLQ: "+err.Error()+")")
			others = append(others, r)
		} else {
			r.elsewhere = true
			r.end(ctx, slog.LevelError, permanentOutcome, reason)
		}
	}
	return others
}

// sendAfresh sends the records that were never started, and would go to the DLQ
// if they came back, to their queue as new messages; it returns the others. A new
// message begins without receives and with an age of its own, so that a function
// which never has the time shows in the age of its events, not in the DLQ.
func (f *Function) sendAfresh(ctx context.Context, queueARN string, batch []*Record, failed *Failures) []*Record {
	unstarted, others := partition(batch, func(r *Record) bool {
		return r.lastReceive() && errors.Is(failed.Of(r), ErrNotStarted)
	})
	if len(unstarted) == 0 {
		return batch
	}
	messages := make([]queue.Message, len(unstarted))
	for i, r := range unstarted {
		messages[i] = r.message()
	}
	errs := f.queue.Send(ctx, queueARN, messages)
	for i, r := range unstarted {
		reason := failed.Of(r).Error()
		if err := answered(errs, i); err != nil {
			r.end(ctx, slog.LevelError, failedOutcome, reason+" (and it could not be sent afresh: "+err.Error()+")")
			others = append(others, r)
		} else {
			r.elsewhere = true
			r.end(ctx, slog.LevelWarn, failedOutcome, reason+" (it was sent afresh, since this was its last receive)")
		}
	}
	return others
}

// delay gives the records the time at which they come back.
func (f *Function) delay(ctx context.Context, queueARN string, batch []*Record, failed *Failures) {
	if len(batch) == 0 {
		return
	}
	delays := make([]queue.Delay, len(batch))
	for i, r := range batch {
		delays[i] = queue.Delay{ReceiptHandle: r.receipt, After: r.comesBack(failed.Of(r))}
	}
	errs := f.queue.Delay(ctx, queueARN, delays)
	var first error
	n := 0
	for i := range delays {
		if err := answered(errs, i); err != nil {
			n++
			if first == nil {
				first = err
			}
		}
	}
	if n > 0 {
		Logger(ctx).WarnContext(ctx, "failed messages come back after the queue's visibility timeout, since theirs could not be set",
			"messages", n, "reason", first.Error())
	}
}

// partition tells the records for which is holds from the others.
func partition(records []*Record, is func(*Record) bool) (those, others []*Record) {
	for _, r := range records {
		if is(r) {
			those = append(those, r)
		} else {
			others = append(others, r)
		}
	}
	return those, others
}

var errUnknown = errors.New("whether SQS has accepted it is not known")

// answered is the error of the thing at index i; an answer that is too short
// says nothing of the rest.
func answered(errs []error, i int) error {
	if i < len(errs) {
		return errs[i]
	}
	return errUnknown
}
