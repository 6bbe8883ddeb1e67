package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// fuzzQueue accepts some of what it is told, refuses some, and does not answer
// for the last thing that it refuses.
type fuzzQueue struct {
	letters map[string]int // accepted, by message id
	sent    map[string]int // accepted, by body
}

func newFuzzQueue() *fuzzQueue { return &fuzzQueue{letters: map[string]int{}, sent: map[string]int{}} }

func fuzzAnswer(n int, text func(i int) string, accept func(i int)) []error {
	errs := make([]error, n)
	for i := range errs {
		if crc32.ChecksumIEEE([]byte(text(i)))%3 == 0 {
			errs[i] = errors.New("refused")
		} else {
			accept(i)
		}
	}
	if n > 0 && errs[n-1] != nil {
		errs = errs[:n-1]
	}
	return errs
}

func (q *fuzzQueue) DeadLetter(_ context.Context, _ string, letters []queue.Letter) []error {
	return fuzzAnswer(len(letters), func(i int) string { return letters[i].MessageID + letters[i].Body },
		func(i int) { q.letters[letters[i].MessageID]++ })
}

func (q *fuzzQueue) Send(_ context.Context, _ string, messages []queue.Message) []error {
	return fuzzAnswer(len(messages), func(i int) string { return messages[i].Body }, func(i int) { q.sent[messages[i].Body]++ })
}

func (q *fuzzQueue) Delay(_ context.Context, _ string, delays []queue.Delay) []error {
	return fuzzAnswer(len(delays), func(i int) string { return delays[i].ReceiptHandle }, func(int) {})
}

// FuzzInvoke: whatever the payload, nothing panics, and every message id in it
// is accepted by the function, accepted by a queue elsewhere, or named as failed;
// one that the function has refused is not acknowledged unless the DLQ has it.
func FuzzInvoke(f *testing.F) {
	deployed(f)
	retriesOf(f, `{"maxReceiveCount":1,"baseSeconds":1,"capSeconds":1}`)
	f.Add(Payload(f, queueName, account("A"), account("B")))
	f.Add(PayloadOf(f, queueName, "garbage", "", Body(f, other{})))
	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs","attributes":{"ApproximateReceiveCount":"x"}}]}`))
	f.Add([]byte(`{"records":[{"messageid":"1","eventsource":"aws:sqs","body":"{\"Source\":\"savings\"}"},null]}`))
	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs"},{"messageId":"1","eventSource":"aws:sqs"}]}`))

	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs","receiptHandle":"h","body":"a"},{"messageId":"1","eventSource":"aws:sqs","receiptHandle":"h","body":"b"}]}`))
	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs","receiptHandle":"h"},{"messageId":"1","eventSource":"aws:sqs"}]}`))

	discard := slog.New(slog.NewJSONHandler(io.Discard, nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var mu sync.Mutex
		refused := map[string]int{}  // by message id
		accepted := map[string]int{} // by message id
		decide := func(m *withdrawal) error {
			mu.Lock()
			defer mu.Unlock()
			switch crc32.ChecksumIEEE([]byte(m.Event.AccountID+m.MessageID)) % 4 {
			case 0:
				refused[m.MessageID]++
				return errors.New("refused")
			case 1:
				refused[m.MessageID]++
				panic("refused")
			case 2:
				refused[m.MessageID]++
				return handler.Permanent(errors.New("refused"))
			}
			accepted[m.MessageID]++
			return nil
		}
		over, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		each := handler.Each(func(_ context.Context, m *withdrawal) error { return decide(m) })
		batch := handler.Batch(func(_ context.Context, messages []*withdrawal) error {
			var failed handler.Failures
			for _, m := range messages {
				func() {
					defer func() {
						if recover() != nil {
							failed.Add(m, errors.New("refused"))
						}
					}()
					failed.Add(m, decide(m))
				}()
			}
			return failed.Err()
		})
		for name, c := range map[string]struct {
			ctx   context.Context
			route handler.Route
			queue *fuzzQueue // nil: there is no way back
		}{
			"Each":                      {t.Context(), each, newFuzzQueue()},
			"Batch":                     {t.Context(), batch, newFuzzQueue()},
			"Each without a way back":   {t.Context(), each, nil},
			"Each when the time is up":  {over, each, newFuzzQueue()},
			"Batch when the time is up": {over, batch, newFuzzQueue()},
		} {
			clear(refused)
			clear(accepted)
			function := handler.New(c.route).WithLogger(discard)
			elsewhere := newFuzzQueue()
			if c.queue != nil {
				elsewhere = c.queue
				function.WithQueue(c.queue)
			}
			response, err := function.Invoke(c.ctx, payload)
			if err != nil {
				if len(refused)+len(accepted)+len(elsewhere.letters)+len(elsewhere.sent) > 0 {
					t.Fatalf("%s: the batch fails whole after some of it was settled: %v", name, err)
				}
				continue
			}
			failed := map[string]bool{}
			for _, id := range Failed(t, response) {
				failed[id] = true
			}
			var given struct {
				Records []struct{ MessageID, Body string }
			}
			if err := json.Unmarshal(payload, &given); err != nil {
				t.Fatalf("%s: accepted a payload that is not JSON: %v", name, err)
			}
			times, bodies := map[string]int{}, map[string][]string{}
			for _, r := range given.Records {
				times[r.MessageID]++
				bodies[r.MessageID] = append(bodies[r.MessageID], r.Body)
			}
			for id, n := range times {
				sent := 0
				for _, body := range bodies[id] {
					if elsewhere.sent[body] > 0 {
						sent++
					}
				}
				if !failed[id] && accepted[id] != n && elsewhere.letters[id] != n && sent != n {
					t.Errorf("%s: message %q is not named as failed; of %d it was accepted %d times, by the DLQ %d, by its queue %d",
						name, id, n, accepted[id], elsewhere.letters[id], sent)
				}
				if refused[id] > 0 && !failed[id] && elsewhere.letters[id] == 0 {
					t.Errorf("%s: message %q was refused and is acknowledged", name, id)
				}
				if failed[id] && (accepted[id] == n || n == 1 && elsewhere.letters[id] == 1) {
					t.Errorf("%s: message %q was accepted and is named as failed", name, id)
				}
			}
			for id := range failed {
				if times[id] == 0 {
					t.Errorf("%s: message %q is named as failed and was not given", name, id)
				}
			}
		}
	})
}
