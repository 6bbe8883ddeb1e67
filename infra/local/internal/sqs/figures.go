package sqs

import (
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/metric"
)

// figures are what CloudWatch is told of a queue ("Available CloudWatch metrics
// for Amazon SQS"): occurrences here, states in gauge.
type figures struct {
	sent, sentBytes, received, deleted, emptyReceives *metric.Series
}

func newFigures(r *metric.Registry, queue string) figures {
	series := func(name string, unit metric.Unit) *metric.Series {
		return r.Series("AWS/SQS", name, unit, metric.Dimension{Name: "QueueName", Value: queue})
	}
	return figures{
		sent:          series("NumberOfMessagesSent", metric.Count),
		sentBytes:     series("SentMessageSize", metric.Bytes),
		received:      series("NumberOfMessagesReceived", metric.Count),
		deleted:       series("NumberOfMessagesDeleted", metric.Count),
		emptyReceives: series("NumberOfEmptyReceives", metric.Count),
	}
}

// countSent counts messages that somebody sent. Those that redrive moves are no
// such messages.
func countSent(sent []sending) {
	for len(sent) > 0 {
		q, n := sent[0].queue, 0
		for ; n < len(sent) && sent[n].queue == q; n++ {
			q.figures.sentBytes.Add(float64(sent[n].bytes))
		}
		q.figures.sent.AddN(1, n)
		sent = sent[n:]
	}
}

// activeFor is how long after its last use an empty queue is still measured.
const activeFor = 6 * time.Hour

// touch notes that the queue is in use.
func (q *queue) touch(now time.Time) { q.used.Store(now.Unix()) }

// gauge tells the states of the queues that are active.
func (s *Service) gauge(yield func(metric.Metric, float64)) {
	now := time.Now()
	for _, q := range s.all() {
		c := q.counts()
		if c == (counts{}) && now.Sub(time.Unix(q.used.Load(), 0)) > activeFor {
			continue
		}
		queue := metric.Dimension{Name: "QueueName", Value: q.name}
		yield(metric.New("AWS/SQS", "ApproximateNumberOfMessagesVisible", metric.Count, queue), float64(c.visible))
		yield(metric.New("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", metric.Count, queue), float64(c.inFlight))
		yield(metric.New("AWS/SQS", "ApproximateNumberOfMessagesDelayed", metric.Count, queue), float64(c.delayed))
		if age, ok := q.oldestAge(now); ok {
			yield(metric.New("AWS/SQS", "ApproximateAgeOfOldestMessage", metric.Seconds, queue), age.Truncate(time.Second).Seconds())
		}
	}
}

// poisonReceives is how often a message was received in vain when its age is no
// longer told ("Available CloudWatch metrics for Amazon SQS",
// ApproximateAgeOfOldestMessage).
const poisonReceives = 3

// oldestAge returns for how long the oldest message has been in the queue; ok is
// false if there is none. A message that was received three times or more does
// not count, and one that redrive brought came when it was moved: so the figure
// does not see poison, as on AWS.
func (q *queue) oldestAge(now time.Time) (age time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if m.receives-m.receivesBefore >= poisonReceives {
			continue
		}
		age, ok = max(age, now.Sub(m.enteredAt)), true
	}
	return age, ok
}
