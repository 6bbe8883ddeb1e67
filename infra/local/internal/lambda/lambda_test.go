package lambda

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// program is the function of testdata, built once.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if role := os.Getenv("PENSTOCK_TEST_PARENT"); role != "" {
			return parent(role)
		}
		dir, err := os.MkdirTemp("", "lambda")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "bootstrap")
		build := exec.Command("go", "build", "-o", program, "./testdata/function")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("building testdata/function: %v\n%s", err, out))
		}
		return m.Run()
	}())
}

// logBook keeps what functions print.
type logBook struct {
	mu    sync.Mutex
	lines []string
	names map[string]bool // of the streams
}

func (b *logBook) Append(group, stream, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	if b.names == nil {
		b.names = map[string]bool{}
	}
	b.names[stream] = true
}

func (b *logBook) streams() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.names)
}

// text is all that was printed; request ids, times and numbers of REPORT are
// replaced.
func (b *logBook) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := strings.Join(b.lines, "")
	all = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}`).ReplaceAllString(all, "ID")
	all = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`).ReplaceAllString(all, "TIME")
	return regexp.MustCompile(`[\d.]+ (ms|MB)`).ReplaceAllString(all, "N $1")
}

// newLambda returns a Lambda whose Close the test need not call.
func newLambda(t testing.TB, edit func(*Config)) *Lambda {
	t.Helper()
	st, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Region: "us-east-1", Account: "000000000000", Endpoint: "http://127.0.0.1:1",
		Store: st, Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler),
	}
	if edit != nil {
		edit(&cfg)
	}
	l := New(cfg)
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), st.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// withFunction returns a Lambda with one function, named f.
func withFunction(t testing.TB, edit func(*Function)) (*Lambda, *logBook) {
	t.Helper()
	logs := &logBook{}
	l := newLambda(t, func(c *Config) { c.Logs = logs })
	f := Function{Name: "f", Program: program, Timeout: 30 * time.Second}
	if edit != nil {
		edit(&f)
	}
	if err := l.CreateFunction(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return l, logs
}

func invoke(t testing.TB, l *Lambda, event any) *Result {
	t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	result, err := l.Invoke(t.Context(), "f", payload)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

type description struct {
	Variables                 map[string]string
	Deadline                  int64
	RequestID, ARN, Directory string
	PID                       int
}

func describe(t testing.TB, l *Lambda) (d description) {
	t.Helper()
	result := invoke(t, l, request{Do: "describe"})
	if err := json.Unmarshal(result.Payload, &d); err != nil || d.PID == 0 {
		t.Fatalf("%v: %s", err, result.Payload)
	}
	return d
}

// request is the event of the function of testdata.
type request struct {
	Do, Text string
	N        int
}

func TestAFunctionRunsAsOnLambda(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PARENT", "x")
	l, _ := withFunction(t, func(f *Function) {
		f.Environment = map[string]string{"MINE": "yes"}
		f.Credentials = Credentials{"KEY", "SECRET", "TOKEN"}
		f.MemoryMB = 256
	})
	before := time.Now()
	d := describe(t, l)
	for name, want := range map[string]string{
		"MINE": "yes", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "TZ": ":UTC", "_HANDLER": "bootstrap",
		"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EXECUTION_ENV": "AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f", "AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET",
		"AWS_SESSION_TOKEN": "TOKEN", "LAMBDA_TASK_ROOT": filepath.Dir(program),
	} {
		if got := d.Variables[name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if stream := d.Variables["AWS_LAMBDA_LOG_STREAM_NAME"]; !regexp.MustCompile(`^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$`).MatchString(stream) {
		t.Errorf("log stream %q", stream)
	}
	if !strings.HasPrefix(d.Variables["_X_AMZN_TRACE_ID"], "Root=1-") {
		t.Errorf("trace id %q", d.Variables["_X_AMZN_TRACE_ID"])
	}
	for _, name := range []string{"SECRET_OF_THE_PARENT", "HOME"} {
		if _, inherited := d.Variables[name]; inherited {
			t.Errorf("%s was inherited", name)
		}
	}
	if left := time.UnixMilli(d.Deadline).Sub(before); left < 29*time.Second || left > 60*time.Second {
		t.Errorf("the deadline is %v away, the timeout is 30 s", left)
	}
	if d.ARN != "arn:aws:lambda:us-east-1:000000000000:function:f" || d.Directory != filepath.Dir(program) {
		t.Errorf("got %+v", d)
	}
	if result := invoke(t, l, request{Do: "echo", Text: "häll☺"}); result.FunctionError != "" || !strings.Contains(string(result.Payload), "häll☺") {
		t.Errorf("echo: %+v", result)
	}
}

func TestAnIdleEnvironmentIsUsedAgain(t *testing.T) {
	l, _ := withFunction(t, nil)
	first := describe(t, l).PID
	if second := describe(t, l).PID; second != first {
		t.Fatalf("process %d, then %d", first, second)
	}
	if invoke(t, l, request{Do: "error"}); describe(t, l).PID != first {
		t.Fatal("an error that the handler returned ended the process")
	}
}

func TestAProgramIsFrozenBetweenInvocations(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("programs are frozen on Linux only: elsewhere one could not see that its parent has ended")
	}
	l, _ := withFunction(t, nil)
	for range 3 {
		pid := describe(t, l).PID
		frozen := func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				t.Fatal(err)
			}
			_, state, _ := strings.Cut(string(stat), ") ")
			return strings.HasPrefix(state, "T")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		for !frozen() && pause(ctx, time.Millisecond) {
		}
		cancel()
		if !frozen() {
			t.Fatal("it runs on")
		}
	}
}

func TestConcurrentInvocationsHaveProcessesOfTheirOwn(t *testing.T) {
	l, _ := withFunction(t, nil)
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { connect(ctx, l, "connect and hang", listener) })
	}
	for range 3 { // at the same time
		connected(t, listener)
	}
	cancel()
	all.Wait()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// connect invokes f to connect to the listener.
func connect(ctx context.Context, l *Lambda, do string, listener net.Listener) {
	_, _ = l.Invoke(ctx, "f", fmt.Appendf(nil, `{"Do":%q,"Text":%q}`, do, listener.Addr()))
}

// connected waits for the connection of a function. What it returns ends when
// every process has ended that holds the connection.
func connected(t testing.TB, listener net.Listener) *bufio.Reader {
	t.Helper()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); line != "connected\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	return r
}

