package idempotency_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/idempotency"
)

type withdrawal = handler.Message[savings.Withdrawal]

// payments is a function that pays, and counts how often for each account.
type payments struct {
	fail func(ctx context.Context, account string) error

	mu   sync.Mutex
	paid map[string]int
}

func (p *payments) pay(ctx context.Context, m *withdrawal) error {
	p.mu.Lock()
	if p.paid == nil {
		p.paid = map[string]int{}
	}
	p.paid[m.Event.AccountID]++
	p.mu.Unlock()
	if p.fail != nil {
		return p.fail(ctx, m.Event.AccountID)
	}
	return nil
}

func (p *payments) payAll(ctx context.Context, messages []*withdrawal) error {
	var failed handler.Failures
	for _, m := range messages {
		failed.Add(m, p.pay(m.Context(ctx), m))
	}
	return failed.Err()
}

// forms are the routes of both kinds.
func (p *payments) forms(store idempotency.Store, opts ...idempotency.Option) map[string]handler.Route {
	use := handler.Use(idempotency.New(store, opts...))
	return map[string]handler.Route{
		// One at a time, so that outcomes within a batch are certain.
		"Each":  handler.Each(p.pay, use, handler.Concurrency(1)),
		"Batch": handler.Batch(p.payAll, use),
	}
}

func from(t *testing.T, account string) events.Envelope {
	return events.Stamp(t.Context(), savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID = account }))
}

func TestAnEventIsHandledOnce(t *testing.T) {
	p := new(payments)
	for form, route := range p.forms(new(idempotency.Memory)) {
		t.Run(form, func(t *testing.T) {
			f := handlertest.New(t, route)
			a, b := from(t, "A/"+form), from(t, "B/"+form)
			f.Send(a).RequireHandled()
			f.Send(a, b).RequireOutcomes("duplicate", "handled")
			f.Send(b, a).RequireOutcomes("duplicate", "duplicate")
			if p.paid["A/"+form] != 1 || p.paid["B/"+form] != 1 {
				t.Errorf("paid %v", p.paid)
			}
		})
	}
}

func TestADuplicateWithinABatchIsOne(t *testing.T) {
	p := new(payments)
	for form, route := range p.forms(new(idempotency.Memory)) {
		t.Run(form, func(t *testing.T) {
			a := from(t, form)
			handlertest.New(t, route).Send(a, a, a).RequireOutcomes("handled", "duplicate", "duplicate")
			if p.paid[form] != 1 {
				t.Errorf("paid %d times", p.paid[form])
			}
		})
	}
}

func TestADuplicateOfAnEventThatFailsFailsToo(t *testing.T) {
	p := &payments{fail: func(context.Context, string) error { return errors.New("no") }}
	for form, route := range p.forms(new(idempotency.Memory)) {
		a := from(t, form)
		handlertest.New(t, route).Send(a, a).RequireOutcomes("failed", "failed")
	}
}

func TestSubscriptionsHandleAnEventEach(t *testing.T) {
	p := new(payments)
	f := handlertest.New(t, p.forms(new(idempotency.Memory))["Each"])
	a := from(t, "A")
	f.With(handlertest.From("one")).Send(a).RequireHandled()
	f.With(handlertest.From("two")).Send(a).RequireHandled()
}

func TestAFailedEventIsFreeForItsRetry(t *testing.T) {
	for what, fail := range map[string]func(context.Context, string) error{
		"error":     func(context.Context, string) error { return errors.New("no") },
		"permanent": func(context.Context, string) error { return handler.Permanent(errors.New("never")) },
		"panic":     func(context.Context, string) error { panic("no") },
	} {
		store := new(idempotency.Memory)
		for form := range new(payments).forms(store) {
			t.Run(what+" "+form, func(t *testing.T) {
				p := &payments{fail: fail}
				a := from(t, "A")
				f := handlertest.New(t, p.forms(store)[form])
				if r := f.Send(a); r.Outcomes[0].Outcome == "handled" {
					t.Fatal("it is handled")
				}
				p.fail = nil
				f.Send(a).RequireHandled()
				f.Send(a).RequireOutcomes("duplicate")
			})
		}
	}
}

