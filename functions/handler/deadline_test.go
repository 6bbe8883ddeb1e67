package handler_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestTheContextEndsAMarginBeforeTheInvocation(t *testing.T) {
	for name, c := range map[string]struct {
		opts   []handler.Option
		margin time.Duration
	}{
		"by default": {nil, 500 * time.Millisecond},
		"as set":     {[]handler.Option{handler.Margin(2 * time.Second)}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := time.Now().Add(30 * time.Second)
				ctx, cancel := context.WithDeadline(t.Context(), end)
				defer cancel()
				check := func(ctx context.Context) error {
					<-ctx.Done()
					if left := time.Until(end); left != c.margin {
						t.Errorf("the context ended %v before the invocation, want %v", left, c.margin)
					}
					return ctx.Err()
				}
				payload := Payload(t, queueName, account("A"))
				response, log := run(t, ctx, payload, handler.Each(func(ctx context.Context, _ *withdrawal) error {
					return check(ctx)
				}, c.opts...))
				if failed := Failed(t, response); len(failed) != 1 {
					t.Errorf("failed: %v", failed)
				}
				if got := log.outcomes(t)[MessageID(0)]; got != [2]string{"failed", "context deadline exceeded"} {
					t.Errorf("outcome is %q", got)
				}
			})
		})
	}
}

func TestTheContextOfABatchEndsAMarginBeforeTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := time.Now().Add(30 * time.Second)
		ctx, cancel := context.WithDeadline(t.Context(), end)
		defer cancel()
		run(t, ctx, Payload(t, queueName, account("A")), handler.Batch(func(ctx context.Context, _ []*withdrawal) error {
			<-ctx.Done()
			if left := time.Until(end); left != 500*time.Millisecond {
				t.Errorf("the context ended %v before the invocation", left)
			}
			return nil
		}))
	})
}

func TestWhatCouldNotStartInTimeFailsUnstarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var started []string
		response, log := run(t, ctx, Payload(t, queueName, account("A"), account("slow"), account("B"), account("C")),
			handler.Each(func(ctx context.Context, m *withdrawal) error {
				started = append(started, m.Event.AccountID)
				if m.Event.AccountID == "slow" {
					<-ctx.Done() // and yet it comes to a good end
				}
				return nil
			}, handler.Concurrency(1)))
		if !slices.Equal(started, []string{"A", "slow"}) {
			t.Errorf("started %v", started)
		}
		if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(2), MessageID(3)}) {
			t.Errorf("failed: %v", failed)
		}
		if got := log.outcomes(t)[MessageID(2)]; got != [2]string{"failed", "not started: the time of the invocation had run out"} {
			t.Errorf("outcome is %q", got)
		}
	})
}
