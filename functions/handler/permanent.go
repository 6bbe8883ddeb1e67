package handler

import (
	"context"
	"errors"
	"log/slog"
)

// Permanent marks an error of an event that would fail again however often it
// came back: its data is wrong, what it is about does not exist. Such an event
// goes to the DLQ of its queue at once, if the function has a way to it (see
// [Function.WithDLQ]); otherwise, and if it cannot be sent, it is failed like any
// other, and gets there after the subscription's maxReceiveCount. It is nil for a
// nil error. A function of [Batch] marks the errors in its *[Failures], or the one
// error of the whole batch.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}

// DeadLetter is a message that is not to come back.
type DeadLetter struct {
	MessageID string // SQS's id of the message in the queue
	Body      string // as it was received
	Reason    string // why the event failed
}

// DLQ sends messages to the DLQ of the queue that they came from; package dlq
// has the one of SQS. It is safe for concurrent use.
type DLQ interface {
	// Send sends letters to the DLQ of the queue with the given ARN. It returns
	// an error for each, in their order: nil for one that the DLQ has accepted.
	Send(ctx context.Context, queueARN string, letters []DeadLetter) []error
}

// WithDLQ has events that fail permanently sent to the DLQ at once, and returns
// f. It must be called before the first Invoke.
func (f *Function) WithDLQ(q DLQ) *Function {
	f.dlq = q
	return f
}

// sendPermanent sends the records that failed permanently to the DLQ. Those
// that it accepted are failures no longer: they are acknowledged. All of them
// get their outcome record here, which until now could not be known.
func (f *Function) sendPermanent(ctx context.Context, records []*Record, failed *Failures) {
	letters := map[string][]DeadLetter{} // by queue; there is one in a payload of Lambda's
	senders := map[string][]*Record{}
	for _, r := range records {
		if err := failed.Of(r); isPermanent(err) {
			letters[r.queueARN] = append(letters[r.queueARN], DeadLetter{r.MessageID, r.body, err.Error()})
			senders[r.queueARN] = append(senders[r.queueARN], r)
		}
	}
	for queue, batch := range letters {
		var errs []error
		if f.dlq != nil {
			errs = f.dlq.Send(ctx, queue, batch)
		}
		for i, r := range senders[queue] {
			reason := batch[i].Reason
			switch {
			case f.dlq == nil:
				r.logOutcome(ctx, slog.LevelWarn, "failed", reason)
			case i < len(errs) && errs[i] == nil:
				failed.remove(r)
				r.logOutcome(ctx, slog.LevelError, "permanent", reason)
			case i < len(errs):
				r.logOutcome(ctx, slog.LevelError, "failed", reason+" (and it could not be sent to the DLQ: "+errs[i].Error()+")")
			default:
				r.logOutcome(ctx, slog.LevelError, "failed", reason+" (and whether it was sent to the DLQ is not known)")
			}
		}
	}
}