func TestTwoEventsWithTheUsersKeyAreOne(t *testing.T) {
	byAccount := idempotency.Key(func(m *withdrawal) string { return m.Event.AccountID })
	p := new(payments)
	for form, route := range p.forms(new(idempotency.Memory), byAccount) {
		t.Run(form, func(t *testing.T) {
			f := handlertest.New(t, route)
			f.Send(from(t, form), from(t, form), from(t, form+" 2")).RequireOutcomes("handled", "duplicate", "handled")
			f.Send(from(t, form)).RequireOutcomes("duplicate")
			r := f.Send(from(t, ""), from(t, strings.Repeat("k", 1025)))
			r.RequireOutcomes("permanent", "permanent")
			if want := "idempotency: the key of the event has 0 bytes: must be 1 to 1024"; r.Outcomes[0].Reason != want {
				t.Errorf("the reason is %q, want %q", r.Outcomes[0].Reason, want)
			}
		})
	}
}

func TestWhileAnEventIsHandledItsDuplicateWaitsForTheEndOfTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		p := &payments{fail: func(context.Context, string) error { <-ended; return nil }}
		f := handlertest.New(t, p.forms(new(idempotency.Memory))["Each"]).With(handlertest.Timeout(30 * time.Second))
		a := from(t, "A")
		var first *handlertest.Result
		var wait sync.WaitGroup
		wait.Go(func() { first = f.Send(a) })
		synctest.Wait() // the first is being handled

		time.Sleep(10 * time.Second) // of the bubble's clock
		second := f.Send(a)
		second.RequireOutcomes("failed")
		second.RequireReason(0, "another attempt is handling it until")
		if back := second.Outcomes[0].ComesBack; back < 20*time.Second || back > 23*time.Second {
			t.Errorf("it comes back after %v, although the other invocation may take 20 s", back)
		}
		close(ended)
		wait.Wait()
		first.RequireHandled()
		f.Send(a).RequireOutcomes("duplicate")
		if p.paid["A"] != 1 {
			t.Errorf("paid %d times", p.paid["A"])
		}
	})
}

// An attempt that is cut off between its effect and its mark leaves a lock: the
// event is not handled again before the lock ends, and is handled again then.
// The effect happens twice. That much is not guaranteed.
func TestAnAttemptThatWasCutOffIsTakenOverWhenItsInvocationHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(idempotency.Memory)
		crashed := &crashing{Store: store}
		p := new(payments)
		a := from(t, "A")
		before := handlertest.New(t, p.forms(crashed)["Each"]).With(handlertest.Timeout(30 * time.Second))
		before.Send(a) // pays; the mark is never written

		f := handlertest.New(t, p.forms(store)["Each"]).With(handlertest.Timeout(30 * time.Second))
		time.Sleep(30 * time.Second)
		f.Send(a).RequireOutcomes("failed")
		time.Sleep(time.Second)
		f.Send(a).RequireHandled()
		if p.paid["A"] != 2 {
			t.Errorf("paid %d times", p.paid["A"])
		}
		f.Send(a).RequireOutcomes("duplicate")
	})
}

// crashing is a store that nothing reaches any more after a lock, as if the
// process had died.
type crashing struct{ idempotency.Store }

func (crashing) Complete(context.Context, idempotency.Lock, time.Time) error { return errCrashed }
func (crashing) Release(context.Context, idempotency.Lock) error             { return errCrashed }

var errCrashed = errors.New("the process has died")

func TestAMarkThatIsLostIsSaid(t *testing.T) {
	for form, route := range new(payments).forms(crashing{new(idempotency.Memory)}) {
		t.Run(form, func(t *testing.T) {
			a := from(t, "A")
			r := handlertest.New(t, route).Send(a)
			r.RequireHandled()
			type line struct{ Level, ID, Reason string }
			lines := handlertest.Logged[line](r, "an event was handled, but its mark could not be written: another delivery would be handled again")
			if !slices.Equal(lines, []line{{"ERROR", a.ID, "the process has died"}}) {
				t.Errorf("logged %v", lines)
			}
		})
	}
}

func TestALockThatIsNotReleasedIsSaid(t *testing.T) {
	p := &payments{fail: func(context.Context, string) error { return errors.New("no") }}
	r := handlertest.New(t, p.forms(crashing{new(idempotency.Memory)})["Each"]).Send(from(t, "A"))
	r.RequireOutcomes("failed")
	r.RequireReason(0, "no")
	if lines := handlertest.Logged[map[string]any](r, "the lock of a failed event could not be released: a retry waits until it ends"); len(lines) != 1 {
		t.Errorf("logged %v", lines)
	}
}

