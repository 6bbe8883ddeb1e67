// Package handler is what runs between Lambda and a function that receives
// events. A function is a main of one line:
//
//	func main() { handler.Start(handler.Each(charge)) }
//
//	func charge(ctx context.Context, m *handler.Message[savings.Withdrawal]) error {
//		// m.Event is the withdrawal; a nil error acknowledges it.
//	}
//
// # The life of a batch
//
//  1. Lambda takes messages from a subscription's queue and calls
//     [Function.Invoke] with a payload of them: of one queue, and as many as
//     the subscription's batch size, or as few as one.
//  2. Every message becomes a [Record]: its EventBridge envelope is read, which
//     tells the event's type and metadata. The event's data stays JSON for now.
//     A message in which no event can be found is failed for good, here and in
//     the steps below without holding up its neighbours.
//  3. Records find their [Route] by subscription and event type. One that has no
//     route is failed for good.
//  4. The route's context ends a margin before the invocation does, so that
//     there is time to answer; see [Margin].
//  5. [Each] hands over its records one by one, several at once; see
//     [Concurrency]. [Batch] hands over all of them together. What has not
//     started when the context ends is failed unstarted.
//  6. The data is decoded, and the function called. What it returns an error
//     for is failed. So is what it panics on: with Each that event alone, with
//     Batch the batch. [Notifications] does so for each notification that the
//     function's templates make of the event, and the event fails with it.
//  7. What failed is settled with the queue, in the time that the margin leaves:
//     what failed for good, see [Permanent], is sent to the DLQ at once; what was
//     never started and has no receive left is sent to the queue afresh; all
//     else is given a random delay, which grows with each receive, or the one of
//     [RetryAfter]. Where that does not succeed, or there is no time for it, a
//     message comes back after the queue's visibility timeout.
//  8. Every event leaves one line in the log, its outcome record: handled or
//     failed, why, and how long it took. The batch leaves one line of metrics.
//  9. Invoke answers with the ids of the failed messages alone. Lambda deletes
//     the others from the queue; the failed ones become visible again, and after
//     the subscription's maxReceiveCount they go to its DLQ.
//
// The one rule behind it: an event is acknowledged only if the function
// returned nil for it, or SQS has accepted it elsewhere. It may be delivered
// again after that too (queues deliver at least once), so that its effect must
// bear repetition: deduplicate by [Message.EventKey], as a session's Once does,
// and package idempotency for effects outside of a session.
package handler

import "context"

// Handler handles a batch of records. It returns those that failed, nil or
// empty if none did; all others are acknowledged. It neither changes nor keeps
// the slice.
type Handler interface {
	Handle(ctx context.Context, records []*Record) *Failures
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, records []*Record) *Failures

// Handle implements [Handler].
func (f HandlerFunc) Handle(ctx context.Context, records []*Record) *Failures {
	return f(ctx, records)
}

// Middleware adds something to a Handler. Within [Each] it sees one record at
// a time, several at once; within [Batch] all records together. See [Use].
type Middleware func(next Handler) Handler

// chain puts middlewares around h, the first of them outermost.
func chain(h Handler, middlewares ...Middleware) Handler {
	for i := len(middlewares) - 1; i >= 0; i-- {
		h = middlewares[i](h)
	}
	return h
}
