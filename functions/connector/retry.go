package connector

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Retry says when a call that failed is made again: if Lambda could not make it
// for a reason that may pass (throttling, a broken connection, a fault of AWS, the
// end of Config.Timeout), if the function returned an error, and if it answered
// with one of Statuses. Of asynchronous calls, only those are repeated that
// Lambda did not accept.
//
// Before the n-th repeat passes a random time of up to Base, doubled n-1 times, or
// of up to Cap, whichever is less. A Retry-After of a response with status 429 or
// 503, or of Lambda's throttling, is the least that passes; one of more than
// MaxRetryAfter ends the attempts.
type Retry struct {
	// Attempts is how often a call is made at most, the first included: 1 to 100;
	// default 3.
	Attempts int

	// Base is 1 ms to Cap; default 200 ms.
	Base time.Duration

	// Cap is up to 15 minutes; default 20 s.
	Cap time.Duration

	// MaxRetryAfter is up to 15 minutes; default 2 minutes.
	MaxRetryAfter time.Duration

	// Statuses are those that may be better next time, each 300 to 599. Nil: 408,
	// 429, 500, 502, 503 and 504. Empty, but not nil: none.
	Statuses []int

	byStatus bool // Statuses were given
}

// checkAsync refuses a policy that an asynchronous call could not keep.
func (r *Retry) checkAsync(async bool) error {
	if async && r.byStatus {
		return errors.New(`connector: Config.Retry.Statuses cannot go with asynchronous calls: who has a call accepted does not learn its status. Lambda repeats it as "async" in the function's manifest says`)
	}
	return nil
}

func (r *Retry) setDefaults() (faults []error) {
	within(&faults, "Retry.Attempts", &r.Attempts, 3, 1, 100)
	within(&faults, "Retry.Cap", &r.Cap, 20*time.Second, time.Millisecond, 15*time.Minute)
	within(&faults, "Retry.Base", &r.Base, min(200*time.Millisecond, r.Cap), time.Millisecond, r.Cap)
	within(&faults, "Retry.MaxRetryAfter", &r.MaxRetryAfter, 2*time.Minute, time.Millisecond, 15*time.Minute)
	r.byStatus = r.Statuses != nil
	if !r.byStatus {
		r.Statuses = []int{
			http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		}
	}
	r.Statuses = slices.Clone(r.Statuses)
	for _, status := range r.Statuses {
		if status < 300 || status > 599 {
			faults = append(faults, fmt.Errorf("connector: Config.Retry.Statuses has %d: want 300 to 599", status))
		}
	}
	return faults
}

// next says whether a call is made again after an attempt that came to r, and
// after which time.
func (r *Retry) next(got *Response) (wait time.Duration, again bool) {
	if got.Attempt >= r.Attempts || !got.Failed() || !r.mayPass(got) {
		return 0, false
	}
	least := retryAfter(got)
	if least > r.MaxRetryAfter {
		return 0, false
	}
	most := r.Base
	for n := 1; n < got.Attempt && most < r.Cap; n++ {
		most *= 2
	}
	return max(least, rand.N(min(most, r.Cap)+1)), true
}

func (r *Retry) mayPass(got *Response) bool {
	var function *FunctionError
	switch {
	case got.Err == nil:
		return slices.Contains(r.Statuses, got.Status)
	case errors.As(got.Err, &function), errors.Is(got.Err, errTimeout):
		return true
	}
	return retryable.IsErrorRetryable(got.Err) == aws.TrueTernary
}

// retryable are the errors of AWS that the SDK itself would try again.
var retryable = retry.IsErrorRetryables(append(slices.Clone(retry.DefaultRetryables),
	retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes}))

// retryAfter is how long the answer asks to be left alone; 0 if it does not.
func retryAfter(got *Response) time.Duration {
	var throttled *types.TooManyRequestsException
	value := ""
	switch {
	case errors.As(got.Err, &throttled):
		value = aws.ToString(throttled.RetryAfterSeconds)
	case got.Status == http.StatusTooManyRequests || got.Status == http.StatusServiceUnavailable:
		value = strings.TrimSpace(got.Header.Get("Retry-After"))
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1e6) * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// FunctionError is what a function failed with: an error that its handler
// returned, a panic, its timeout.
type FunctionError struct {
	Function string
	Type     string // of the Go error, or Lambda's name for what happened, such as "Sandbox.Timedout"; may be empty
	Message  string
}

// Error implements error.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("function %s failed: %s", e.Function, cmp.Or(e.Message, e.Type, "it did not say why"))
}
