package eventbridge

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// delivery is one event on its way to one target. Its JSON is what is kept of
// one that waits to be retried.
type delivery struct {
	Rule        string // its name
	RuleARN     string
	Target      Target
	Body        string
	TraceHeader string `json:",omitempty"`

	ID      string    `json:",omitempty"` // of one that waits, or has waited
	First   time.Time `json:",omitzero"`  // when it was tried first
	Retries int       `json:",omitempty"` // attempts after the first
	Due     time.Time `json:",omitzero"`  // when it is tried again
	Last    failure   `json:",omitzero"`  // how the last attempt ended
}

// failure is why a target did not take an event.
type failure struct {
	Code    string // as EventBridge has it: NO_PERMISSIONS, …
	Message string
}

// The conditions that end retries, as EXHAUSTED_RETRY_CONDITION has them.
const (
	tooManyAttempts = "MaximumRetryAttempts"
	tooOld          = "MaximumEventAgeInSeconds"
)

// deliver tries to hand each event to its target. When it returns without an
// error, each is durable: at its target, among those that are retried, or in
// the target's dead-letter queue; or it is dropped, where there is none.
// waiting is how many are retried.
func (s *Service) deliver(deliveries []delivery) (waiting int, err error) {
	if len(deliveries) == 0 {
		return 0, nil
	}
	errs, err := s.attempt(deliveries)
	if err != nil {
		return 0, err
	}
	var later, dead []delivery
	var conditions []string
	now := time.Now()
	for i, err := range errs {
		d := deliveries[i]
		f := s.figures.rule(d.RuleARN)
		if d.Retries > 0 {
			f.retried.Add(1)
		}
		if err == nil {
			f.invocations.Add(1)
			continue
		}
		d.Last = failure{errorCode(err), err.Error()}
		if d.First.IsZero() {
			d.First = now
		}
		condition := ""
		if retriable(err) {
			if d.Retries < d.Target.RetryPolicy.maxAttempts() {
				later = append(later, d)
				continue
			}
			condition = tooManyAttempts
		}
		dead = append(dead, d)
		conditions = append(conditions, condition)
	}
	s.stats.mu.Lock()
	s.stats.Delivered += len(deliveries) - len(later) - len(dead)
	s.stats.mu.Unlock()
	if err := s.postpone(later, now); err != nil {
		return 0, err
	}
	return len(later), s.deadLetter(dead, conditions)
}

// attempt hands events to their targets: to the queues in one durable commit.
// errs holds, for each, nil or why its target did not take it.
func (s *Service) attempt(deliveries []delivery) (errs []error, err error) {
	errs = make([]error, len(deliveries))
	messages := make([]QueueMessage, 0, len(deliveries))
	of := make([]int, 0, len(deliveries))
	for i, d := range deliveries {
		if d.Target.isFunction() {
			errs[i] = s.config.Functions.Invoke(d.Target.ARN, d.RuleARN, []byte(d.Body))
			continue
		}
		messages = append(messages, QueueMessage{QueueARN: d.Target.ARN, Body: d.Body, RuleARN: d.RuleARN, TraceHeader: d.TraceHeader})
		of = append(of, i)
	}
	if len(messages) == 0 {
		return errs, nil
	}
	sent, err := s.config.Queues.Send(messages)
	if err != nil {
		return nil, err
	}
	for i, err := range sent {
		errs[of[i]] = err
	}
	return errs, nil
}

// deadLetter gives events up: they go to the targets' dead-letter queues, with
// the attributes that EventBridge documents ("Using dead-letter queues to
// process undelivered events in EventBridge"). conditions holds, for each, what
// ended its retries; empty for one whose target refused it for good.
func (s *Service) deadLetter(dead []delivery, conditions []string) error {
	if len(dead) == 0 {
		return nil
	}
	var messages []QueueMessage
	for i, d := range dead {
		f := s.figures.rule(d.RuleARN)
		f.invocations.Add(1)
		f.failed.Add(1)
		log := s.config.Logger.With("rule", d.Rule, "target", d.Target.ARN, "retries", d.Retries, "error", d.Last.Message)
		if d.Target.DeadLetterARN == "" {
			log.Error("an event could not be delivered to a rule's target, which has no dead-letter queue: it is dropped, as on AWS")
			continue
		}
		log.Warn("an event could not be delivered to a rule's target", "deadLetterQueue", d.Target.DeadLetterARN)
		attributes := map[string]string{
			"RULE_ARN":       d.RuleARN,
			"TARGET_ARN":     d.Target.ARN,
			"ERROR_CODE":     d.Last.Code,
			"ERROR_MESSAGE":  d.Last.Message,
			"RETRY_ATTEMPTS": strconv.Itoa(d.Retries),
		}
		if conditions[i] != "" {
			attributes["EXHAUSTED_RETRY_CONDITION"] = conditions[i]
		}
		messages = append(messages, QueueMessage{QueueARN: d.Target.DeadLetterARN, Body: d.Body, RuleARN: d.RuleARN, Attributes: attributes})
	}
	taken := 0
	if len(messages) > 0 {
		errs, err := s.config.Queues.Send(messages)
		if err != nil {
			return err
		}
		for i, err := range errs {
			f := s.figures.rule(messages[i].RuleARN)
			if err == nil {
				taken++
				f.sentToDLQ.Add(1)
				continue
			}
			f.notSentToDLQ.Add(1)
			s.config.Logger.Error("a rule's dead-letter queue refused an event: it is dropped, as on AWS",
				"rule", messages[i].RuleARN, "deadLetterQueue", messages[i].QueueARN, "error", err)
		}
	}
	s.stats.mu.Lock()
	s.stats.DeadLettered += taken
	s.stats.Dropped += len(dead) - taken
	s.stats.mu.Unlock()
	return nil
}

// errorCodes are the codes that EventBridge gives to errors of targets, of
// those that it documents ("Using dead-letter queues to process undelivered
// events in EventBridge").
var errorCodes = map[string]string{
	"QueueDoesNotExist":         "NO_RESOURCE",
	"ResourceNotFoundException": "NO_RESOURCE",
	"AccessDenied":              "NO_PERMISSIONS",
	"AccessDeniedException":     "NO_PERMISSIONS",
	"InvalidParameterValue":     "INVALID_PARAMETER",
	"InvalidMessageContents":    "INVALID_PARAMETER",
	"ThrottlingException":       "THROTTLING",
	"RequestThrottled":          "THROTTLING",
	"TooManyRequestsException":  "THROTTLING",
	"InternalFailure":           "INTERNAL_ERROR",
}

func errorCode(err error) string {
	var e *awswire.Error
	if !errors.As(err, &e) {
		return "INTERNAL_ERROR"
	}
	if code, ok := errorCodes[e.Code]; ok {
		return code
	}
	return "ERROR_FROM_TARGET"
}

// retriable reports whether an attempt may go better later. Errors of the
// client, like a missing permission or a target that no longer exists, stay
// what they are until somebody acts; throttling and faults of the service pass
// ("How EventBridge retries delivering events").
func retriable(err error) bool {
	var e *awswire.Error
	return !errors.As(err, &e) || errorCode(err) == "THROTTLING" || e.Status >= http.StatusInternalServerError || strings.HasPrefix(e.Code, "Internal")
}
