package eventbridge

import (
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Target is a queue, or a function, that a rule sends to.
type Target struct {
	ID            string
	ARN           string
	DeadLetterARN string // empty: what cannot be delivered is dropped
	RetryPolicy   RetryPolicy
}

// RetryPolicy bounds the attempts to deliver an event to a target that cannot
// take it now; whichever bound is reached first ends them ("RetryPolicy",
// EventBridge API reference). The zero value is the default.
type RetryPolicy struct {
	// MaximumEventAgeInSeconds is 60 to 86,400; nil is 86,400.
	MaximumEventAgeInSeconds *int `json:",omitempty"`
	// MaximumRetryAttempts is 0 to 185; nil is 185.
	MaximumRetryAttempts *int `json:",omitempty"`
}

// The bounds of a target without a retry policy are the largest that a policy
// may have ("How EventBridge retries delivering events").
const (
	minEventAge = 60
	maxEventAge = 86_400
	maxRetries  = 185
)

func (p RetryPolicy) maxAge() time.Duration {
	seconds := maxEventAge
	if p.MaximumEventAgeInSeconds != nil {
		seconds = *p.MaximumEventAgeInSeconds
	}
	return time.Duration(seconds) * time.Second
}

func (p RetryPolicy) maxAttempts() int {
	if p.MaximumRetryAttempts != nil {
		return *p.MaximumRetryAttempts
	}
	return maxRetries
}

// check checks what EventBridge, and the local environment, demand of a target
// of a schedule or of a rule with a pattern.
func (t Target) check(scheduled bool) error {
	if !validRuleName.MatchString(t.ID) {
		return awswire.Errorf("ValidationException", "target id %q is not valid: 1 to 64 of letters, digits, . - _", t.ID)
	}
	if !t.isQueue() && !(scheduled && t.isFunction()) {
		return awswire.Errorf("ValidationException", "target %q (%s): only SQS queues are supported as targets by the local environment, and functions as those of a schedule", t.ID, t.ARN)
	}
	if t.DeadLetterARN != "" && !strings.HasPrefix(t.DeadLetterARN, queueARN) {
		return awswire.Errorf("ValidationException", "target %q: DeadLetterConfig: want the ARN of an SQS queue (got %s)", t.ID, t.DeadLetterARN)
	}
	if n := t.RetryPolicy.MaximumEventAgeInSeconds; n != nil && (*n < minEventAge || *n > maxEventAge) {
		return awswire.Errorf("ValidationException", "target %q: MaximumEventAgeInSeconds: want %d to %d (got %d)", t.ID, minEventAge, maxEventAge, *n)
	}
	if n := t.RetryPolicy.MaximumRetryAttempts; n != nil && (*n < 0 || *n > maxRetries) {
		return awswire.Errorf("ValidationException", "target %q: MaximumRetryAttempts: want 0 to %d (got %d)", t.ID, maxRetries, *n)
	}
	return nil
}

// queueARN begins the ARN of every queue.
const queueARN = "arn:aws:sqs:"

func (t Target) isQueue() bool    { return strings.HasPrefix(t.ARN, queueARN) }
func (t Target) isFunction() bool { return strings.HasPrefix(t.ARN, "arn:aws:lambda:") }
