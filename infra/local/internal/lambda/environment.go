package lambda

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// environment is an execution environment: a process of the function's
// program, and the Runtime API that it talks to.
type environment struct {
	f       *function
	process *process
	server  *http.Server
	output  *output
	init    time.Duration // how long Init took, until it was reported

	ready     chan struct{}    // closed when the program first asks for an invocation
	work      chan *invocation // taken by the program's request for the next one
	readyOnce sync.Once

	serving sync.Mutex // held while an invocation is under way

	mu        sync.Mutex
	current   *invocation // handed over and not yet answered
	initError *fault      // what the program posted to init/error

	idleTimer *time.Timer // guarded by Lambda's mu
}

// invocation is one event on its way through an environment.
type invocation struct {
	id       string
	payload  []byte
	trace    string
	spent    time.Duration // of the timeout, before an environment was ready
	deadline time.Time
	done     chan outcome // takes the program's answer; of size 1
	wantTail bool         // the end of its log is asked for
}

// outcome is how an invocation ended.
type outcome struct {
	took     time.Duration
	billed   billed
	payload  []byte
	failed   bool
	reusable bool // the environment can serve another invocation
	tail     []byte
}

// launch starts the program and its Runtime API. With a fault there is neither,
// but an environment all the same, which the log can speak of.
func (l *Lambda) launch(f *function, output *output) (*environment, *fault) {
	env := &environment{f: f, output: output, ready: make(chan struct{}), work: make(chan *invocation)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return env, &fault{kind: faultSandbox, message: err.Error()}
	}
	variables := l.variables(f, listener.Addr().String(), output.stream)
	if env.process, err = l.spawner.start(l.ctx, f.Program, f.TaskRoot, variables, output.writer); err != nil {
		_ = listener.Close()
		return env, &fault{kind: faultEntrypoint, message: err.Error()}
	}
	env.server = &http.Server{Handler: env.runtimeAPI()}
	l.running.Go(func() { _ = env.server.Serve(listener) })
	l.running.Go(func() {
		env.process.wait()
		l.forget(env)
		_ = env.server.Close()
	})
	return env, nil
}

// closeOutput waits for the environment's end, and closes its output when what
// is to be said of that has been said.
func (e *environment) closeOutput() {
	<-e.process.done
	e.serving.Lock()
	defer e.serving.Unlock()
	e.output.close()
}

// variables are the environment variables of a program: Lambda's own ("Working
// with Lambda environment variables"), the function's, where to reach the
// services, and of this process's no more than finding programs and temporary
// files takes.
func (l *Lambda) variables(f *function, runtimeAPI, stream string) []string {
	vars := []string{
		"PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(),
		"LANG=en_US.UTF-8",
		"TZ=:UTC",
		"LAMBDA_TASK_ROOT=" + f.TaskRoot,
		"AWS_ENDPOINT_URL=" + l.cfg.Endpoint,
	}
	for name, value := range f.Environment {
		vars = append(vars, name+"="+value)
	}
	return append(vars,
		"_HANDLER="+f.Handler,
		"AWS_REGION="+l.cfg.Region,
		"AWS_DEFAULT_REGION="+l.cfg.Region,
		"AWS_EXECUTION_ENV=AWS_Lambda_"+runtimeName,
		"AWS_LAMBDA_FUNCTION_NAME="+f.Name,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+strconv.Itoa(f.MemoryMB),
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME="+f.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME="+stream,
		"AWS_LAMBDA_RUNTIME_API="+runtimeAPI,
		"AWS_ACCESS_KEY_ID="+f.Credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+f.Credentials.SecretAccessKey,
		"AWS_SESSION_TOKEN="+f.Credentials.SessionToken,
	)
}

// runtimeName is the one runtime there is.
const runtimeName = "provided.al2023"

// run hands an invocation to the program and waits for its end. seen is false
// if the program had ended before it could get it, unless the environment was
// made for this invocation: then that is a failure as well.
func (e *environment) run(ctx context.Context, inv *invocation, first bool) (o outcome, seen bool) {
	e.serving.Lock()
	defer e.serving.Unlock()
	began := time.Now().Add(-inv.spent)
	inv.deadline = began.Add(e.f.Timeout)
	timer := time.NewTimer(time.Until(inv.deadline))
	defer timer.Stop()
	bad := e.handOver(ctx, inv, timer.C)
	switch {
	case bad == nil:
		o, bad = e.answer(ctx, inv, timer.C)
	case first || ctx.Err() != nil:
		e.output.sayStart(inv.id)
	default:
		return outcome{}, false
	}
	return e.conclude(inv, time.Since(began), o, bad), true
}

// handOver waits until the program has taken the invocation. With a fault it
// has not, and has ended.
func (e *environment) handOver(ctx context.Context, inv *invocation, late <-chan time.Time) *fault {
	select {
	case e.work <- inv:
		return nil
	case <-e.process.done:
		return exited(e.process)
	case <-late: // it did not come back for more
		e.end()
		return timedOut(e.f.Timeout)
	case <-ctx.Done():
		e.end()
		return &fault{kind: faultSandbox, message: ctx.Err().Error()}
	}
}

// answer waits for the program's answer to the invocation that it has taken.
// With a fault there is none, and the program has ended.
func (e *environment) answer(ctx context.Context, inv *invocation, late <-chan time.Time) (o outcome, bad *fault) {
	select {
	case o = <-inv.done:
		o.reusable = true
		return o, nil
	case <-e.process.done:
		select {
		case o = <-inv.done: // it answered, and then it ended
			return o, nil
		default:
			return o, exited(e.process)
		}
	case <-late:
		e.end()
		return o, timedOut(e.f.Timeout)
	case <-ctx.Done():
		e.end()
		return o, &fault{kind: faultSandbox, message: ctx.Err().Error()}
	}
}

// conclude writes the end of an invocation into the log, and returns its
// outcome: o, or what the fault makes of it.
func (e *environment) conclude(inv *invocation, took time.Duration, o outcome, bad *fault) outcome {
	if bad != nil {
		o = bad.outcome(inv.id)
		for _, line := range bad.lines(inv.id) {
			e.output.say("%s", line)
		}
	}
	o.took = took
	o.billed = billed{memoryMB: e.f.MemoryMB, ms: math.Ceil(ms(took)), initMs: math.Ceil(ms(took+e.init)) - math.Ceil(ms(took))}
	e.output.say("END RequestId: %s", inv.id)
	report := e.report(inv, took, o.billed) + bad.status()
	if inv.wantTail {
		o.tail = e.output.sayLast(inv.id, report)
	} else {
		e.output.say("%s", report)
	}
	return o
}

// report is the line that Lambda writes at the end of an invocation. Since
// August 2025 Init is billed with the invocation that it was for ("AWS Lambda
// standardizes billing for INIT Phase").
func (e *environment) report(inv *invocation, took time.Duration, billed billed) string {
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB",
		inv.id, ms(took), billed.ms+billed.initMs, billed.memoryMB)
	if peak := e.process.peakMemoryMB(); peak > 0 {
		line += fmt.Sprintf("\tMax Memory Used: %d MB", peak)
	}
	if e.init > 0 {
		line += fmt.Sprintf("\tInit Duration: %.2f ms", ms(e.init))
		e.init = 0 // of the first invocation only
	}
	return line
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// end kills the process and waits for its end.
func (e *environment) end() {
	e.process.kill()
	<-e.process.done
}
