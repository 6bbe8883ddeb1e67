package sqs

import (
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// measured returns a service on a store whose figures it returns with it.
func measured(t *testing.T, st *store.Store) (s *Service, figures func(queue string) map[string]float64, end func()) {
	t.Helper()
	registry := &metric.Registry{}
	s, err := New(st, Config{Account: "000000000000", Region: "us-east-1", Metrics: registry, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	figures = func(queue string) map[string]float64 {
		out := map[string]float64{}
		of := func(m metric.Metric) bool {
			return m.Namespace == "AWS/SQS" && len(m.Dimensions) == 1 && m.Dimensions[0] == metric.Dimension{Name: "QueueName", Value: queue}
		}
		registry.Collect(func(m metric.Metric, d *metric.Distribution) {
			if of(m) {
				out[m.Name] = d.Sum
			}
		})
		registry.Sample(func(m metric.Metric, value float64) {
			if of(m) {
				out[m.Name] = value
			}
		})
		return out
	}
	return s, figures, s.Close
}

// openStore opens a store that is closed at the test's end.
func openStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func expectFigures(t *testing.T, when string, got, want map[string]float64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: the figures are %v, want %v", when, got, want)
	}
}

func TestAQueueTellsWhatHappensInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, figures, end := measured(t, openStore(t))
		defer end()
		q := ensure(t, s, "orders", Attributes{"VisibilityTimeout": "300"})
		send(t, s, q, "one", "two", "three")
		time.Sleep(90 * time.Second)
		got, err := q.receive(t.Context(), receiveLimits{messages: 2}, q.visibility(), 0)
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		if _, err := q.remove([]string{got[0].ReceiptHandle, got[0].ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
		expectFigures(t, "after a receive", figures("orders"), map[string]float64{
			"NumberOfMessagesSent": 3, "SentMessageSize": 11, "NumberOfMessagesReceived": 2, "NumberOfMessagesDeleted": 2,
			"ApproximateNumberOfMessagesVisible": 1, "ApproximateNumberOfMessagesNotVisible": 1, "ApproximateNumberOfMessagesDelayed": 0,
			"ApproximateAgeOfOldestMessage": 90,
		})
		for range 2 {
			if _, err := q.receive(t.Context(), receiveLimits{messages: 10}, q.visibility(), 20*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		expectFigures(t, "after an empty one", figures("orders"), map[string]float64{
			"NumberOfMessagesReceived": 1, "NumberOfEmptyReceives": 1,
			"ApproximateNumberOfMessagesVisible": 0, "ApproximateNumberOfMessagesNotVisible": 2, "ApproximateNumberOfMessagesDelayed": 0,
			"ApproximateAgeOfOldestMessage": 110,
		})
	})
}

func receiveTimes(t *testing.T, q *queue, times int) {
	t.Helper()
	for range times {
		if got, err := q.receive(t.Context(), receiveLimits{messages: 1}, 10*time.Second, 0); err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		time.Sleep(10 * time.Second)
	}
}

func TestTheAgeOfTheOldestMessageDoesNotSeePoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, figures, end := measured(t, openStore(t))
		defer end()
		q := ensure(t, s, "orders", nil)
		age := func() (float64, bool) { got, ok := figures("orders")["ApproximateAgeOfOldestMessage"]; return got, ok }
		send(t, s, q, "poison")
		receiveTimes(t, q, 2)
		if got, ok := age(); got != 20 || !ok {
			t.Errorf("received twice: %v, %v; want 20", got, ok)
		}
		receiveTimes(t, q, 1)
		if got, ok := age(); ok {
			t.Errorf("received three times: %v, want none", got)
		}
		send(t, s, q, "sound")
		time.Sleep(5 * time.Second)
		if got, ok := age(); got != 5 || !ok {
			t.Errorf("with a sound one behind it: %v, %v; want 5", got, ok)
		}
	})
}

func TestADeadLettersAgeCountsFromWhenItWasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := openStore(t)
		s, _, end := measured(t, st)
		ensure(t, s, "dlq", nil)
		q := ensure(t, s, "orders", Attributes{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":4}`, s.ARN("dlq"))})
		send(t, s, q, "poison")
		receiveTimes(t, q, 4)
		if got, err := q.receive(t.Context(), receiveLimits{messages: 1}, 0, 0); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
		end()
		time.Sleep(time.Minute)
		_, figures, end := measured(t, st)
		defer end()
		expectFigures(t, "after a restart", figures("dlq"), map[string]float64{
			"ApproximateNumberOfMessagesVisible": 1, "ApproximateNumberOfMessagesNotVisible": 0, "ApproximateNumberOfMessagesDelayed": 0,
			"ApproximateAgeOfOldestMessage": 60,
		})
	})
}

func TestAnIdleQueueIsMeasuredForSixHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, figures, end := measured(t, openStore(t))
		defer end()
		ensure(t, s, "idle", nil)
		time.Sleep(6 * time.Hour)
		if got := figures("idle"); len(got) != 3 {
			t.Errorf("for six hours: %v", got)
		}
		time.Sleep(time.Second)
		expectFigures(t, "then", figures("idle"), map[string]float64{})
	})
}
