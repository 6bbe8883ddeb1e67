package lambda

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Asynchronous invocation ("How Lambda handles errors and retries with
// asynchronous invocation"; "Lambda quotas").
const (
	maxAsyncPayload = 1 << 20
	// An event that is throttled is tried again after a second, and then after
	// twice as long each time, up to five minutes.
	firstThrottleWait = time.Second
	maxThrottleWait   = 5 * time.Minute
)

// asyncEvent is an event that waits for its function, as the store keeps it.
type asyncEvent struct {
	RequestID string // of every attempt
	Payload   []byte
	Accepted  time.Time
	Failures  int // of the function
	Due       time.Time
	Error     []byte `json:",omitempty"` // what the function answered when it failed last
}

func asyncKey(function string) store.Key { return store.NewKey("lambda.async").String(function) }

// InvokeAsync takes an event for a function, which gets it soon, and returns the
// request id that it will have. Taken means that it is on disk: it is handed over
// also after a restart. An event that the function fails is tried twice more, and
// then given up, which the Logger is told, unless its [EventInvokeConfig] says
// otherwise, which also says who is told of the end. The errors are those of AWS's
// Invoke.
func (l *Lambda) InvokeAsync(name string, payload []byte) (requestID string, err error) {
	if len(payload) > maxAsyncPayload {
		return "", tooLarge("%d byte payload is too large for the Event invocation type (limit %d bytes)", len(payload), maxAsyncPayload)
	}
	now := time.Now()
	e := asyncEvent{RequestID: uuid.NewString(), Payload: payload, Accepted: now, Due: now}
	l.mu.Lock()
	_, exists := l.functions[name]
	l.mu.Unlock()
	if !exists {
		return "", notFound("Function not found: %s", l.functionARN(name))
	}
	if err := l.saveAsync(name, &e); err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.metricsOf(name).asyncReceived.Add(1)
	l.allMetrics.asyncReceived.Add(1)
	l.pursue(name, &e)
	return e.RequestID, nil
}

func (l *Lambda) saveAsync(function string, e *asyncEvent) error {
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	b := l.cfg.Store.NewBatch()
	b.Set(asyncKey(function).String(e.RequestID), value)
	return b.Commit()
}

func (l *Lambda) dropAsync(function string, e *asyncEvent) error {
	b := l.cfg.Store.NewBatch()
	b.Delete(asyncKey(function).String(e.RequestID))
	return b.Commit()
}

// resumeAsync goes on with the events of a function that the store holds. The
// caller holds mu.
func (l *Lambda) resumeAsync(function string) error {
	for entry, err := range l.cfg.Store.Scan(store.Prefix(asyncKey(function))) {
		if err != nil {
			return err
		}
		e := &asyncEvent{}
		if err := json.Unmarshal(entry.Value, e); err != nil {
			return fmt.Errorf("lambda: an event in the store for function %q: %w", function, err)
		}
		l.pursue(function, e)
	}
	return nil
}

// forgetAsync gives up the events of a function.
func (l *Lambda) forgetAsync(function string) {
	b := l.cfg.Store.NewBatch()
	b.DeleteRange(asyncKey(function), asyncKey(function).After())
	if err := b.Commit(); err != nil {
		l.cfg.Logger.Error("giving up the events of a function that was deleted", "function", function, "error", err)
	}
}

// pursue hands an event over in the background, until it is handled or given up.
// The caller holds mu.
func (l *Lambda) pursue(function string, e *asyncEvent) {
	if l.ctx.Err() != nil {
		return // it is in the store
	}
	l.running.Go(func() {
		for wait := firstThrottleWait; pause(l.ctx, time.Until(e.Due)); {
			config := l.eventInvokeOf(function)
			if time.Since(e.Accepted) > config.age() {
				l.giveUp(function, e, eventAgeExceeded, fmt.Sprintf("it is older than %v", config.age()))
				return
			}
			if l.reservesNone(function) {
				l.giveUp(function, e, zeroReservedConcurrency, "the function's reserved concurrency is 0")
				return
			}
			l.record(function, func(m *functionMetrics) { m.asyncAge.Add(ms(time.Since(e.Accepted))) })
			result, err := l.invokeAs(l.ctx, invokeInput{requestID: e.RequestID, function: function, payload: e.Payload})
			if l.ctx.Err() != nil {
				return
			}
			switch {
			case err == nil && result.FunctionError == "":
				l.conclude(function, e, success, result.Payload)
				return
			case err == nil && e.Failures >= config.retries():
				e.Failures++
				e.Error = result.Payload
				l.giveUp(function, e, retriesExhausted, fmt.Sprintf("the function failed it %d times", e.Failures))
				return
			case err == nil:
				e.Failures++
				e.Error = result.Payload
				e.Due = time.Now().Add(time.Duration(e.Failures) * time.Minute)
				if err := l.saveAsync(function, e); err != nil {
					l.cfg.Logger.Error("remembering an attempt at an event", "function", function, "request", e.RequestID, "error", err)
				}
			case isThrottle(err):
				e.Due = time.Now().Add(wait)
				wait = min(2*wait, maxThrottleWait)
			default: // the function is gone
				l.giveUp(function, e, "", err.Error())
				return
			}
		}
	})
}

// reservesNone reports whether a function may not run at all: then events are
// given up at once ("Configuring reserved concurrency for a function").
func (l *Lambda) reservesNone(function string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.functions[function]
	return f != nil && f.ReservedConcurrency != nil && *f.ReservedConcurrency == 0
}

// giveUp ends an event that was not handled. The condition is empty if nobody is
// to be told.
func (l *Lambda) giveUp(function string, e *asyncEvent, condition condition, reason string) {
	l.record(function, func(m *functionMetrics) { m.asyncDropped.Add(1) })
	l.cfg.Logger.Warn("an event that a function was invoked with asynchronously is given up", "function", function, "request", e.RequestID, "reason", reason)
	l.conclude(function, e, condition, e.Error)
}

// conclude tells the function's destination of an event's end, and forgets it. One that
// is told, and not forgotten since the environment was killed in between, is
// handed over and told again, as it may happen on AWS, too.
func (l *Lambda) conclude(function string, e *asyncEvent, condition condition, response []byte) {
	l.tell(function, e, condition, response)
	if err := l.dropAsync(function, e); err != nil {
		l.cfg.Logger.Error("forgetting an event that has ended", "function", function, "request", e.RequestID, "error", err)
	}
}