func ended(t testing.TB, r *bufio.Reader) {
	t.Helper()
	if b, err := r.ReadByte(); err == nil {
		t.Fatalf("got %q from a process that should have ended", b)
	}
}

func TestFailuresAreWordedAsOnLambda(t *testing.T) {
	for _, c := range []struct {
		name      string
		event     request
		edit      func(*Function)
		errorType string
		message   string
		logged    string
	}{
		{name: "an error", event: request{Do: "error", Text: "it failed"}, errorType: "errorString", message: "it failed"},
		{name: "a panic", event: request{Do: "panic", Text: "it failed"}, errorType: "string", message: "it failed"},
		{
			name: "an exit", event: request{Do: "exit", N: 3},
			errorType: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: exit status 3",
			logged: "START RequestId: ID Version: $LATEST\n" +
				"RequestId: ID Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n" +
				"END RequestId: ID\n" +
				"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\tInit Duration: N ms\tStatus: error\tError Type: Runtime.ExitError\n",
		},
		{
			name: "an exit without a reason", event: request{Do: "exit"},
			errorType: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited without providing a reason",
		},
		{
			name: "a timeout", event: request{Do: "hang"}, edit: func(f *Function) { f.Timeout = time.Second },
			errorType: "Sandbox.Timedout", message: "RequestId: ID Error: Task timed out after 1.00 seconds",
			logged: "START RequestId: ID Version: $LATEST\n" +
				"TIME ID Task timed out after 1.00 seconds\n" +
				"END RequestId: ID\n" +
				"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\tInit Duration: N ms\tStatus: timeout\n",
		},
		{
			name: "an exit in init", event: request{Do: "echo"}, edit: func(f *Function) { f.Environment = map[string]string{"INIT": "exit"} },
			errorType: "Runtime.ExitError", message: "RequestId: ID Error: Runtime exited with error: exit status 4",
			logged: "cannot start\nINIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n" +
				"cannot start\nINIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\n" +
				"START RequestId: ID Version: $LATEST\n" +
				"RequestId: ID Error: Runtime exited with error: exit status 4\nRuntime.ExitError\n" +
				"END RequestId: ID\n" +
				"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\tStatus: error\tError Type: Runtime.ExitError\n",
		},
		{
			name: "an Init that reports an error", event: request{Do: "echo"}, edit: func(f *Function) { f.Environment = map[string]string{"INIT": "report"} },
			errorType: "Config.Missing", message: "no configuration",
			logged: "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Config.Missing\n" +
				"START RequestId: ID Version: $LATEST\nEND RequestId: ID\n",
		},
		{
			name: "too large an answer", event: request{Do: "large", N: maxResponse},
			errorType: "Function.ResponseSizeTooLarge", message: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
		},
		{name: "a streamed answer that breaks off", event: request{Do: "break off"}, errorType: "errorString", message: "the source broke off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, logs := withFunction(t, c.edit)
			result := invoke(t, l, c.event)
			var got struct{ ErrorType, ErrorMessage string }
			if err := json.Unmarshal(result.Payload, &got); err != nil {
				t.Fatalf("%v: %s", err, result.Payload)
			}
			got.ErrorMessage = strings.ReplaceAll(got.ErrorMessage, result.RequestID, "ID")
			if result.FunctionError != "Unhandled" || got.ErrorType != c.errorType || got.ErrorMessage != c.message {
				t.Errorf("got %q %+v, want %s %q", result.FunctionError, got, c.errorType, c.message)
			}
			if err := l.Close(); err != nil { // all output has been read
				t.Fatal(err)
			}
			if text := logs.text(); !strings.Contains(text, c.logged) {
				t.Errorf("logged:\n%s\nwant:\n%s", text, c.logged)
			}
		})
	}
}

