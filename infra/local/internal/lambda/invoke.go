package lambda

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// The most that a synchronous invocation carries in either direction: 6 MB,
// and the few bytes more that Lambda allows a response ("Lambda quotas").
const (
	maxPayload  = 6 << 20
	maxResponse = maxPayload + 100
)

// idleTimeout is how long an environment is kept for the next invocation.
// AWS does not say how long; some minutes are usual.
const idleTimeout = 5 * time.Minute

// Result is what came of an invocation that took place.
type Result struct {
	RequestID string
	// Payload is the response, or the error as JSON if FunctionError is set.
	Payload []byte
	// FunctionError is empty if the function succeeded, else "Unhandled".
	FunctionError string
	// LogTail is the end of the invocation's log, up to 4 KB, if it was asked for
	// and a program was reached.
	LogTail []byte

	took   time.Duration // without Init
	billed billed
}

// invokeInput is an invocation as it is asked for.
type invokeInput struct {
	requestID string
	function  string
	payload   []byte
	wantTail  bool
}

// Invoke runs a function synchronously. It returns an error (an
// *awswire.Error as AWS words it) if the function was not run: it does not
// exist, the payload is above 6 MB, or no concurrency is left
// (TooManyRequestsException). If ctx ends first, the program is killed.
func (l *Lambda) Invoke(ctx context.Context, name string, payload []byte) (*Result, error) {
	return l.run(ctx, invokeInput{requestID: uuid.NewString(), function: name, payload: payload})
}

// run is [Lambda.Invoke] with everything that can be asked for.
func (l *Lambda) run(ctx context.Context, c invokeInput) (*Result, error) {
	result, err := l.serve(ctx, c)
	if err == nil {
		l.charge(c.function, result.billed)
		l.record(c.function, func(m *functionMetrics) { m.invoked(result.took, result.FunctionError != "") })
	} else if isThrottle(err) {
		l.record(c.function, func(m *functionMetrics) { m.throttles.Add(1) })
	}
	return result, err
}

func (l *Lambda) serve(ctx context.Context, c invokeInput) (*Result, error) {
	if len(c.payload) > maxPayload {
		return nil, tooLarge("Request must be smaller than %d bytes for the InvokeFunction operation", maxPayload)
	}
	f, err := l.begin(c.function)
	if err != nil {
		return nil, err
	}
	defer l.end(f)

	inv := &invocation{id: c.requestID, payload: c.payload, trace: traceID(), done: make(chan outcome, 1), wantTail: c.wantTail}
	for {
		env := l.takeIdle(f)
		if env == nil {
			break
		}
		// An environment that ended while it was idle has not seen the
		// invocation: the next one gets it.
		if result, seen := env.run(ctx, inv, false); seen {
			return l.finish(env, inv, result), nil
		}
	}

	if !f.load.starts.Allow() {
		return nil, throttled(reasonFunctionRate)
	}
	env, failed := l.start(ctx, f, inv)
	if env == nil {
		return failed.result(inv.id), nil
	}
	result, _ := env.run(ctx, inv, true)
	l.running.Go(env.closeOutput)
	return l.finish(env, inv, result), nil
}

// finish gives the environment back if it can go on, and makes the result.
func (l *Lambda) finish(env *environment, inv *invocation, o outcome) *Result {
	if o.reusable {
		l.putIdle(env)
	}
	return o.result(inv.id)
}

func (o *outcome) result(requestID string) *Result {
	result := &Result{RequestID: requestID, Payload: o.payload, LogTail: o.tail, took: o.took, billed: o.billed}
	if o.failed {
		result.FunctionError = unhandled
	}
	return result
}

// unhandled is the FunctionError of every failure of an OS-only runtime.
const unhandled = "Unhandled"

var errClosed = &awswire.Error{Code: "ServiceException", Status: 500, Message: "the local environment is shutting down"}

// tooLarge is the error for a payload above a limit. The API reference calls it
// RequestTooLargeException; what the service sends is this.
func tooLarge(format string, args ...any) error {
	return &awswire.Error{Code: "RequestEntityTooLargeException", Status: 413, Message: fmt.Sprintf(format, args...)}
}

// takeIdle returns the function's environment that was used last, nil if none
// is idle.
func (l *Lambda) takeIdle(f *function) *environment {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(f.idle)
	if n == 0 {
		return nil
	}
	env := f.idle[n-1]
	f.idle = f.idle[:n-1]
	env.idleTimer.Stop()
	return env
}

func (l *Lambda) putIdle(env *environment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if env.f.retired {
		env.process.kill()
		return
	}
	env.f.idle = append(env.f.idle, env)
	env.idleTimer = time.AfterFunc(l.idleTimeout, func() {
		if l.forget(env) {
			env.process.kill()
		}
	})
}

// forget takes an environment out of the idle ones, if it is one of them.
func (l *Lambda) forget(env *environment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(env.f.idle, env)
	if i < 0 {
		return false
	}
	env.f.idle = slices.Delete(env.f.idle, i, i+1)
	env.idleTimer.Stop()
	return true
}

// traceID makes the value of the X-Ray tracing header; nothing is sampled.
func traceID() string {
	id := uuid.New()
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", time.Now().Unix(), id[:12], id[8:])
}
