package handler

import (
	"context"
	"errors"
	"time"
)

const defaultMargin = 500 * time.Millisecond

// Margin sets how long before the end of the invocation the context of the
// events ends and no event is started any more: the time that remains for
// functions to return and for the answer to reach Lambda. The default is
// 500 ms. It must be shorter than the function's timeout.
func Margin(d time.Duration) Option { return func(o *options) { o.margin = d } }

// deadline ends the context a margin before the invocation ends.
func deadline(margin time.Duration) Middleware {
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
			end, ok := ctx.Deadline()
			if !ok {
				return next.Handle(ctx, records)
			}
			ctx = context.WithValue(ctx, endKey{}, end)
			ctx, cancel := context.WithDeadline(ctx, end.Add(-margin))
			defer cancel()
			return next.Handle(ctx, records)
		})
	}
}

type endKey struct{}

// End returns when the invocation that ctx belongs to ends, if it does: a margin
// after ctx itself, and the latest that anything of it can run. It is for
// middlewares; functions go by their context.
func End(ctx context.Context) (end time.Time, ok bool) {
	end, ok = ctx.Value(endKey{}).(time.Time)
	return end, ok
}

// ErrNotStarted is the error of an event that nothing was done for, since time had
// run out. It comes back soon, and if it has no receive left it is sent afresh, as
// it has not failed yet.
var ErrNotStarted = errors.New("not started: the time of the invocation had run out")

// startInTime fails records whose context has ended before they are started, so
// that they come back soon. That costs them a receive, which is not their fault:
// one that has none left is sent afresh when the batch is settled.
func startInTime(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		if ctx.Err() != nil {
			return failAll(records, ErrNotStarted)
		}
		return next.Handle(ctx, records)
	})
}