func TestAProgramThatEndsBetweenInitAndItsFirstInvocationFailsIt(t *testing.T) {
	l, logs := withFunction(t, nil)
	inv := &invocation{id: "ID", done: make(chan outcome, 1)}
	env, _ := l.start(t.Context(), l.functions["f"], inv)
	env.end()
	o, seen := env.run(t.Context(), inv, true)
	l.running.Go(env.closeOutput)
	if !seen || !o.failed || o.reusable || !strings.Contains(string(o.payload), "Runtime.ExitError") {
		t.Fatalf("seen %v, %+v", seen, o)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "START RequestId: ID Version: $LATEST\nRequestId: ID Error: Runtime exited with error: signal: killed\nRuntime.ExitError\nEND RequestId: ID\nREPORT"
	if got := logs.text(); !strings.HasPrefix(got, want) {
		t.Fatalf("logged:\n%s", got)
	}
}

func TestAFunctionGoesOnAfterAFailure(t *testing.T) {
	for _, failing := range []request{{Do: "panic"}, {Do: "exit", N: 1}, {Do: "hang"}, {Do: "large", N: maxResponse}} {
		l, _ := withFunction(t, func(f *Function) { f.Timeout = 2 * time.Second })
		if result := invoke(t, l, failing); result.FunctionError == "" {
			t.Fatalf("%s: %s", failing.Do, result.Payload)
		}
		if result := invoke(t, l, request{Do: "echo"}); result.FunctionError != "" {
			t.Fatalf("after %s: %s", failing.Do, result.Payload)
		}
	}
}

func TestWhatAProgramPrintsStandsBetweenStartAndEnd(t *testing.T) {
	l, logs := withFunction(t, nil)
	for range 2 {
		invoke(t, l, request{Do: "print", N: 2})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	once := "START RequestId: ID Version: $LATEST\n" +
		"line 0\nerror line 0\nline 1\nerror line 1\nnot finished\n" +
		"END RequestId: ID\n" +
		"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB"
	want := once + "\tInit Duration: N ms\n" + once + "\n"
	if got := logs.text(); got != want {
		t.Fatalf("logged:\n%s\nwant:\n%s", got, want)
	}
}

func TestALineThatIsTooLongIsSplit(t *testing.T) {
	logs := &logBook{}
	o, err := newOutput(logs, "g", "s")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = o.writer.WriteString(strings.Repeat("y", 3*maxLine) + "\nnext\n")
		o.close()
	}()
	o.read()
	longest := 0
	for _, line := range logs.lines {
		longest = max(longest, len(line))
	}
	if longest > 2*maxLine || logs.lines[len(logs.lines)-1] != "next\n" || strings.Count(strings.Join(logs.lines, ""), "y") != 3*maxLine {
		t.Fatalf("%d lines, the longest of %d bytes", len(logs.lines), longest)
	}
}

func TestAnInitThatTimesOutIsTriedAgainWithinTheFunctionsTimeout(t *testing.T) {
	l, logs := withFunction(t, func(f *Function) {
		f.Environment = map[string]string{"INIT": "hang once", "FILE": filepath.Join(t.TempDir(), "tried")}
	})
	l.initTimeout = 2 * time.Second
	if result := invoke(t, l, request{Do: "echo"}); result.FunctionError != "" {
		t.Fatalf("got %s", result.Payload)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: timeout\n" +
		"START RequestId: ID Version: $LATEST\nEND RequestId: ID\n" +
		"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\n" // without Init Duration
	if got := logs.text(); got != want {
		t.Fatalf("logged:\n%s\nwant:\n%s", got, want)
	}
	if n := logs.streams(); n != 1 {
		t.Fatalf("in %d log streams", n)
	}
}

func TestAnInitThatNeverEndsFailsTheInvocation(t *testing.T) {
	l, logs := withFunction(t, func(f *Function) {
		f.Environment = map[string]string{"INIT": "hang"}
		f.Timeout = time.Second
	})
	l.initTimeout = 100 * time.Millisecond
	if result := invoke(t, l, request{Do: "echo"}); !strings.Contains(string(result.Payload), "Task timed out after 1.00 seconds") {
		t.Fatalf("got %s", result.Payload)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: timeout\n" +
		"INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: timeout\n" +
		"START RequestId: ID Version: $LATEST\n" +
		"TIME ID Task timed out after 1.00 seconds\n" +
		"END RequestId: ID\n" +
		"REPORT RequestId: ID\tDuration: N ms\tBilled Duration: N ms\tMemory Size: N MB\tMax Memory Used: N MB\tStatus: timeout\n"
	if got := logs.text(); got != want {
		t.Fatalf("logged:\n%s\nwant:\n%s", got, want)
	}
}

func TestAProgramThatCannotBeStartedFailsTheInvocation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, []byte("not a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, _ := withFunction(t, func(f *Function) { f.Program = path })
	if result := invoke(t, l, request{}); !strings.Contains(string(result.Payload), `"errorType":"Runtime.InvalidEntrypoint"`) || !strings.Contains(string(result.Payload), "exec format error") {
		t.Fatalf("got %s", result.Payload)
	}
}

func TestPayloadsAboveTheLimitAreRefused(t *testing.T) {
	l, _ := withFunction(t, nil)
	event := func(size int) []byte {
		frame := len(`{"Do":"echo","Text":""}`)
		return []byte(`{"Do":"echo","Text":"` + strings.Repeat("x", size-frame) + `"}`)
	}
	if result, err := l.Invoke(t.Context(), "f", event(maxPayload)); err != nil || len(result.Payload) != maxPayload {
		t.Fatalf("6 MB: %v", err)
	}
	_, err := l.Invoke(t.Context(), "f", event(maxPayload+1))
	var e *awswire.Error
	if !errors.As(err, &e) || e.Code != "RequestEntityTooLargeException" || e.Status != 413 {
		t.Fatalf("above 6 MB: %v", err)
	}
}

func TestInvocationsAboveTheReservedConcurrencyAreThrottled(t *testing.T) {
	one := 1
	l, _ := withFunction(t, func(f *Function) { f.ReservedConcurrency = &one })
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() { connect(ctx, l, "connect and hang", listener) })
	r := connected(t, listener)
	_, err := l.Invoke(t.Context(), "f", []byte(`{"Do":"echo"}`))
	var e *awswire.Error
	if !errors.As(err, &e) || e.Code != "TooManyRequestsException" || e.Status != 429 || e.Fields["Reason"] != "ReservedFunctionConcurrentInvocationLimitExceeded" {
		t.Fatalf("got %v", err)
	}
	cancel()
	ended(t, r)
	first.Wait()
	if result := invoke(t, l, request{Do: "echo"}); result.FunctionError != "" {
		t.Fatalf("when it is free again: %s", result.Payload)
	}
}

func TestConcurrencyIsTheAccountsLessWhatIsReserved(t *testing.T) {
	l, _ := withFunction(t, nil)
	reserve := func(name string, n int) error {
		return l.CreateFunction(t.Context(), Function{Name: name, Program: program, ReservedConcurrency: &n})
	}
	if err := reserve("g", 899); err != nil {
		t.Fatal(err)
	}
	if err := reserve("h", 2); err == nil || !strings.Contains(err.Error(), "below its minimum value of [100]") {
		t.Fatalf("reserving 901 of 1,000: %v", err)
	}
	l.unreserved.busy = 101 // as if so many invocations of f were running
	if _, err := l.Invoke(t.Context(), "f", nil); !isThrottle(err) {
		t.Fatalf("got %v", err)
	}
	l.unreserved.busy = 0
}

func TestAFunctionBeginsTenInvocationsASecondForEachThatMayRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := 2
		l, _ := withFunction(t, func(f *Function) { f.ReservedConcurrency = &two })
		begun := func() (n int) {
			for range 1000 {
				f, err := l.begin("f")
				if err != nil {
					if e := (*awswire.Error)(nil); !errors.As(err, &e) || e.Fields["Reason"] != "ReservedFunctionInvocationRateLimitExceeded" {
						t.Fatal(err)
					}
					break
				}
				n++
				l.end(f)
			}
			return n
		}
		if n := begun(); n != 20 {
			t.Errorf("%d invocations began at first, want 20", n)
		}
		time.Sleep(time.Second)
		if n := begun(); n != 20 {
			t.Errorf("%d invocations began in the next second, want 20", n)
		}
		one := 1
		if err := l.EnsureFunction(t.Context(), Function{Name: "f", Program: program, ReservedConcurrency: &one}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := begun(); n != 10 {
			t.Errorf("%d invocations began when it reserved one, want 10", n)
		}
	})
}

