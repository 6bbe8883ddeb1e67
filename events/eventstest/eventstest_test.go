package eventstest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventstest"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/savings"
)

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

// failure returns the message that test fails with, "" if it does not.
func failure(t *testing.T, test func(testing.TB)) string {
	t.Helper()
	f := &failing{TB: t}
	var wait sync.WaitGroup
	wait.Go(func() { test(f) })
	wait.Wait()
	return f.message
}

func fee(account string) savings.FeeCharged {
	return savings.SampleFeeCharged(func(f *savings.FeeCharged) { f.AccountID = account })
}

func of(account string) func(savings.FeeCharged) bool {
	return func(f savings.FeeCharged) bool { return f.AccountID == account }
}

func TestWhatIsPublishedIsFoundByItsType(t *testing.T) {
	p := eventstest.NewPublisher(t)
	stamped := events.Stamp(t.Context(), fee("B"))
	if err := errors.Join(
		p.Publish(t.Context(), fee("A")),
		p.PublishBatch(t.Context(), []events.Event{savings.SampleWithdrawal(), stamped, new(fee("C"))}),
	); err != nil {
		t.Fatal(err)
	}
	if got := eventstest.RequirePublished[savings.FeeCharged](t, p); len(got) != 3 || got[0] != fee("A") || got[1] != fee("B") || got[2] != fee("C") {
		t.Errorf("got %+v", got)
	}
	if got := eventstest.RequirePublished(t, p, of("B")); len(got) != 1 || got[0] != fee("B") {
		t.Errorf("got %+v", got)
	}
	if got := p.Published(); len(got) != 4 || got[2] != stamped {
		t.Errorf("got %+v", got)
	}
	eventstest.RequireNone(t, p, of("D"))
	p.Reset()
	eventstest.RequireNone[savings.FeeCharged](t, p)
}

func TestAFailureShowsWhatWasPublishedInstead(t *testing.T) {
	p := eventstest.NewPublisher(t)
	for _, c := range []struct {
		what string
		test func(testing.TB)
		want []string
	}{
		{"nothing", func(t testing.TB) { eventstest.RequirePublished[savings.FeeCharged](t, p) },
			[]string{"no savings/FEE_CHARGED was published; nothing was published"}},
		{"another type", func(t testing.TB) {
			_ = p.Publish(context.Background(), savings.SampleWithdrawal())
			eventstest.RequirePublished[savings.FeeCharged](t, p)
		}, []string{"no savings/FEE_CHARGED was published", `savings/SAVINGS_WITHDRAWAL {"accountId":"ACC-1001"`}},
		{"one that does not match", func(t testing.TB) {
			_ = p.Publish(context.Background(), fee("A"))
			eventstest.RequirePublished(t, p, of("B"))
		}, []string{"none of the 1 savings/FEE_CHARGED", `savings/FEE_CHARGED {"accountId":"A"`}},
		{"one too many", func(t testing.TB) { eventstest.RequireNone(t, p, of("A")) },
			[]string{"1 savings/FEE_CHARGED published, want none"}},
	} {
		got := failure(t, c.test)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q", c.what, got, want)
			}
		}
	}
}

