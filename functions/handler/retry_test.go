package handler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

func failing(context.Context, *withdrawal) error { return errors.New("down") }

func TestTheBoundOfTheDelayGrowsWithEachReceiveUpToTheCap(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":9,"baseSeconds":10,"capSeconds":60}`)
	for receive, bound := range map[string]time.Duration{
		"0": 10 * time.Second, // the queue did not say
		"1": 10 * time.Second,
		"2": 20 * time.Second,
		"3": 40 * time.Second,
		"4": time.Minute,
		"8": time.Minute,
	} {
		q := &fakeQueue{}
		batch := batchOf(200)
		failed, _ := runWithQueue(t, t.Context(), q, received(Payload(t, queueName, batch...), receive), handler.Each(failing))
		if len(failed) != 200 || len(q.delays) != 200 || !strings.HasSuffix(q.arn, ":"+queueName) {
			t.Fatalf("%d failed, %d delays in %s", len(failed), len(q.delays), q.arn)
		}
		// Full jitter: of 200 delays some are in the lowest fifth, some in the
		// highest, and none is beyond. That it is otherwise has a chance of 1 in 10¹⁹.
		var low, high bool
		for id, d := range q.delays {
			if d < 0 || d > bound {
				t.Errorf("receive %s: %s is delayed by %v, want at most %v", receive, id, d, bound)
			}
			low = low || d < bound/5
			high = high || d > bound-bound/5
		}
		if !low || !high {
			t.Errorf("receive %s: delays are not spread up to %v", receive, bound)
		}
	}
}

