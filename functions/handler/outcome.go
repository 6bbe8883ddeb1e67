package handler

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// outcome writes the outcome record of every event: one line whose message is
// "outcome", at level Info for an event that was handled, Warn for one that
// failed and Error for one that goes to the DLQ, which a person has to look
// after. All attributes but caused are always there. The record of an event that failed
// permanently is written when it has been sent to the DLQ, or could not be; that
// of one that was never started, when that has been settled too.
// The level of the function's own lines does not matter to it.
//
//	requestId      the invocation
//	function       the function's short name
//	eventKey       function/subscription/id
//	id             the event's id
//	type           the event's type, source/NAME
//	subscription   the subscription's name
//	messageId      SQS's id
//	attempt        how many times the message was received, this time included
//	correlationId  the event's correlation id
//	outcome        handled; failed: it comes back; permanent: it was sent to the
//	               DLQ; or duplicate: it had been handled before
//	reason         why it failed; empty for an event that did not
//	durationMs     how long the function took: for the event with Each, for the
//	               whole batch with Batch
//	caused         the events that were made for it, if any were: "source/NAME id",
//	               separated by commas. They are published if the event was handled;
//	               by one that failed they may be
func outcome(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		start := time.Now()
		failed := next.Handle(ctx, records)
		took := time.Since(start)
		for _, r := range records {
			r.took = took
			switch err := failed.Of(r); {
			case err == nil && r.duplicate:
				r.end(ctx, slog.LevelInfo, duplicateOutcome, "")
			case err == nil:
				r.end(ctx, slog.LevelInfo, handledOutcome, "")
			case !isPermanent(err) && !errors.Is(err, ErrNotStarted):
				r.fail(ctx, err)
			}
		}
		return failed
	})
}

// The outcomes of an event.
const (
	handledOutcome   = "handled"
	failedOutcome    = "failed"
	permanentOutcome = "permanent"
	duplicateOutcome = "duplicate"
)

// fail ends a record that comes back, or goes to the DLQ for having come back
// too often.
func (r *Record) fail(ctx context.Context, err error) {
	level := slog.LevelWarn
	if r.lastReceive() {
		level = slog.LevelError
	}
	r.end(ctx, level, failedOutcome, err.Error())
}

// end writes the record's outcome record.
func (r *Record) end(ctx context.Context, level slog.Level, outcome, reason string) {
	r.outcome = outcome
	if !written(ctx) {
		return
	}
	var room [11]slog.Attr // does not leave the stack
	attrs := append(r.appendAttrs(room[:0]),
		slog.String("outcome", outcome),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(r.took.Microseconds())/1000),
	)
	if caused := r.effects(); len(caused) > 0 {
		attrs = append(attrs, slog.String("caused", strings.Join(caused, ", ")))
	}
	logAlways(ctx, level, "outcome", attrs...)
}
