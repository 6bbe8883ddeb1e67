package handler

import (
	"context"
	"log/slog"
	"time"
)

// outcome writes the outcome record of every event: one line whose message is
// "outcome", at level Info for a handled event and Warn for a failed one. All
// attributes are always there.
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
//	outcome        handled or failed
//	reason         why it failed; empty for a handled event
//	durationMs     how long the function took: for the event with Each, for the
//	               whole batch with Batch
func outcome(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		start := time.Now()
		failed := next.Handle(ctx, records)
		ms := float64(time.Since(start).Microseconds()) / 1000

		logger := invocationLogger(ctx)
		for _, r := range records {
			level, what, reason := slog.LevelInfo, "handled", ""
			if err := failed.Of(r); err != nil {
				level, what, reason = slog.LevelWarn, "failed", err.Error()
			}
			logger.LogAttrs(ctx, level, "outcome", append(r.attrs(),
				slog.String("outcome", what),
				slog.String("reason", reason),
				slog.Float64("durationMs", ms),
			)...)
		}
		return failed
	})
}