// down is a store that does not answer.
type down struct{ idempotency.Store }

func (down) Lock(context.Context, idempotency.Lock) error {
	return errors.New("the table is throttled")
}

func TestWithoutItsStoreNothingIsHandled(t *testing.T) {
	p := new(payments)
	for _, route := range p.forms(down{}) {
		r := handlertest.New(t, route).Send(from(t, "A"), from(t, "B"))
		r.RequireOutcomes("failed", "failed")
		r.RequireReason(0, "its mark could not be read: the table is throttled")
	}
	if len(p.paid) != 0 {
		t.Errorf("paid %v", p.paid)
	}
}

// slow is a store whose writes take as long as their context.
type slow struct{ idempotency.Store }

func (slow) Complete(ctx context.Context, _ idempotency.Lock, _ time.Time) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTheMarkIsWrittenInTheMarginAndNoLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(idempotency.Memory)
		toTheEnd := &payments{fail: func(ctx context.Context, _ string) error { <-ctx.Done(); return nil }}
		a := from(t, "A")
		in30s := handlertest.Timeout(30 * time.Second)
		handlertest.New(t, toTheEnd.forms(store)["Each"]).With(in30s).Send(a).RequireHandled()
		handlertest.New(t, toTheEnd.forms(store)["Each"]).With(in30s).Send(a).RequireOutcomes("duplicate")

		start := time.Now()
		handlertest.New(t, toTheEnd.forms(slow{store})["Each"]).With(in30s).Send(from(t, "B")).RequireHandled()
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAMarkLastsForItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(payments)
		f := handlertest.New(t, p.forms(new(idempotency.Memory), idempotency.TTL(time.Hour))["Each"])
		a := from(t, "A")
		f.Send(a).RequireHandled()
		time.Sleep(time.Hour - time.Second)
		f.Send(a).RequireOutcomes("duplicate")
		time.Sleep(time.Second)
		f.Send(a).RequireHandled()
	})
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "TTL(0s): must be at least a second") {
			t.Errorf("TTL(0): %s", got)
		}
	}()
	idempotency.TTL(0)
}

func TestOfConcurrentInvocationsOneHandlesAnEvent(t *testing.T) {
	p := new(payments)
	f := handlertest.New(t, p.forms(new(idempotency.Memory))["Batch"])
	var batch []events.Event
	for i := range 50 {
		batch = append(batch, from(t, fmt.Sprint(i)))
	}
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for _, o := range f.Send(batch...).Outcomes {
				if o.Outcome == "permanent" {
					t.Errorf("%+v", o)
				}
			}
		})
	}
	wait.Wait()
	for account, n := range p.paid {
		if n != 1 {
			t.Errorf("%s was paid %d times", account, n)
		}
	}
	if len(p.paid) != len(batch) {
		t.Errorf("%d of %d were paid", len(p.paid), len(batch))
	}
}

func TestEveryNotificationOfAnEventIsHandledOnce(t *testing.T) {
	const templates = `[
		{"name": "mail", "event": "savings/SAVINGS_WITHDRAWAL", "kind": "text", "body": "{data.accountId}"},
		{"name": "push", "event": "savings/SAVINGS_WITHDRAWAL", "kind": "text", "body": "{data.accountId}"}
	]`
	for what, opts := range map[string][]idempotency.Option{
		"by the event key":   nil,
		"by the user's keys": {idempotency.Key(func(m *withdrawal) string { return m.Event.AccountID })},
	} {
		t.Run(what, func(t *testing.T) {
			var sent []string
			down := true
			f := handlertest.New(t, handler.Notifications(func(_ context.Context, n *handler.Notification) error {
				if n.Template == "push" && down {
					return errors.New("no signal")
				}
				sent = append(sent, n.Template)
				return nil
			}, handler.Templates([]byte(templates)), handler.Use(idempotency.New(new(idempotency.Memory), opts...))))
			a := from(t, "A")
			f.Send(a).RequireOutcomes("failed")
			down = false
			f.Send(a).RequireHandled()
			f.Send(a).RequireOutcomes("duplicate")
			if !slices.Equal(sent, []string{"mail", "push"}) {
				t.Errorf("sent %v", sent)
			}
		})
	}
}
