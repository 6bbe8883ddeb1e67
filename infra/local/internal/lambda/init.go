package lambda

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
)

// initTimeout is how long a program may take to ask for its first invocation
// ("Understanding the Lambda execution environment lifecycle", Init phase).
const initTimeout = 10 * time.Second

// start makes an environment that is ready for its first invocation. As on
// Lambda, an Init that fails or takes too long is tried once more: as part of
// the invocation, and within its timeout (same page, failures during the
// Invoke phase). If that fails as well, there is no environment, but the
// outcome of the invocation.
func (l *Lambda) start(ctx context.Context, f *function, inv *invocation) (*environment, outcome) {
	id := uuid.New()
	stream := time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" + hex.EncodeToString(id[:])
	output, err := newOutput(&roleLogs{l: l, f: f}, f.LogGroup, stream)
	if err != nil {
		return nil, (&fault{kind: faultSandbox, message: err.Error()}).outcome(inv.id)
	}
	l.running.Go(output.read)
	env, bad := l.initialize(ctx, f, output, "init", l.initTimeout)
	if bad != nil && ctx.Err() == nil && l.ctx.Err() == nil {
		began := time.Now()
		env, bad = l.initialize(ctx, f, output, "invoke", f.Timeout)
		env.init = 0 // it is part of the invocation
		inv.spent = time.Since(began)
	}
	if bad == nil {
		return env, outcome{}
	}
	defer output.close()
	output.sayStart(inv.id)
	return nil, env.conclude(inv, inv.spent, outcome{}, bad)
}

// initialize starts the program of an environment, and waits until it is ready
// or the limit is over. If it does not get ready, it is killed, and the log says
// why; phase is what the log calls the attempt.
func (l *Lambda) initialize(ctx context.Context, f *function, output *output, phase string, limit time.Duration) (*environment, *fault) {
	began := time.Now()
	env, bad := l.launch(f, output)
	if bad == nil {
		bad = env.awaitReady(ctx, limit)
	}
	env.init = time.Since(began)
	if bad != nil {
		output.say("INIT_REPORT Init Duration: %.2f ms\tPhase: %s%s", ms(env.init), phase, bad.status())
	}
	return env, bad
}

// awaitReady waits until the program asks for its first invocation. One that
// does not within the limit is killed.
func (e *environment) awaitReady(ctx context.Context, limit time.Duration) *fault {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-e.ready:
		return nil
	case <-e.process.done:
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.initError != nil {
			return e.initError
		}
		return exited(e.process)
	case <-timer.C:
		e.end()
		return timedOut(limit)
	case <-ctx.Done():
		e.end()
		return &fault{kind: faultSandbox, message: ctx.Err().Error()}
	}
}
