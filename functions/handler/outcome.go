package handler

import (
	"context"
	"log/slog"
	"time"
)

// outcome writes the outcome record of every event: one line whose message is
// "outcome", at level Info for a handled event, Warn for a failed one and Error
// for one that a person has to look after. All attributes are always there. The
// record of an event that failed permanently is written when it has been sent to
// the DLQ, or could not be.
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
//	outcome        handled; failed: it comes back; or permanent: it was sent to
//	               the DLQ
//	reason         why it failed; empty for a handled event
//	durationMs     how long the function took: for the event with Each, for the
//	               whole batch with Batch
func outcome(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		start := time.Now()
		failed := next.Handle(ctx, records)
		took := time.Since(start)
		for _, r := range records {
			r.took = took
			switch err := failed.Of(r); {
			case err == nil:
				r.logOutcome(ctx, slog.LevelInfo, "handled", "")
			case !isPermanent(err):
				r.logOutcome(ctx, slog.LevelWarn, "failed", err.Error())
			}
		}
		return failed
	})
}

// logOutcome writes the record's outcome record.
func (r *Record) logOutcome(ctx context.Context, level slog.Level, outcome, reason string) {
	invocationLogger(ctx).LogAttrs(ctx, level, "outcome", append(r.attrs(),
		slog.String("outcome", outcome),
		slog.String("reason", reason),
		slog.Float64("durationMs", float64(r.took.Microseconds())/1000),
	)...)
}