// deploy sets the environment that a manifest leads to, and returns its
// subscription.
func deploy(t *testing.T, subscription string) manifest.Subscription {
	t.Helper()
	f, err := manifest.Parse("functions/withdrawal-fee/function.json", []byte(`{"name":"withdrawal-fee","subscriptions":[`+subscription+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range f.Environment(names.New("penstock", "test")) {
		t.Setenv(name, value)
	}
	return f.Subscriptions[0]
}

func TestAFunctionHasTheRetriesOfItsManifest(t *testing.T) {
	deploy(t, `{"name":"withdrawals","maxReceiveCount":2,"retry":{"baseSeconds":2,"capSeconds":3}}`)
	q := &fakeQueue{}
	for receive, bound := range map[string]time.Duration{"1": 2 * time.Second, "2": 0} {
		runWithQueue(t, t.Context(), q, received(Payload(t, queueName, account("A")), receive), handler.Each(failing))
		if d := q.delays[MessageID(0)]; d > bound {
			t.Errorf("receive %s: delayed by %v, want at most %v", receive, d, bound)
		}
	}
}

func TestASubscriptionThatTheDeploymentDoesNotTellOfHasTheDefaultsOfAManifest(t *testing.T) {
	retry := deploy(t, `{"name":"another"}`).Retry
	for receive, seconds := range map[string]int{"1": retry.BaseSeconds, "1000000": retry.CapSeconds} {
		q := &fakeQueue{}
		runWithQueue(t, t.Context(), q, received(Payload(t, queueName, batchOf(200)...), receive), handler.Each(failing))
		var longest time.Duration
		for _, d := range q.delays {
			longest = max(longest, d)
		}
		if bound := time.Duration(seconds) * time.Second; longest > bound || longest < bound*4/5 {
			t.Errorf("receive %s: the longest of 200 delays is %v, want nearly %v", receive, longest, bound)
		}
	}
}

func TestRetryAfterIsWhenAnEventComesBack(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":3,"baseSeconds":1,"capSeconds":1}`)
	route := handler.Each(func(_ context.Context, m *withdrawal) error {
		d, err := time.ParseDuration(m.Event.AccountID)
		if err != nil {
			return err
		}
		return fmt.Errorf("account: %w", handler.RetryAfter(errors.New("busy"), d))
	})
	payload := Payload(t, queueName, account("90s"), account("0s"), account("-5s"), account("other"))
	q := &fakeQueue{}
	failed, log := runWithQueue(t, t.Context(), q, payload, route)
	if len(failed) != 4 {
		t.Errorf("failed %v", failed)
	}
	for i, want := range []time.Duration{90 * time.Second, 0, 0} {
		if got, ok := q.delays[MessageID(i)]; !ok || got != want {
			t.Errorf("message %d is delayed by %v, want %v", i, got, want)
		}
	}
	if got := log.outcomes(t)[MessageID(0)]; got != [2]string{"failed", "account: busy"} {
		t.Errorf("outcome is %q", got)
	}

	if _, _ = runWithQueue(t, t.Context(), q, received(payload, "3"), route); q.delays[MessageID(0)] != 0 {
		t.Errorf("delayed by %v on the last receive, when it goes to the DLQ", q.delays[MessageID(0)])
	}
}

func TestRetryAfterIsTheErrorItStandsFor(t *testing.T) {
	cause := errors.New("cause")
	if err := handler.RetryAfter(cause, time.Second); !errors.Is(err, cause) || err.Error() != "cause" {
		t.Errorf("got %v", err)
	}
	if err := handler.RetryAfter(nil, time.Second); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsPermanentDoesNotComeBackWhateverElseItIs(t *testing.T) {
	q := &fakeQueue{}
	failed, _ := runWithQueue(t, t.Context(), q, Payload(t, queueName, account("A"), account("B")), handler.Each(func(_ context.Context, m *withdrawal) error {
		if m.Event.AccountID == "A" {
			return handler.RetryAfter(handler.Permanent(errors.New("closed")), time.Second)
		}
		return handler.Permanent(handler.RetryAfter(errors.New("closed"), time.Second))
	}))
	if len(failed) != 0 || len(q.letters) != 2 || len(q.delays) != 0 {
		t.Errorf("failed %v, sent %v, delayed %v", failed, q.letters, q.delays)
	}
}

func TestAnEventOnItsLastReceiveGoesToTheDLQWithoutDelay(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":3,"baseSeconds":100,"capSeconds":100}`)
	q := &fakeQueue{}
	failed, log := runWithQueue(t, t.Context(), q, received(Payload(t, queueName, account("A")), "3"), handler.Each(failing))
	if d, ok := q.delays[MessageID(0)]; len(failed) != 1 || !ok || d != 0 {
		t.Errorf("failed %v, delayed %v", failed, q.delays)
	}
	if got := outcomes(t, log)[MessageID(0)]; got != "ERROR failed: down" {
		t.Errorf("outcome is %q", got)
	}
}

func TestAMessageWhoseDelayCannotBeSetFailsLikeAnyOther(t *testing.T) {
	for what, q := range map[string]*fakeQueue{
		"one is refused":  {refuse: []string{MessageID(1)}},
		"one is unspoken": {short: true},
	} {
		t.Run(what, func(t *testing.T) {
			failed, log := runWithQueue(t, t.Context(), q, Payload(t, queueName, account("A"), account("B")), handler.Each(failing))
			if !slices.Equal(failed, []string{MessageID(0), MessageID(1)}) {
				t.Errorf("failed %v", failed)
			}
			said := log.lines(t, "failed messages come back after the queue's visibility timeout, since theirs could not be set")
			if len(said) != 1 || said[0]["messages"] != 1.0 || said[0]["requestId"] != "request-1" || said[0]["reason"] == "" {
				t.Errorf("logged %v", said)
			}
		})
	}
}

func TestRetriesThatNoDeploymentMakesArePanicsAtStart(t *testing.T) {
	for value, want := range map[string]string{
		`[]`:             "cannot unmarshal array",
		`{"withdrawals"`: "PENSTOCK_RETRIES is \"{\\\"withdrawals\\\"\"",
		`{"a":null}`:     `subscription "a" needs a maxReceiveCount`,
		`{"a":{"maxReceiveCount":0,"baseSeconds":1,"capSeconds":1}}`: `subscription "a"`,
		`{"a":{"maxReceiveCount":1,"baseSeconds":0,"capSeconds":1}}`: `subscription "a"`,
		`{"a":{"maxReceiveCount":1,"baseSeconds":2,"capSeconds":1}}`: `subscription "a"`,
	} {
		t.Run(value, func(t *testing.T) {
			t.Setenv("PENSTOCK_RETRIES", value)
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("got panic %q, want one with %q", got, want)
				}
			}()
			handler.New(handler.Each(failing))
		})
	}
}
