package handlertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Queue is a way back to a function's queue that accepts everything and keeps
// it, for [handler.Function.WithQueue]. Without one, an event that fails for good
// is among those that failed. The zero value is ready; it is safe for concurrent
// use, but its fields are to be read between invocations.
type Queue struct {
	Letters []queue.Letter           // what was sent to the DLQ
	Sent    []queue.Message          // what was sent afresh
	Delays  map[string]time.Duration // when failed messages come back, by message id

	mu sync.Mutex
}

var _ queue.Queue = (*Queue)(nil)

// DeadLetter implements [queue.Queue].
func (q *Queue) DeadLetter(_ context.Context, _ string, letters []queue.Letter) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Letters = append(q.Letters, letters...)
	return make([]error, len(letters))
}

// Send implements [queue.Queue].
func (q *Queue) Send(_ context.Context, _ string, messages []queue.Message) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Sent = append(q.Sent, messages...)
	return make([]error, len(messages))
}

// Delay implements [queue.Queue].
func (q *Queue) Delay(_ context.Context, _ string, delays []queue.Delay) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Delays == nil {
		q.Delays = map[string]time.Duration{}
	}
	for _, d := range delays {
		q.Delays[strings.TrimPrefix(d.ReceiptHandle, receiptPrefix)] = d.After
	}
	return make([]error, len(delays))
}

// receiptPrefix and the message's id are its receipt handle in a payload.
const receiptPrefix = "AQEB"
