package lambda

import (
	"errors"

	"golang.org/x/time/rate"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// load is what a function, or all that reserve no concurrency, use of what they
// may use. Lambda's mu guards busy.
type load struct {
	busy     int           // invocations that run
	requests *rate.Limiter // invocations that begin
	starts   *rate.Limiter // environments that are started for a function
}

// newLoad is that of something which may run so many invocations at once.
func newLoad(concurrency int) *load {
	requests := requestsASecond * concurrency
	return &load{
		requests: rate.NewLimiter(rate.Limit(requests), requests),
		starts:   rate.NewLimiter(startsIn10Seconds/10, startsIn10Seconds),
	}
}

// resize says that it may run so many invocations at once from now on.
func (l *load) resize(concurrency int) {
	requests := requestsASecond * concurrency
	l.requests.SetLimit(rate.Limit(requests))
	l.requests.SetBurst(requests)
}

// begin counts an invocation against the limits of concurrency.
func (l *Lambda) begin(name string) (*function, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, exists := l.functions[name]
	if !exists {
		return nil, notFound("Function not found: %s", l.functionARN(name))
	}
	if l.ctx.Err() != nil {
		return nil, errClosed
	}
	if n := f.ReservedConcurrency; n != nil {
		switch {
		case f.load.busy >= *n:
			return nil, throttled(reasonReserved)
		case !f.load.requests.Allow():
			return nil, throttled(reasonReservedRate)
		}
	} else {
		switch {
		case l.unreserved.busy >= accountConcurrency-l.reserved:
			return nil, throttled(reasonAccount)
		case !l.unreserved.requests.Allow():
			return nil, throttled(reasonFunctionRate)
		}
		l.unreserved.busy++
	}
	f.load.busy++
	l.busy++
	l.metricsOf(name).concurrent.Add(float64(f.load.busy))
	l.allMetrics.concurrent.Add(float64(l.busy))
	l.running.Add(1)
	return f, nil
}

func (l *Lambda) end(f *function) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.load.busy--
	l.busy--
	if f.ReservedConcurrency == nil {
		l.unreserved.busy--
	}
	l.running.Done()
}

// Reasons of a TooManyRequestsException ("ThrottleReason").
const (
	reasonAccount      = "ConcurrentInvocationLimitExceeded"
	reasonReserved     = "ReservedFunctionConcurrentInvocationLimitExceeded"
	reasonFunctionRate = "FunctionInvocationRateLimitExceeded"
	reasonReservedRate = "ReservedFunctionInvocationRateLimitExceeded"
)

const codeThrottled = "TooManyRequestsException"

func throttled(reason string) error {
	return &awswire.Error{Code: codeThrottled, Status: 429, Message: "Rate Exceeded.",
		Fields: map[string]any{"Reason": reason, "Type": "User"}}
}

// isThrottle tells whether an error of Invoke means that no concurrency was
// left.
func isThrottle(err error) bool {
	var e *awswire.Error
	return errors.As(err, &e) && e.Code == codeThrottled
}
