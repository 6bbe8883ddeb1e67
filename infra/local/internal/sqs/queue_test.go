package sqs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// newService opens a service on the store in dir. close ends both, as the end
// of a process does.
func newService(t testing.TB, dir string) (s *Service, close func()) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err = New(st, Config{Account: "000000000000", Region: "us-east-1", URL: "http://127.0.0.1:4566", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		s.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func ensure(t testing.TB, s *Service, name string, a Attributes) *queue {
	t.Helper()
	if err := s.EnsureQueue(name, a, nil); err != nil {
		t.Fatal(err)
	}
	q, err := s.find(name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func send(t testing.TB, s *Service, q *queue, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		results, err := s.sendAll(context.Background(), q, []sendEntry{{outgoing: outgoing{MessageBody: body}}})
		if err != nil || results[0].err != nil {
			t.Fatal(err, results)
		}
	}
}

func bodies(got []Received) []string {
	out := []string{}
	for _, r := range got {
		out = append(out, r.Body)
	}
	return out
}

func receive(t testing.TB, q *queue, wait time.Duration) []Received {
	t.Helper()
	got, err := q.receive(t.Context(), receiveLimits{messages: 10}, q.visibility(), wait)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func want(t testing.TB, got []Received, bodies_ ...string) {
	t.Helper()
	if fmt.Sprint(bodies(got)) != fmt.Sprint(bodies_) {
		t.Fatalf("received %v, want %v", bodies(got), bodies_)
	}
}

// inBubble runs a test with fake time.
func inBubble(t *testing.T, test func(t *testing.T, s *Service)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, end := newService(t, dir)
		defer end()
		test(t, s)
	})
}

// pass lets fake time go by: it is used in bubbles only.
func pass(d time.Duration) { time.Sleep(d) }

func TestAReceivedMessageIsHiddenUntilItsVisibilityTimeoutEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "30"})
		send(t, s, q, "a")
		first := receive(t, q, 0)
		want(t, first, "a")
		pass(29 * time.Second)
		want(t, receive(t, q, 0))
		pass(time.Second)
		second := receive(t, q, 0)
		want(t, second, "a")
		if second[0].ReceiveCount != 2 || second[0].ID != first[0].ID {
			t.Fatalf("got %+v", second[0])
		}
		// The first receive's handle no longer deletes; the second's does.
		if _, err := q.remove([]string{first[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		if c := q.counts(); c != (counts{inFlight: 1}) {
			t.Fatalf("after the old handle: %+v", c)
		}
		if _, err := q.remove([]string{second[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		if c := q.counts(); c != (counts{}) {
			t.Fatalf("after the new handle: %+v", c)
		}
	})
}

func TestVisibilityCanBeShortenedToGiveAMessageBack(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		send(t, s, q, "a")
		got := receive(t, q, 0)
		if err := q.changeVisibility(got[0].ReceiptHandle, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		want(t, receive(t, q, 20*time.Second), "a")
		if waited := time.Since(start); waited != 5*time.Second {
			t.Fatalf("came back after %v", waited)
		}
		if err := q.changeVisibility(got[0].ReceiptHandle, 0); err == nil {
			t.Fatal("a handle of an older receive changed the visibility")
		}
	})
}

func TestLongPollingWakesWhenAMessageArrives(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		start := time.Now()
		want(t, receive(t, q, 20*time.Second))
		if waited := time.Since(start); waited != 20*time.Second {
			t.Fatalf("an empty queue was waited for %v", waited)
		}
		go func() {
			pass(7 * time.Second)
			send(t, s, q, "a")
		}()
		start = time.Now()
		want(t, receive(t, q, 20*time.Second), "a")
		if waited := time.Since(start); waited != 7*time.Second {
			t.Fatalf("woke after %v", waited)
		}
	})
}

func TestLongPollingGoesOnWhenAllThatWasVisibleIsADeadLetter(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q, dlq := deadLetters(t, s, "q")
		send(t, s, q, "poison")
		want(t, receive(t, q, 0), "poison")
		results, err := s.sendAll(t.Context(), q, []sendEntry{{outgoing: outgoing{MessageBody: "later", DelaySeconds: new(5)}}})
		if err != nil || results[0].err != nil {
			t.Fatal(err, results)
		}
		start := time.Now()
		want(t, receive(t, q, 20*time.Second), "later")
		if waited := time.Since(start); waited != 5*time.Second {
			t.Fatalf("received after %v", waited)
		}
		want(t, receive(t, dlq, 0), "poison")
	})
}

