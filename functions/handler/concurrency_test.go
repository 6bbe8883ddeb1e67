package handler_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func batchOf(n int) []events.Event {
	batch := make([]events.Event, n)
	for i := range batch {
		batch[i] = account("A")
	}
	return batch
}

func TestEachHandlesAsManyEventsAtOnceAsItMay(t *testing.T) {
	for name, c := range map[string]struct {
		opts []handler.Option
		want int64
	}{
		"by default":    {nil, 10},
		"one at a time": {[]handler.Option{handler.Concurrency(1)}, 1},
		"above a batch": {[]handler.Option{handler.Concurrency(100)}, 25},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var started atomic.Int64
				release := make(chan struct{})
				done := make(chan struct{})
				go func() {
					defer close(done)
					run(t, t.Context(), Payload(t, queueName, batchOf(25)...), handler.Each(func(context.Context, *withdrawal) error {
						started.Add(1)
						<-release
						return nil
					}, c.opts...))
				}()
				synctest.Wait()
				if got := started.Load(); got != c.want {
					t.Errorf("%d events are under way, want %d", got, c.want)
				}
				close(release)
				<-done
				if got := started.Load(); got != 25 {
					t.Errorf("%d events were handled, want 25", got)
				}
			})
		})
	}
}

func TestAnEventWhoseGoroutineEndsIsNotAcknowledged(t *testing.T) {
	var handled atomic.Int64
	response, _ := run(t, t.Context(), Payload(t, queueName, account("A"), account("exits"), account("B")),
		handler.Each(func(_ context.Context, m *withdrawal) error {
			if m.Event.AccountID == "exits" {
				runtime.Goexit()
			}
			handled.Add(1)
			return nil
		}))
	failed := Failed(t, response)
	if !slices.Contains(failed, MessageID(1)) || int(handled.Load())+len(failed) != 3 {
		t.Errorf("%d handled, failed: %v", handled.Load(), failed)
	}
}