func TestAFunctionHasUpToAThousandMoreEnvironmentsInTenSeconds(t *testing.T) {
	l, _ := withFunction(t, nil)
	if !l.functions["f"].load.starts.AllowN(time.Now(), 1000) { // as if it had crashed so often
		t.Fatal("a thousand at once are too many")
	}
	l.functions["f"].load.starts.SetLimit(0) // no time passes
	_, err := l.Invoke(t.Context(), "f", []byte("{}"))
	if e := (*awswire.Error)(nil); !errors.As(err, &e) || e.Fields["Reason"] != "FunctionInvocationRateLimitExceeded" {
		t.Fatalf("got %v", err)
	}
}

func TestFunctionsThatAWSWouldRefuseAreRefused(t *testing.T) {
	l, _ := withFunction(t, nil)
	for want, edit := range map[string]func(*Function){
		"already exist":       func(f *Function) { f.Name = "f" },
		`function name "a b"`: func(f *Function) { f.Name = "a b" },
		"1.5s":                func(f *Function) { f.Timeout = 1500 * time.Millisecond },
		"16m":                 func(f *Function) { f.Timeout = 16 * time.Minute },
		"64 MB":               func(f *Function) { f.MemoryMB = 64 },
		"AWS_REGION":          func(f *Function) { f.Environment = map[string]string{"AWS_REGION": "x"} },
		"4KB limit (4097 bytes": func(f *Function) {
			f.Environment = map[string]string{"XY": strings.Repeat("x", 4097-len(`{"XY":""}`))}
		},
		`"9X"`:           func(f *Function) { f.Environment = map[string]string{"9X": ""} },
		"build it first": func(f *Function) { f.Program = "/nowhere" },
	} {
		f := Function{Name: "g", Program: program}
		edit(&f)
		if err := l.CreateFunction(t.Context(), f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	largest := Function{Name: "g", Program: program, Environment: map[string]string{"XY": strings.Repeat("x", 4096-len(`{"XY":""}`))}}
	if err := l.CreateFunction(t.Context(), largest); err != nil {
		t.Errorf("4 KB of variables: %v", err)
	}
	if _, err := l.Invoke(t.Context(), "missing", nil); err == nil || !strings.Contains(err.Error(), "function:missing") {
		t.Errorf("invoking what does not exist: %v", err)
	}
}

func TestAnEnvironmentThatStaysIdleIsEnded(t *testing.T) {
	l, _ := withFunction(t, nil)
	l.idleTimeout = 50 * time.Millisecond
	listener := listen(t)
	connect(t.Context(), l, "connect", listener)
	ended(t, connected(t, listener))
	if result := invoke(t, l, request{Do: "echo"}); result.FunctionError != "" {
		t.Fatalf("the next invocation: %s", result.Payload)
	}
}

func TestCloseEndsEveryProcess(t *testing.T) {
	l, _ := withFunction(t, nil)
	listener := listen(t)
	connect(t.Context(), l, "connect", listener)
	processes := []*bufio.Reader{connected(t, listener)} // idle
	var busy sync.WaitGroup
	for range 2 { // the first takes the idle one
		busy.Go(func() { connect(context.Background(), l, "connect twice and hang", listener) })
		processes = append(processes, connected(t, listener))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		ended(t, p)
	}
	busy.Wait()
	if _, err := l.Invoke(t.Context(), "f", nil); err == nil {
		t.Fatal("an invocation after Close")
	}
}

func TestProcessesEndWhenTheirParentIsKilled(t *testing.T) {
	for _, do := range []string{"connect", "connect and hang"} {
		listener := listen(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), fmt.Sprintf("PENSTOCK_TEST_PARENT=%s|%s|%s|%s", program, do, listener.Addr(), t.TempDir()))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := connected(t, listener)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if do == "connect and hang" && runtime.GOOS != "linux" {
			t.Log("a program that hangs ends with its parent on Linux only")
			continue
		}
		ended(t, r)
	}
}

// parent is the process that TestProcessesEndWhenTheirParentIsKilled kills.
func parent(role string) int {
	parts := strings.Split(role, "|")
	st, err := store.Open(parts[3])
	if err != nil {
		return 1
	}
	l := New(Config{Store: st, Logs: &logBook{}, Logger: slog.New(slog.DiscardHandler)})
	if err := l.CreateFunction(context.Background(), Function{Name: "f", Program: parts[0], Timeout: time.Minute}); err != nil {
		return 1
	}
	_, _ = l.Invoke(context.Background(), "f", fmt.Appendf(nil, `{"Do":%q,"Text":%q}`, parts[1], parts[2]))
	select {}
}

func BenchmarkInvokeWith500KB(b *testing.B) {
	l, _ := withFunction(b, nil)
	payload := []byte(`{"Do":"answer","Text":"` + strings.Repeat("x", 500<<10) + `"}`)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if result, err := l.Invoke(b.Context(), "f", payload); err != nil || result.FunctionError != "" {
			b.Fatal(err, result)
		}
	}
}

func BenchmarkStartAndInvoke(b *testing.B) {
	l, _ := withFunction(b, nil)
	for b.Loop() {
		if _, err := l.Invoke(b.Context(), "f", []byte(`{"Do":"exit"}`)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInvokeWith1KB(b *testing.B) {
	l, _ := withFunction(b, nil)
	payload := []byte(`{"Do":"answer","Text":"` + strings.Repeat("x", 1<<10) + `"}`)
	l.unreserved.requests.SetLimit(1e9)
	b.ReportAllocs()
	for b.Loop() {
		if result, err := l.Invoke(b.Context(), "f", payload); err != nil || result.FunctionError != "" {
			b.Fatal(err, result)
		}
	}
}
