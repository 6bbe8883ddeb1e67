package handlertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

type withdrawal = handler.Message[savings.Withdrawal]

func of(amount float64) events.Event {
	return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = amount })
}

// judge handles positive amounts, has those below zero fail for good, and 0 come
// back in a minute.
func judge(ctx context.Context, m *withdrawal) error {
	handler.Logger(ctx).DebugContext(ctx, "judged", "amount", m.Event.Amount)
	switch {
	case m.Event.Amount < 0:
		return handler.Permanent(errors.New("below zero"))
	case m.Event.Amount == 0:
		return handler.RetryAfter(errors.New("nothing yet"), time.Minute)
	}
	return nil
}

func TestTheOutcomesAreInTheOrderOfTheEvents(t *testing.T) {
	first := events.Stamp(t.Context(), of(1))
	r := handlertest.New(t, handler.Each(judge)).Send(first, of(-1), of(0))
	r.RequireOutcomes("handled", "permanent", "failed")
	r.RequireReason(1, "below zero")
	if len(r.Failed) != 1 || r.Failed[0] != handlertest.MessageID(2) {
		t.Errorf("the answer names %v", r.Failed)
	}
	if o := r.Outcomes[0]; o.ID != first.ID || o.Type != "savings/SAVINGS_WITHDRAWAL" || o.Attempt != 1 {
		t.Errorf("the first is %+v", o)
	}
	if o := r.Outcomes[2]; o.ComesBack != time.Minute {
		t.Errorf("the last comes back after %v", o.ComesBack)
	}
	type line struct {
		ID     string
		Amount float64
	}
	if lines := handlertest.Logged[line](r, "judged"); len(lines) != 3 {
		t.Errorf("logged %v", lines)
	}
}

func TestOptionsSayWhereEventsComeFrom(t *testing.T) {
	var got *withdrawal
	f := handlertest.New(t, handler.Each(func(_ context.Context, m *withdrawal) error { got = m; return nil }).On("large")).
		With(handlertest.Named("fee", "shop-dev-fee"), handlertest.From("large"), handlertest.Received(4))
	f.Send(of(1)).RequireHandled()
	if got.EventKey() != "fee/large/"+got.Metadata.ID || got.ReceiveCount != 4 {
		t.Errorf("got %+v", got)
	}
	f.With(handlertest.From("small")).Send(of(1)).RequireOutcomes("permanent")
}

func TestEveryRouteGetsItsSample(t *testing.T) {
	var (
		mu  sync.Mutex
		got []events.Event
	)
	r := handlertest.New(t,
		handler.Each(func(_ context.Context, m *withdrawal) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.Event)
			return nil
		}),
		handler.Batch(func(_ context.Context, messages []*handler.Message[trading.TradeAllocated]) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, messages[0].Event)
			return nil
		}),
	).SendSamples()
	r.RequireHandled()
	if len(got) != 2 || got[0] != savings.SampleWithdrawal() {
		t.Errorf("got %+v", got)
	}
}

func TestARecordedPayloadIsInvoked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "payload.json")
	if err := os.WriteFile(file, handlertest.Payload(t, "shop-dev-fee-large", of(1), of(-1)), 0o600); err != nil {
		t.Fatal(err)
	}
	handlertest.New(t, handler.Each(judge).On("large")).
		With(handlertest.Named("fee", "shop-dev-fee")).
		InvokeFile(file).
		RequireOutcomes("handled", "permanent")
}

func TestTimeIsTheBubbles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := handlertest.New(t, handler.Each(func(ctx context.Context, m *withdrawal) error {
			<-ctx.Done()
			return ctx.Err()
		}, handler.Concurrency(1))).With(handlertest.Timeout(30*time.Second)).Send(of(1), of(2))
		r.RequireOutcomes("failed", "failed")
		r.RequireReason(0, "deadline exceeded")
		r.RequireReason(1, "not started")
		if took := time.Since(start); took >= 30*time.Second || took < 29*time.Second {
			t.Errorf("the invocation took %v of the bubble's time", took)
		}
	})
}

// failing is a test that keeps what it would fail with.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestAFailureShowsWhatBecameOfTheEvents(t *testing.T) {
	for what, c := range map[string]struct {
		test func(*handlertest.Result)
		want []string
	}{
		"one that failed":     {func(r *handlertest.Result) { r.RequireHandled() }, []string{"handled, permanent, want handled, handled", "event 1 savings/SAVINGS_WITHDRAWAL", "below zero"}},
		"another outcome":     {func(r *handlertest.Result) { r.RequireOutcomes("handled") }, []string{"want handled:"}},
		"another reason":      {func(r *handlertest.Result) { r.RequireReason(1, "the bus is down") }, []string{`"the bus is down"`, "below zero"}},
		"an event too many":   {func(r *handlertest.Result) { r.RequireReason(2, "") }, []string{"event 2"}},
		"what the test wants": {func(r *handlertest.Result) { r.RequireOutcomes("handled", "permanent"); r.RequireReason(1, "zero") }, nil},
	} {
		f := &failing{TB: t}
		var wait sync.WaitGroup
		wait.Go(func() { c.test(handlertest.New(f, handler.Each(judge)).Send(of(1), of(-1))) })
		wait.Wait()
		if c.want == nil && f.message != "" {
			t.Errorf("%s: failed with %q", what, f.message)
		}
		for _, want := range c.want {
			if !strings.Contains(f.message, want) {
				t.Errorf("%s: failed with %q, want %q", what, f.message, want)
			}
		}
	}
}

// test stands for a *testing.T in an example.
type test struct{ testing.TB }

func (test) Helper()                           {}
func (test) Context() context.Context          { return context.Background() }
func (test) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
