package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// queue is a Queue in memory.
type queue struct {
	takeErr func() error

	mu         sync.Mutex
	waiting    []string // keys, and ids of their only events
	taken      map[string]bool
	unreadable []outbox.Refusal
	aside      map[string]string
	wake       chan struct{}
}

func newQueue(keys ...string) *queue {
	return &queue{waiting: keys, taken: map[string]bool{}, aside: map[string]string{}, wake: make(chan struct{}, 1)}
}

func (q *queue) Take(_ context.Context, n int) (outbox.Claim, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.takeErr != nil {
		if err := q.takeErr(); err != nil {
			return nil, err
		}
	}
	c := &claim{queue: q, unreadable: q.unreadable}
	q.unreadable = nil
	for _, key := range q.waiting {
		if len(c.messages) < n && !q.taken[key] {
			q.taken[key] = true
			c.messages = append(c.messages, outbox.Message{Key: key, Entries: []events.Entry{{ID: key, Type: types[0]}}})
		}
	}
	return c, nil
}

func (q *queue) Wait(ctx context.Context, atMost time.Duration) {
	select {
	case <-q.wake:
	case <-time.After(atMost):
	case <-ctx.Done():
	}
}

func (q *queue) Backlog(context.Context) (outbox.Backlog, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return outbox.Backlog{Size: len(q.waiting), SetAside: len(q.aside)}, nil
}

type claim struct {
	queue      *queue
	messages   []outbox.Message
	unreadable []outbox.Refusal
}

func (c *claim) Messages() []outbox.Message   { return c.messages }
func (c *claim) Unreadable() []outbox.Refusal { return c.unreadable }

func (c *claim) Settle(_ context.Context, sent []string, refused []outbox.Refusal) error {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	for _, m := range c.messages {
		delete(c.queue.taken, m.Key)
	}
	for _, r := range refused {
		c.queue.aside[r.Key] = r.Reason
		sent = append(sent, r.Key)
	}
	c.queue.waiting = slices.DeleteFunc(c.queue.waiting, func(key string) bool { return slices.Contains(sent, key) })
	return nil
}

// line is a bus that fails as it is told.
type line struct {
	mu    sync.Mutex
	calls [][]string // ids
	fail  func(call int) error
	took  time.Duration
}

func (l *line) PutEntries(ctx context.Context, entries []events.Entry) error {
	l.mu.Lock()
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	l.calls = append(l.calls, ids)
	n := len(l.calls)
	l.mu.Unlock()
	time.Sleep(l.took)
	if l.fail != nil {
		return l.fail(n)
	}
	return nil
}

// relay runs a Poller for d and returns its log.
func relay(t *testing.T, p *outbox.Poller, d time.Duration) (log string) {
	t.Helper()
	var out bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&out, nil))
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	p.Run(ctx)
	return out.String()
}

func keysOf(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("key", i)
	}
	return out
}

func TestAPollerSendsEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, bus := newQueue(keysOf(25)...), &line{took: time.Second}
		p := &outbox.Poller{Bus: bus, Queue: q, Batch: 4}
		if log := relay(t, p, 59*time.Second); log != "" {
			t.Errorf("log is %s", log)
		}
		if got := slices.Sorted(slices.Values(slices.Concat(bus.calls...))); !slices.Equal(got, slices.Sorted(slices.Values(keysOf(25)))) {
			t.Errorf("sent %v", got)
		}
		m, err := p.Metrics(t.Context())
		if want := (outbox.Metrics{Sent: 25}); err != nil || m != want {
			t.Errorf("metrics are %+v, %v", m, err)
		}
	})
}

func TestAPollerIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, bus := newQueue(), &line{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&outbox.Poller{Bus: bus, Queue: q, PollInterval: time.Hour}).Run(ctx)
		}()
		synctest.Wait()
		q.mu.Lock()
		q.waiting = append(q.waiting, "late")
		q.mu.Unlock()
		q.wake <- struct{}{}
		synctest.Wait()
		if len(bus.calls) != 1 {
			t.Errorf("calls are %v", bus.calls)
		}
		cancel()
		<-done
	})
}

func TestABusThatFailsIsToldOfOnceAndTriedWithLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(keysOf(40)...)
		bus := &line{fail: func(call int) error {
			if call <= 8 {
				return errors.New("no route")
			}
			return nil
		}}
		p := &outbox.Poller{Bus: bus, Queue: q, InFlight: 1}
		log := relay(t, p, 10*time.Minute)
		if len(q.waiting) > 0 {
			t.Errorf("%d wait", len(q.waiting))
		}
		if strings.Count(log, "the bus fails") != 1 || !strings.Contains(log, "no route") || strings.Count(log, "works again") != 1 {
			t.Errorf("log is %s", log)
		}
		if len(bus.calls[0]) != 40 || len(bus.calls[3]) != 10 {
			t.Errorf("calls of %d and %d", len(bus.calls[0]), len(bus.calls[3]))
		}
		if m, _ := p.Metrics(t.Context()); m.Failed != 40+7*10 || m.Sent != 40 {
			t.Errorf("metrics are %+v", m)
		}
	})
}

func TestAStoreThatFailsIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue("key")
		attempts := 0
		q.takeErr = func() error {
			if attempts++; attempts < 5 {
				return errors.New("no database")
			}
			return nil
		}
		log := relay(t, &outbox.Poller{Bus: &line{}, Queue: q}, time.Minute)
		if strings.Count(log, "the store fails") != 1 || !strings.Contains(log, "no database") || strings.Count(log, "works again") != 1 {
			t.Errorf("log is %s", log)
		}
		if len(q.waiting) > 0 {
			t.Error("it was not sent")
		}
	})
}

func TestWhatIsUnderWayIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, bus := newQueue("key"), &line{took: 5 * time.Second}
		relay(t, &outbox.Poller{Bus: bus, Queue: q}, time.Second)
		if len(bus.calls) != 1 || len(q.waiting) > 0 {
			t.Errorf("calls %v, %d wait", bus.calls, len(q.waiting))
		}
	})
}

func TestWhatCanNeverBeSentHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue("key0", "key1", "key2")
		q.unreadable = []outbox.Refusal{{Message: outbox.Message{Key: "odd"}, Reason: "no type"}}
		p := &outbox.Poller{Bus: &line{fail: func(call int) error {
			if call == 1 {
				return withCode("MalformedDetail", "key1")
			}
			return nil
		}}, Queue: q}
		log := relay(t, p, time.Minute)
		if len(q.waiting) > 0 || q.aside["odd"] != "no type" || !strings.Contains(q.aside["key1"], "MalformedDetail") || len(q.aside) != 2 {
			t.Errorf("waiting %v, set aside %v", q.waiting, q.aside)
		}
		if !strings.Contains(log, "key1") || !strings.Contains(log, "odd") || strings.Contains(log, "the bus fails") {
			t.Errorf("log is %s", log)
		}
		if m, _ := p.Metrics(t.Context()); m.Sent != 2 || m.SetAside != 2 || m.Backlog.SetAside != 2 {
			t.Errorf("metrics are %+v", m)
		}
	})
}

func TestMetricsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []outbox.Metrics
		relay(t, &outbox.Poller{Bus: &line{}, Queue: newQueue("key"), ReportEvery: 10 * time.Second,
			Report: func(_ context.Context, m outbox.Metrics) { got = append(got, m) }}, 35*time.Second)
		if want := (outbox.Metrics{Sent: 1}); len(got) != 3 || got[2] != want {
			t.Errorf("got %+v", got)
		}
		if log := relay(t, &outbox.Poller{Bus: &line{}, Queue: newQueue("key")}, 5*time.Minute); strings.Count(log, "sent=1") != 1 {
			t.Errorf("without Report the log is %s", log)
		}
	})
}

func TestDeliverTellsWhatBecameOfEachMessage(t *testing.T) {
	large := events.Entry{ID: "large", Type: types[0], Detail: make([]byte, events.MaxEntryBytes)}
	messages := []outbox.Message{
		{Key: "sent", Entries: []events.Entry{{ID: "1"}}},
		{Key: "throttled", Entries: []events.Entry{{ID: "2a"}, {ID: "2b"}}},
		{Key: "refused", Entries: []events.Entry{{ID: "3a"}, {ID: "3b"}}},
		{Key: "large", Entries: []events.Entry{large}},
		{Key: "both", Entries: []events.Entry{{ID: "4a"}, {ID: "4b"}}},
	}
	bus := &line{fail: func(int) error {
		err := withCode("MalformedDetail", "3b", "4a").(*events.PublishError)
		for _, id := range []string{"2a", "4b"} {
			err.Failed = append(err.Failed, events.FailedEntry{ID: id, Code: "ThrottlingException", Err: errors.New("slow down")})
		}
		return err
	}}
	out := outbox.Deliver(t.Context(), bus, messages)
	if !slices.Equal(out.Sent, []string{"sent"}) || !slices.Equal(out.Failed, []string{"throttled", "both"}) {
		t.Errorf("sent %v, failed %v", out.Sent, out.Failed)
	}
	if len(out.Refused) != 2 || out.Refused[0].Key != "refused" || !strings.Contains(out.Refused[0].Reason, "3b") ||
		out.Refused[1].Key != "large" || !strings.Contains(out.Refused[1].Reason, "TooLarge") {
		t.Errorf("refused %+v", out.Refused)
	}
	if slices.Contains(bus.calls[0], "large") {
		t.Error("what is too large was sent")
	}
	if out.Err == nil {
		t.Error("no error")
	}
}
