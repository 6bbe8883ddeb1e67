package handler

import (
	"errors"
	"maps"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Permanent marks an error of an event that would fail again however often it
// came back: its data is wrong, what it is about does not exist. Such an event
// goes to the DLQ of its queue at once, with err's text as its reason; if it
// cannot be sent there now, it comes back like any other. It is nil for a nil
// error. A function of [Batch] marks the errors in its *[Failures], or the one
// error of the whole batch.
//
// A message that is no event, one that the function has no route for, and one
// whose data cannot be decoded are permanent by themselves.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Described is an error that tells more of why an event failed than its text. If
// the event goes to the DLQ because of it, see [Permanent], the message has there
// the error's Attributes: texts by their names, which begin with [queue.Prefix].
type Described interface {
	error
	Attributes() map[string]string
}

// letter is the record's message as it goes to the DLQ because of err.
func (r *Record) letter(err error) queue.Letter {
	l := queue.Letter{Message: r.message(), MessageID: r.MessageID, Reason: err.Error(), Receives: r.ReceiveCount}
	described, ok := errors.AsType[Described](err)
	if !ok && l.Attributes == nil { // nearly always
		return l
	}
	l.Attributes = maps.Clone(l.Attributes)
	if l.Attributes == nil {
		l.Attributes = map[string]string{}
	}
	for _, earlier := range queue.OfFailure {
		delete(l.Attributes, earlier)
	}
	if ok {
		maps.Copy(l.Attributes, described.Attributes())
	}
	return l
}

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}
