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

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// FuzzInvoke: whatever the payload, nothing panics, and every message id in it
// is either accepted by the function or named as failed.
func FuzzInvoke(f *testing.F) {
	deployed(f)
	f.Add(Payload(f, queue, account("A"), account("B")))
	f.Add(PayloadOf(f, queue, "garbage", "", Body(f, other{})))
	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs","attributes":{"ApproximateReceiveCount":"x"}}]}`))
	f.Add([]byte(`{"records":[{"messageid":"1","eventsource":"aws:sqs","body":"{\"Source\":\"savings\"}"},null]}`))
	f.Add([]byte(`{"Records":[{"messageId":"1","eventSource":"aws:sqs"},{"messageId":"1","eventSource":"aws:sqs"}]}`))

	discard := slog.New(slog.NewJSONHandler(io.Discard, nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var mu sync.Mutex
		refused := map[string]int{}  // by message id
		accepted := map[string]int{} // by message id
		decide := func(m *withdrawal) error {
			mu.Lock()
			defer mu.Unlock()
			switch crc32.ChecksumIEEE([]byte(m.Event.AccountID+m.MessageID)) % 3 {
			case 0:
				refused[m.MessageID]++
				return errors.New("refused")
			case 1:
				refused[m.MessageID]++
				panic("refused")
			}
			accepted[m.MessageID]++
			return nil
		}
		for _, route := range []handler.Route{
			handler.Each(func(_ context.Context, m *withdrawal) error { return decide(m) }),
			handler.Batch(func(_ context.Context, messages []*handler.Message[savings.Withdrawal]) error {
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
			}),
		} {
			clear(refused)
			clear(accepted)
			response, err := handler.New(route).WithLogger(discard).Invoke(t.Context(), payload)
			if err != nil {
				if len(refused)+len(accepted) > 0 {
					t.Fatalf("the batch fails whole after the function saw some of it: %v", err)
				}
				continue
			}
			failed := map[string]bool{}
			for _, id := range Failed(t, response) {
				failed[id] = true
			}
			var given struct {
				Records []struct{ MessageID string }
			}
			if err := json.Unmarshal(payload, &given); err != nil {
				t.Fatalf("accepted a payload that is not JSON: %v", err)
			}
			times := map[string]int{}
			for _, r := range given.Records {
				times[r.MessageID]++
			}
			for id, n := range times {
				if accepted[id] != n && !failed[id] {
					t.Errorf("message %q was accepted %d times of %d and is not named as failed", id, accepted[id], n)
				}
				if refused[id] > 0 && !failed[id] {
					t.Errorf("message %q was refused and is not named as failed", id)
				}
				if accepted[id] == n && failed[id] {
					t.Errorf("message %q was accepted and is named as failed", id)
				}
			}
			for id := range failed {
				if times[id] == 0 {
					t.Errorf("message %q is named as failed and was not given", id)
				}
			}
		}
	})
}
