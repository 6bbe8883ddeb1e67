package lambda

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// EventInvokeConfig says what becomes of a function's asynchronous invocations
// ("PutFunctionEventInvokeConfig", Lambda API reference). The zero value is what
// a function has without one.
type EventInvokeConfig struct {
	// MaximumRetryAttempts is how often an event is tried again that the function
	// failed: 0 to 2; nil: 2.
	MaximumRetryAttempts *int
	// MaximumEventAge is when an event is given up that still waits: whole seconds
	// from 60 to 21,600; 0: 6 hours.
	MaximumEventAge time.Duration
	// OnSuccess and OnFailure are the ARNs of the event buses to which the record
	// of each invocation goes; empty: nowhere.
	OnSuccess, OnFailure string
}

const (
	minAsyncAge = time.Minute
	// maxAsyncAge is when an event is given up that could not be handed over.
	maxAsyncAge = 6 * time.Hour
	// asyncRetries is how often an event that the function failed is tried
	// again: after one minute, and then after two more.
	asyncRetries = 2
)

func (c EventInvokeConfig) retries() int {
	if c.MaximumRetryAttempts == nil {
		return asyncRetries
	}
	return *c.MaximumRetryAttempts
}

func (c EventInvokeConfig) age() time.Duration {
	if c.MaximumEventAge == 0 {
		return maxAsyncAge
	}
	return c.MaximumEventAge
}

// Check returns what is wrong with the configuration itself.
func (c EventInvokeConfig) Check() error {
	if n := c.retries(); n < 0 || n > asyncRetries {
		return invalid("MaximumRetryAttempts %d: 0 to %d", n, asyncRetries)
	}
	if age := c.age(); age < minAsyncAge || age > maxAsyncAge || age%time.Second != 0 {
		return invalid("MaximumEventAgeInSeconds %v: 60 to 21,600 s", age)
	}
	for _, arn := range []string{c.OnSuccess, c.OnFailure} {
		if arn != "" && !isBus(arn) {
			return unsupported("destination %s: anything but an event bus", arn)
		}
	}
	return nil
}

func isBus(arn string) bool {
	return strings.HasPrefix(arn, "arn:aws:events:") && strings.Contains(arn, ":event-bus/")
}

func eventInvokeKey(function string) store.Key {
	return store.NewKey("lambda.eventinvoke").String(function)
}

// EnsureEventInvokeConfig gives a function this configuration. It is remembered
// over restarts, since events are. As on AWS, the function's role must be allowed
// to send to the destinations.
func (l *Lambda) EnsureEventInvokeConfig(function string, c EventInvokeConfig) error {
	f, err := l.find(function, "")
	if err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	for _, arn := range []string{c.OnSuccess, c.OnFailure} {
		if arn == "" {
			continue
		}
		if l.cfg.Destinations == nil {
			return unsupported("destination %s", arn)
		}
		// What an event says of itself is not known yet: a condition on it holds
		// if it ends in IfExists.
		if err := l.may(f, awswire.Access{Action: "events:PutEvents", Resource: arn}); err != nil {
			return invalid("The function's execution role does not have permissions to call PutEvents on %s (%v)", arn, err)
		}
	}
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.cfg.Store.NewBatch()
	b.Set(eventInvokeKey(f.Name), value)
	if err := b.Commit(); err != nil {
		return err
	}
	l.eventInvoke[f.Name] = c
	return nil
}

// DeleteEventInvokeConfig takes a function's configuration away; one that has
// none is not an error.
func (l *Lambda) DeleteEventInvokeConfig(function string) {
	name, _ := nameOf(function)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetEventInvokeConfig(name)
}

// forgetEventInvokeConfig is DeleteEventInvokeConfig. The caller holds mu.
func (l *Lambda) forgetEventInvokeConfig(function string) {
	delete(l.eventInvoke, function)
	b := l.cfg.Store.NewBatch()
	b.Delete(eventInvokeKey(function))
	if err := b.Commit(); err != nil {
		l.cfg.Logger.Error("forgetting where the results of a function go", "function", function, "error", err)
	}
}

// recallEventInvokeConfig takes up what the store holds for a function. The
// caller holds mu.
func (l *Lambda) recallEventInvokeConfig(function string) error {
	value, ok, err := l.cfg.Store.Get(eventInvokeKey(function))
	if err != nil || !ok {
		return err
	}
	var c EventInvokeConfig
	if err := json.Unmarshal(value, &c); err != nil {
		return fmt.Errorf("lambda: the store's event invoke configuration of function %q: %w", function, err)
	}
	l.eventInvoke[function] = c
	return nil
}

func (l *Lambda) eventInvokeOf(function string) EventInvokeConfig {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.eventInvoke[function]
}
