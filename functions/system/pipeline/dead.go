package main

import (
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/pipeline"
)

// deadError is the error of an event that goes to the DLQ.
type deadError struct{ letter pipeline.DeadLetter }

var _ handler.Described = (*deadError)(nil)

func (e *deadError) Error() string { return e.letter.Operator + ": " + e.letter.Reason }

// Attributes implements [handler.Described]. The reason and the source are the
// queue's, and the event is the message itself.
func (e *deadError) Attributes() map[string]string {
	return map[string]string{
		queue.Processor: e.letter.Processor,
		queue.Time:      e.letter.Time.UTC().Format(time.RFC3339Nano),
		queue.Operator:  e.letter.Operator,
		queue.Document:  string(e.letter.Document),
	}
}

func now() time.Time { return time.Now().UTC() }
