package webhook

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/functions/egress"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Schedule is how long an event waits after each attempt, as the Standard Webhooks
// specification has it ("Deliverability and reliability"), as far as a queue
// allows: SQS hides a message for 12 hours at most ("ChangeMessageVisibility"), so
// that the last three, of 14, 20 and 24 hours, are shorter. Ten attempts together
// take 53 hours, of the 4 days for which the queue keeps an event.
var Schedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	queue.MaxDelay, queue.MaxDelay, queue.MaxDelay,
}

// MaxAttempts is how often an event is tried at most: once, and after each wait of
// Schedule.
const MaxAttempts = 10

// Wait is how long an event waits after the n-th attempt, from 1: what Schedule
// says, and up to a tenth more, so that what failed together does not come back
// together.
func Wait(n int) time.Duration {
	wait := Schedule[min(max(n, 1), len(Schedule))-1]
	return min(wait+rand.N(wait/10), queue.MaxDelay)
}

// retryAfter is how long an endpoint that has too much to do wants to be left
// alone: in seconds or until a time ("HTTP Semantics", RFC 9110, 10.2.3). 0: it
// does not say.
func retryAfter(r *egress.Response, now time.Time) time.Duration {
	if r.Status != http.StatusTooManyRequests && r.Status != http.StatusServiceUnavailable {
		return 0
	}
	text := r.Header.Get("Retry-After")
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		after = time.Duration(min(seconds, int(queue.MaxDelay/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), queue.MaxDelay)
}
