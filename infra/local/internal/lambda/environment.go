package lambda

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// environment is an execution environment: a process of the function's
// program, and the Runtime API that it talks to.
type environment struct {
	f       *function
	process *process
	server  *http.Server
	output  *output
	init    time.Duration // how long init took, until it was reported

	ready     chan struct{}    // closed when the program first asks for an invocation
	work      chan *invocation // taken by the program's request for the next one
	readyOnce sync.Once

	serving sync.Mutex // held while an invocation is under way

	mu        sync.Mutex
	current   *invocation // handed over and not yet answered
	initError []byte      // what the program posted to init/error

	idleTimer *time.Timer // guarded by Lambda's mu
}

// invocation is one event on its way through an environment.
type invocation struct {
	id       string
	payload  []byte
	trace    string
	deadline time.Time
	done     chan outcome // takes the program's answer; of size 1
	wantTail bool         // the end of its log is asked for
}

// outcome is how an invocation ended.
type outcome struct {
	payload  []byte
	failed   bool
	timedOut bool
	reusable bool // the environment can serve another invocation
	tail     []byte
}

// start starts an environment and waits until it is ready. Without one it
// returns the outcome of the invocation that it was started for.
func (l *Lambda) start(ctx context.Context, f *function, requestID string, limit time.Duration) (*environment, outcome) {
	env, err := l.launch(f)
	if err != nil {
		return nil, failure("Runtime.InvalidEntrypoint", requestID, err.Error())
	}
	began := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-env.ready:
		env.init = time.Since(began)
		return env, outcome{}
	case <-env.process.done:
		env.mu.Lock()
		defer env.mu.Unlock()
		if env.initError != nil {
			return nil, outcome{payload: env.initError, failed: true}
		}
		return nil, failure("Runtime.ExitError", requestID, env.process.reason())
	case <-timer.C:
		env.output.say("INIT_REPORT Init Duration: %.2f ms\tPhase: init\tStatus: timeout", ms(limit))
		env.end()
		out := failure("Sandbox.Timedout", requestID, timedOut(limit))
		out.timedOut = true
		return nil, out
	case <-ctx.Done():
		env.end()
		return nil, failure("Sandbox.Failure", requestID, ctx.Err().Error())
	}
}

// failure is the outcome of an invocation that the program did not answer, as
// Lambda words it.
func failure(errorType, requestID, message string) outcome {
	payload, err := json.Marshal(struct {
		ErrorType    string `json:"errorType"`
		ErrorMessage string `json:"errorMessage"`
	}{errorType, fmt.Sprintf("RequestId: %s Error: %s", requestID, message)})
	if err != nil {
		payload = []byte(`{"errorType":"` + errorType + `"}`) // text that is not UTF-8
	}
	return outcome{payload: payload, failed: true}
}

func timedOut(after time.Duration) string {
	return fmt.Sprintf("Task timed out after %.2f seconds", after.Seconds())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// launch starts the program and its Runtime API.
func (l *Lambda) launch(f *function) (*environment, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	env := &environment{f: f, ready: make(chan struct{}), work: make(chan *invocation)}
	id := uuid.New()
	stream := time.Now().UTC().Format("2006/01/02") + "/[$LATEST]" + hex.EncodeToString(id[:])
	if env.output, err = newOutput(l.cfg.Logs, f.LogGroup, stream); err != nil {
		_ = listener.Close()
		return nil, err
	}
	l.running.Go(env.output.read)
	variables := l.variables(f, listener.Addr().String(), stream)
	if env.process, err = l.spawner.start(l.ctx, f.Program, variables, env.output.writer); err != nil {
		_ = listener.Close()
		env.output.close()
		return nil, err
	}
	env.server = &http.Server{Handler: env.runtimeAPI()}
	l.running.Go(func() { _ = env.server.Serve(listener) })
	l.running.Go(func() {
		env.process.wait()
		l.forget(env)
		_ = env.server.Close()
		env.serving.Lock() // what is to be said of the end has been said
		defer env.serving.Unlock()
		env.output.close()
	})
	return env, nil
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
		"LAMBDA_TASK_ROOT=" + filepath.Dir(f.Program),
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
// if the program had ended before it could get it.
func (e *environment) run(ctx context.Context, inv *invocation) (o outcome, seen bool) {
	e.serving.Lock()
	defer e.serving.Unlock()
	began := time.Now()
	inv.deadline = began.Add(e.f.Timeout)
	timer := time.NewTimer(e.f.Timeout)
	defer timer.Stop()
	select {
	case e.work <- inv:
	case <-e.process.done:
		return outcome{}, false
	case <-timer.C: // it did not come back for more
		e.end()
		return outcome{}, false
	case <-ctx.Done():
		e.end()
		return failure("Sandbox.Failure", inv.id, ctx.Err().Error()), true
	}
	status := ""
	select {
	case o = <-inv.done:
		o.reusable = true
	case <-e.process.done:
		select {
		case o = <-inv.done: // it answered, and then it ended
		default:
			o = failure("Runtime.ExitError", inv.id, e.process.reason())
			status = "\tStatus: error\tError Type: Runtime.ExitError"
			e.output.say("RequestId: %s Error: %s", inv.id, e.process.reason())
			e.output.say("Runtime.ExitError")
		}
	case <-timer.C:
		e.end()
		o = failure("Sandbox.Timedout", inv.id, timedOut(e.f.Timeout))
		status = "\tStatus: timeout"
		e.output.say("%s %s %s", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), inv.id, timedOut(e.f.Timeout))
	case <-ctx.Done():
		e.end()
		o = failure("Sandbox.Failure", inv.id, ctx.Err().Error())
		status = "\tStatus: error\tError Type: Sandbox.Failure"
	}
	e.output.say("END RequestId: %s", inv.id)
	last := e.report(inv, time.Since(began)) + status
	if inv.wantTail {
		o.tail = e.output.sayLast(inv.id, last)
	} else {
		e.output.say("%s", last)
	}
	return o, true
}

// report is the line that Lambda writes at the end of an invocation.
func (e *environment) report(inv *invocation, took time.Duration) string {
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: %d MB",
		inv.id, ms(took), math.Ceil(ms(took+e.init)), e.f.MemoryMB)
	if peak := e.process.peakMemoryMB(); peak > 0 {
		line += fmt.Sprintf("\tMax Memory Used: %d MB", peak)
	}
	if e.init > 0 {
		line += fmt.Sprintf("\tInit Duration: %.2f ms", ms(e.init))
		e.init = 0 // of the first invocation only
	}
	return line
}

// end kills the process and waits for its end.
func (e *environment) end() {
	e.process.kill()
	<-e.process.done
}
