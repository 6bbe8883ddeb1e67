package handler

import "errors"

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

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok
}
