package handler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// fakeQueue keeps what it is told, and refuses what concerns some messages.
type fakeQueue struct {
	refuse []string // message ids
	short  bool     // answers for one thing too few

	mu      sync.Mutex
	arn     string
	letters []queue.Letter
	sent    []queue.Message
	delays  map[string]time.Duration // by message id
}

var errDown = errors.New("the DLQ is down")

func (q *fakeQueue) answer(queueARN string, n int, id func(i int) string, take func(i int)) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arn = queueARN
	errs := make([]error, n)
	for i := range errs {
		if slices.Contains(q.refuse, id(i)) {
			errs[i] = errDown
			continue
		}
		take(i)
	}
	if q.short {
		errs = errs[:n-1]
	}
	return errs
}

func (q *fakeQueue) DeadLetter(_ context.Context, queueARN string, letters []queue.Letter) []error {
	return q.answer(queueARN, len(letters), func(i int) string { return letters[i].MessageID },
		func(i int) { q.letters = append(q.letters, letters[i]) })
}

// Send knows no message ids: it refuses everything or nothing.
func (q *fakeQueue) Send(_ context.Context, queueARN string, messages []queue.Message) []error {
	return q.answer(queueARN, len(messages), func(int) string {
		if len(q.refuse) > 0 {
			return q.refuse[0]
		}
		return ""
	}, func(i int) { q.sent = append(q.sent, messages[i]) })
}

func (q *fakeQueue) Delay(_ context.Context, queueARN string, delays []queue.Delay) []error {
	id := func(i int) string { return strings.TrimPrefix(delays[i].ReceiptHandle, "AQEB") }
	return q.answer(queueARN, len(delays), id, func(i int) {
		if q.delays == nil {
			q.delays = map[string]time.Duration{}
		}
		q.delays[id(i)] = delays[i].After
	})
}

// retriesOf sets what the deployment says of the tests' subscription.
func retriesOf(t testing.TB, json string) {
	t.Helper()
	t.Setenv("PENSTOCK_RETRIES", `{"withdrawals":`+json+`}`)
}

// received has all messages of a payload received for the n-th time.
func received(payload []byte, n string) []byte {
	return []byte(strings.ReplaceAll(string(payload), `"ApproximateReceiveCount":"1"`, `"ApproximateReceiveCount":"`+n+`"`))
}

// runWithQueue invokes a function that has a way back to its queue.
func runWithQueue(t testing.TB, ctx context.Context, q queue.Queue, payload []byte, routes ...handler.Route) ([]string, *logbook) {
	t.Helper()
	deployed(t)
	log := new(logbook)
	response, err := handler.New(routes...).WithLogger(log.logger()).WithQueue(q).Invoke(invocation(ctx, "request-1"), payload)
	if err != nil {
		t.Fatal(err)
	}
	return Failed(t, response), log
}
