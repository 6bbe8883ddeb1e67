package sqs

import (
	"testing"
	"time"
)

func TestAQueueIsPurgedOnceAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		send(t, s, q, "a", "b")
		if got := receive(t, q, 0); len(got) != 2 {
			t.Fatal(got)
		}
		send(t, s, q, "c")
		if err := s.Purge("q"); err != nil {
			t.Fatal(err)
		}
		if c := q.counts(); c != (counts{}) {
			t.Fatalf("left: %+v", c)
		}
		send(t, s, q, "d")
		pass(59 * time.Second)
		if err := s.Purge("q"); code(err) != "PurgeQueueInProgress" {
			t.Fatal(err)
		}
		want(t, receive(t, q, 0), "d")
		pass(time.Second)
		if err := s.Purge("q"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAMessageStaysHiddenTwelveHoursAtMost(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		send(t, s, q, "a")
		r := receive(t, q, 0)[0]
		if err := q.change(r.ReceiptHandle, 43_200); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if err := q.change(r.ReceiptHandle, 11*3600+1); code(err) != "InvalidParameterValue" {
			t.Fatal(err)
		}
		if err := q.change(r.ReceiptHandle, 11*3600); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Hour)
		again := receive(t, q, 0)
		want(t, again, "a")
		if err := q.change(again[0].ReceiptHandle, 43_200); err != nil {
			t.Fatalf("counted from the receive before: %v", err)
		}
	})
}

func TestTheNameOfADeletedQueueIsFreeAfterAMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", nil)
		send(t, s, q, "a")
		old := receive(t, q, 0)[0].ReceiptHandle
		if err := s.DeleteQueue("q"); err != nil {
			t.Fatal(err)
		}
		pass(59 * time.Second)
		if err := s.CreateQueue("q", nil, nil); code(err) != "QueueDeletedRecently" {
			t.Fatal(err)
		}
		pass(time.Second)
		if err := s.CreateQueue("q", nil, nil); err != nil {
			t.Fatal(err)
		}
		q, _ = s.find("q")
		send(t, s, q, "b")
		want(t, receive(t, q, 0), "b")
		if _, err := q.remove([]string{old}); err != nil {
			t.Fatal(err)
		}
		if c := q.counts(); c.inFlight != 1 {
			t.Fatalf("a handle of the queue before it deleted a message: %+v", c)
		}
	})
}

func TestCreatingAQueueThatExistsComparesOnlyWhatIsAskedFor(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		ensure(t, s, "q", Attributes{"VisibilityTimeout": "7"})
		for _, test := range []struct {
			asked Attributes
			code  string
		}{{nil, "<nil>"}, {Attributes{"VisibilityTimeout": "7"}, "<nil>"}, {Attributes{"VisibilityTimeout": "8"}, "QueueNameExists"}, {Attributes{"DelaySeconds": "0"}, "<nil>"}} {
			if err := s.CreateQueue("q", test.asked, nil); code(err) != test.code {
				t.Errorf("%v: got %v, want %s", test.asked, err, test.code)
			}
		}
	})
}

func TestAFullQueueRefusesAShortPollAndLetsALongOneWait(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q := ensure(t, s, "q", Attributes{"VisibilityTimeout": "600"})
		send(t, s, q, "a", "b", "c")
		held, err := q.receive(t.Context(), receiveLimits{messages: 1}, time.Hour, 0)
		if err != nil {
			t.Fatal(err)
		}
		// The others in flight are only counted: making them takes long.
		q.mu.Lock()
		q.inFlight = maxInFlight
		q.mu.Unlock()
		if _, err := q.receive(t.Context(), receiveLimits{messages: 10}, time.Hour, 0); code(err) != "OverLimit" {
			t.Fatal(err)
		}
		if got, err := q.receive(t.Context(), receiveLimits{messages: 10}, time.Hour, time.Second); err != nil || len(got) > 0 {
			t.Fatal(got, err)
		}
		go func() {
			pass(7 * time.Second)
			if _, err := q.remove([]string{held[0].ReceiptHandle}); err != nil {
				t.Error(err)
			}
		}()
		start := time.Now()
		want(t, receive(t, q, 20*time.Second), "b") // there is room for one
		if waited := time.Since(start); waited != 7*time.Second {
			t.Fatalf("woke after %v", waited)
		}
	})
}