func TestADelayedMessageIsNotVisibleBeforeItsTime(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", Attributes{"DelaySeconds": "10"})
		send(t, s, q, "a")
		if c := q.counts(); c != (counts{delayed: 1}) {
			t.Fatalf("%+v", c)
		}
		start := time.Now()
		want(t, receive(t, q, 20*time.Second), "a")
		if waited := time.Since(start); waited != 10*time.Second {
			t.Fatalf("visible after %v", waited)
		}
	})
}

func TestAMessageReceivedTooOftenGoesToTheDeadLetterQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		dlq := ensure(t, s, "q-dlq", nil)
		q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "1", "RedrivePolicy": `{"deadLetterTargetArn":"` + s.ARN("q-dlq") + `","maxReceiveCount":2}`})
		send(t, s, q, "poison")
		for range 2 {
			want(t, receive(t, q, 5*time.Second), "poison")
			pass(time.Second)
		}
		want(t, receive(t, q, 0))
		got := receive(t, dlq, 0)
		want(t, got, "poison")
		if got[0].DeadLetterSource != s.ARN("q") || got[0].ReceiveCount != 3 {
			t.Fatalf("got %+v", got[0])
		}
		if c := q.counts(); c != (counts{}) {
			t.Fatalf("left behind: %+v", c)
		}
	})
}

func TestMessagesPastTheRetentionAreRemoved(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", Attributes{"MessageRetentionPeriod": "60"})
		send(t, s, q, "old")
		pass(61 * time.Second)
		want(t, receive(t, q, 0))
		pass(sweepInterval)
		if c := q.counts(); c != (counts{}) {
			t.Fatalf("after the sweep: %+v", c)
		}
	})
}

func TestAReceiveStopsAtItsLimitOfBytesButGivesOneMessageAtLeast(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		send(t, s, q, "aaaa", "bbbb", "cccc")
		got, err := s.Receive(t.Context(), s.ARN("q"), 10, 8, 0)
		if err != nil {
			t.Fatal(err)
		}
		want(t, got, "aaaa", "bbbb")
		got, err = s.Receive(t.Context(), s.ARN("q"), 10, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		want(t, got, "cccc")
	})
}

func TestWhatWasAcknowledgedSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "40000"})
	send(t, s, q, "deleted", "in flight", "waiting")
	got, err := q.receive(t.Context(), receiveLimits{messages: 2}, q.visibility(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want(t, got, "deleted", "in flight")
	if _, err := q.remove([]string{got[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	end()

	s, end = newService(t, dir)
	defer end()
	if q, err = s.find("q"); err != nil {
		t.Fatal(err)
	}
	if c := q.counts(); c != (counts{visible: 1, inFlight: 1}) {
		t.Fatalf("after the restart: %+v", c)
	}
	want(t, receive(t, q, 0), "waiting")
	// The receive from before the restart still holds its message.
	if err := q.changeVisibility(got[1].ReceiptHandle, 0); err != nil {
		t.Fatal(err)
	}
	back := receive(t, q, 0)
	want(t, back, "in flight")
	if back[0].ReceiveCount != 2 {
		t.Fatalf("receive count %d", back[0].ReceiveCount)
	}
}

func TestConcurrentConsumersReceiveEveryMessageOnce(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	q := ensure(t, s, "q", nil)
	const producers, each = 4, 200
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				send(t, s, q, fmt.Sprint(p, "-", i))
			}
		})
	}
	var mu sync.Mutex
	seen := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 4 {
		wg.Go(func() {
			for {
				got, err := q.receive(ctx, receiveLimits{messages: 10}, q.visibility(), time.Minute)
				if err != nil {
					return
				}
				handles := make([]string, len(got))
				mu.Lock()
				for i, r := range got {
					seen[r.Body]++
					handles[i] = r.ReceiptHandle
				}
				if len(seen) == producers*each {
					cancel()
				}
				mu.Unlock()
				if _, err := q.remove(handles); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for body, n := range seen {
		if n != 1 {
			t.Errorf("%s was received %d times", body, n)
		}
	}
	if c := q.counts(); c != (counts{}) {
		t.Errorf("left: %+v", c)
	}
}