func TestASessionsEventsAreCapturedWhenItCommits(t *testing.T) {
	p := eventstest.NewPublisher(t)
	err := p.InTx(t.Context(), func(s *eventstest.Session) error {
		if err := s.PublishAfterCommit(t.Context(), fee("A")); err != nil {
			return err
		}
		eventstest.RequireNone[savings.FeeCharged](t, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventstest.RequirePublished(t, p, of("A"))
}

func TestASessionThatRollsBackPublishesNothing(t *testing.T) {
	p := eventstest.NewPublisher(t)
	cause := errors.New("no")
	for what, fn := range map[string]func(*eventstest.Session) error{
		"an error": func(*eventstest.Session) error { return cause },
		"a panic":  func(*eventstest.Session) error { panic(cause) },
	} {
		var session *eventstest.Session
		func() {
			defer func() { _ = recover() }()
			if err := p.InTx(t.Context(), func(s *eventstest.Session) error {
				session = s
				if err := s.PublishAfterCommit(t.Context(), fee("A")); err != nil {
					t.Error(err)
				}
				return fn(s)
			}); err != cause {
				t.Errorf("%s: got %v", what, err)
			}
		}()
		if err := session.PublishAfterCommit(t.Context(), fee("A")); err != outbox.ErrSessionDone {
			t.Errorf("%s: the session goes on: %v", what, err)
		}
		if err := session.Commit(); err != outbox.ErrSessionDone {
			t.Errorf("%s: committed afterwards: %v", what, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := p.InTx(ctx, func(s *eventstest.Session) error {
		cancel()
		return s.PublishAfterCommit(ctx, fee("A"))
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("committed although its context has ended: %v", err)
	}
	eventstest.RequireNone[savings.FeeCharged](t, p)
}

func TestAPublisherFailsWhenItIsTold(t *testing.T) {
	p := eventstest.NewPublisher(t)
	down := errors.New("the bus is down")
	p.FailWith(down)
	s := p.Begin()
	if err := errors.Join(s.PublishAfterCommit(t.Context(), fee("A"))); err != nil {
		t.Error(err)
	}
	if err := s.Commit(); err != down {
		t.Errorf("commit: %v", err)
	}
	if err := p.Publish(t.Context(), fee("A")); err != down {
		t.Errorf("publish: %v", err)
	}
	eventstest.RequireNone[savings.FeeCharged](t, p)
	p.FailWith(nil)
	if err := p.Publish(t.Context(), fee("A")); err != nil {
		t.Error(err)
	}
}

// unknown is a type that no schema was generated of.
type unknown struct{}

func (unknown) EventType() events.Type { return events.Type{Source: "shop", Name: "UNKNOWN"} }
func (unknown) Schema() events.Event   { return unknown{} }

// lying says that it is a withdrawal.
type lying struct {
	Amount string `json:"amount"`
}

func (lying) EventType() events.Type { return savings.Withdrawal{}.EventType() }
func (lying) Schema() events.Event   { return lying{} }

func TestWhatViolatesItsSchemaIsRefused(t *testing.T) {
	p := eventstest.NewPublisher(t)
	var invalid *events.InvalidError
	if err := p.Publish(t.Context(), lying{"much"}); !errors.As(err, &invalid) {
		t.Errorf("published: %v", err)
	}
	if err := p.Begin().PublishAfterCommit(t.Context(), lying{"much"}); !errors.As(err, &invalid) {
		t.Errorf("published: %v", err)
	}
	if got := failure(t, func(t testing.TB) { eventstest.RequirePublished[lying](t, p) }); !strings.Contains(got, "refused: event savings/SAVINGS_WITHDRAWAL") {
		t.Errorf("the failure does not say what was refused: %q", got)
	}
	if err := p.Publish(t.Context(), unknown{}); err == nil || !strings.Contains(err.Error(), "run go generate") {
		t.Errorf("a type without a schema: %v", err)
	}
	unchecked := eventstest.NewPublisher(t, eventstest.WithSchemas(nil))
	if err := unchecked.PublishBatch(t.Context(), []events.Event{lying{"much"}, unknown{}}); err != nil {
		t.Error(err)
	}
}

func TestTheTimeIsThePresentOrTheOneGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := eventstest.NewPublisher(t, eventstest.WithSchemas(nil))
		time.Sleep(time.Hour) // of the bubble's clock
		_ = p.Publish(t.Context(), fee("A"))
		if got := p.Published()[0].OccurredAt; !got.Equal(time.Now()) {
			t.Errorf("stamped with %v", got)
		}
	})
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	p := eventstest.NewPublisher(t, eventstest.FixedAt(at))
	if err := p.PublishBatch(t.Context(), []events.Event{fee("A"), fee("B")}); err != nil {
		t.Fatal(err)
	}
	want := events.Metadata{ID: eventstest.ID(2), CorrelationID: eventstest.ID(2), OccurredAt: at}
	if got := p.Published()[1].Metadata; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
