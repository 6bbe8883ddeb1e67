package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// RetryAfter has an event that failed for err come back d from now, instead of
// after the delay that the subscription would give it: when another service has
// said when to ask again, for example. It counts as a receive like any other, and
// an event that has no receive left goes to the DLQ. 0 is at once; the most is
// [queue.MaxDelay], 11 hours and 40 minutes. It is nil for a nil error. Of an
// error that is permanent too, [Permanent] counts. In a function of [Batch] it is
// for errors in its *[Failures], or for the one error of the whole batch.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, max(d, 0)}
}

type retryAfterError struct {
	err   error
	after time.Duration
}

func (e *retryAfterError) Error() string { return e.err.Error() }
func (e *retryAfterError) Unwrap() error { return e.err }

// retriesVariable holds the retries of each subscription, as the deployment
// derives them from the manifest.
const retriesVariable = "PENSTOCK_RETRIES"

// retries says how a subscription's events come back after a failure: after
// the n-th receive, a random time of up to baseSeconds·2ⁿ⁻¹ and capSeconds later
// ("full jitter": events that failed together, because a service was down, do
// not come back to it together).
type retries struct {
	MaxReceiveCount int `json:"maxReceiveCount"` // 0: not known
	BaseSeconds     int `json:"baseSeconds"`
	CapSeconds      int `json:"capSeconds"`
}

// defaultRetries are those of a subscription that the deployment did not tell
// of; the manifest has the same defaults.
var defaultRetries = &retries{BaseSeconds: 30, CapSeconds: 900}

// readRetries reads the value of the variable: a JSON object of retries by the
// subscription's name. Empty has none.
func readRetries(value string) (map[string]*retries, error) {
	all := map[string]*retries{}
	if value == "" {
		return all, nil
	}
	if err := json.Unmarshal([]byte(value), &all); err != nil {
		return nil, fmt.Errorf("handler: %s is %q, which the deployment makes of the manifest: %w", retriesVariable, value, err)
	}
	for name, r := range all {
		if r == nil || r.MaxReceiveCount < 1 || r.BaseSeconds < 1 || r.CapSeconds < r.BaseSeconds {
			return nil, fmt.Errorf("handler: %s is %q: subscription %q needs a maxReceiveCount and baseSeconds of at least 1, and capSeconds of at least that", retriesVariable, value, name)
		}
	}
	return all, nil
}

// bound is the longest delay after the n-th receive, from 1.
func (r *retries) bound(n int) time.Duration {
	bound, limit := time.Duration(r.BaseSeconds)*time.Second, time.Duration(r.CapSeconds)*time.Second
	for ; n > 1 && bound < limit; n-- {
		bound *= 2
	}
	return min(bound, limit)
}

// lastReceive reports whether the message goes to the DLQ if it comes back.
func (r *Record) lastReceive() bool {
	return r.retries.MaxReceiveCount > 0 && r.ReceiveCount >= r.retries.MaxReceiveCount
}

// comesBack is the delay after which a record that failed for err comes back.
func (r *Record) comesBack(err error) time.Duration {
	if r.lastReceive() {
		return 0 // nothing to wait for: SQS moves it to the DLQ when it is due
	}
	if errors.Is(err, ErrNotStarted) {
		return rand.N(r.retries.bound(1)) // it has not failed yet
	}
	if after, ok := errors.AsType[*retryAfterError](err); ok {
		return after.after
	}
	return rand.N(r.retries.bound(r.ReceiveCount))
}
