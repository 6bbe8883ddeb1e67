// Package lambda is AWS Lambda as the local environment runs it: functions for
// the runtime provided.al2023, each execution environment a process of this
// machine, and event source mappings that read queues and streams for them.
//
// The life of an invocation:
//
//  1. Invoke takes an idle execution environment of the function, or starts
//     one: the program, with Lambda's environment variables, and a Runtime API
//     of its own. One environment serves one invocation at a time.
//  2. The program's runtime asks for the next invocation, gets the payload,
//     and posts the response or the error.
//  3. A program that does not answer within the function's timeout is killed;
//     one that exits instead has failed. Otherwise its environment is idle
//     again: the program is frozen, until the next invocation or, when that
//     does not come for some minutes, its end.
//
// The life of a batch is told at [Mapping].
//
// The program is the one that would ship: nothing in it knows that it is not
// on AWS, but for the endpoint in AWS_ENDPOINT_URL.
package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// LogWriter takes what functions print. Append must not block for long.
type LogWriter interface {
	Append(group, stream, line string)
}

// Config is what Lambda needs of the rest of the environment.
type Config struct {
	Region  string
	Account string
	// Endpoint is the URL under which the services of the local environment
	// are reached; functions get it as AWS_ENDPOINT_URL.
	Endpoint string
	Store    *store.Store // where mappings, and events on their way, are remembered
	Logs     LogWriter
	Queues   Queues
	Streams  Streams
	// Roles knows what the roles of functions may do, by the access keys of
	// their Credentials; nil: everything.
	Roles awswire.Guard
	// Destinations take the records of asynchronous invocations; nil: there are
	// none, and no function may name one.
	Destinations Destinations
	Metrics      *metric.Registry // where AWS/Lambda is recorded; nil: nowhere
	Meter        *meter.Meter     // where what is billed is counted; nil: nowhere
	Logger       *slog.Logger
}

// Lambda holds the functions and event source mappings of an environment. Its
// methods may be called by many goroutines at once. The zero value is not
// usable: call [New].
type Lambda struct {
	cfg     Config
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	spawner *spawner
	running sync.WaitGroup // mappings, invocations, processes and what serves them

	// What tests replace.
	invoke      func(ctx context.Context, function string, payload []byte) (*Result, error)
	invokeAs    func(ctx context.Context, c invokeInput) (*Result, error) // those of InvokeAsync
	initTimeout time.Duration
	idleTimeout time.Duration

	mu        sync.Mutex
	functions map[string]*function
	mappings  map[string]*mapping // by UUID
	// permissions are the functions' resource policies, by the statement's id.
	permissions map[string]*policy.Policy
	eventInvoke map[string]EventInvokeConfig // by function
	metrics     map[string]*functionMetrics  // of functions
	allMetrics  *functionMetrics
	reserved    int   // the sum of reserved concurrencies
	busy        int   // running invocations
	unreserved  *load // of the functions that reserve none

	trimming sync.Mutex // one trim at a time
}

// New returns a Lambda without functions.
func New(cfg Config) *Lambda {
	l := &Lambda{
		cfg:         cfg,
		spawner:     newSpawner(),
		initTimeout: initTimeout,
		idleTimeout: idleTimeout,
		functions:   map[string]*function{},
		mappings:    map[string]*mapping{},
		permissions: map[string]*policy.Policy{},
		eventInvoke: map[string]EventInvokeConfig{},
		metrics:     map[string]*functionMetrics{},
		allMetrics:  newFunctionMetrics(cfg.Metrics),
	}
	l.unreserved = newLoad(accountConcurrency)
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.invoke, l.invokeAs = l.Invoke, l.run
	return l
}

// Close stops the mappings, kills every process, and returns when all of them
// have ended. A batch that is under way is not acknowledged: its messages come
// back when their visibility timeout ends.
func (l *Lambda) Close() error {
	l.mu.Lock()
	l.stop()
	l.mu.Unlock()
	l.running.Wait()
	l.spawner.close()
	return nil
}

// Limits of functions, with AWS's defaults for what is left out
// ("CreateFunction"; "Lambda quotas").
const (
	defaultTimeout  = 3 * time.Second
	maxTimeout      = 15 * time.Minute
	defaultMemoryMB = 128
	maxMemoryMB     = 10_240
	maxEnvironment  = 4 << 10 // bytes of all variables, as a JSON object

	// accountConcurrency is how many invocations may run at once; so many of
	// them cannot be reserved for single functions ("Configuring reserved
	// concurrency for a function").
	accountConcurrency = 1_000
	unreservable       = 100

	// So many more environments a function may have within 10 seconds ("Lambda
	// scaling behavior"), and so many invocations may begin in a second for
	// each that may run at once ("Understanding Lambda function scaling").
	startsIn10Seconds = 1_000
	requestsASecond   = 10
)

// Credentials are what a program signs its calls with: those of its role.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

// Function is a function as a template describes it.
type Function struct {
	Name        string // 1 to 64 of the characters a-z A-Z 0-9 - _
	Description string
	Program     string            // the path of the executable
	TaskRoot    string            // the folder that it runs in, with its files; empty: its own
	Handler     string            // empty: "bootstrap"
	Environment map[string]string // up to 4 KB; what Lambda itself sets is refused
	Timeout     time.Duration     // whole seconds, 1 to 900; 0: 3 s
	MemoryMB    int               // 128 to 10,240; 0: 128. Told to the program, not enforced
	// ReservedConcurrency is how many invocations may run at once, set aside
	// for this function from the account's 1,000. Nil: none set aside. 0: the
	// function is never invoked.
	ReservedConcurrency *int
	LogGroup            string // empty: "/aws/lambda/" and the name
	RoleARN             string
	Credentials         Credentials
	Tags                map[string]string
}

// function is a version of a function and its execution environments. Lambda's
// mu guards what changes.
type function struct {
	Function
	arn      string
	modified time.Time
	code     func() (code, error)

	load    *load          // that of earlier versions included
	idle    []*environment // the latest used last
	retired bool           // another version has taken its place, or none
}

var (
	functionName = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	variableName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`) // "Environment"
)

// reservedVariables cannot be set by a function's configuration ("Working with
// Lambda environment variables", reserved environment variables).
var reservedVariables = []string{
	"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
	"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
	"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
}

// CreateFunction adds a function. Its errors are those of AWS's operation.
func (l *Lambda) CreateFunction(_ context.Context, f Function) error {
	if err := f.complete(); err != nil {
		return err
	}
	return l.put(f, false)
}

// complete fills in what is left out, and checks the function.
func (f *Function) complete() error {
	if f.Timeout == 0 {
		f.Timeout = defaultTimeout
	}
	if f.MemoryMB == 0 {
		f.MemoryMB = defaultMemoryMB
	}
	if f.Handler == "" {
		f.Handler = "bootstrap"
	}
	if f.LogGroup == "" {
		f.LogGroup = "/aws/lambda/" + f.Name
	}
	if err := f.check(); err != nil {
		return err
	}
	program, err := filepath.Abs(f.Program)
	if err != nil {
		return fmt.Errorf("lambda: function %q: %w", f.Name, err)
	}
	f.Program = program
	if f.TaskRoot, err = filepath.Abs(cmp.Or(f.TaskRoot, filepath.Dir(program))); err != nil {
		return fmt.Errorf("lambda: function %q: %w", f.Name, err)
	}
	f.Environment = maps.Clone(f.Environment)
	return nil
}

func (f *Function) check() error {
	if !functionName.MatchString(f.Name) {
		return invalid("function name %q: 1 to 64 of the characters a-z A-Z 0-9 - _", f.Name)
	}
	if f.Timeout < time.Second || f.Timeout > maxTimeout || f.Timeout%time.Second != 0 {
		return invalid("function %q: a timeout of %v: whole seconds from 1 s to %v", f.Name, f.Timeout, maxTimeout)
	}
	if f.MemoryMB < defaultMemoryMB || f.MemoryMB > maxMemoryMB {
		return invalid("function %q: %d MB of memory: %d to %d", f.Name, f.MemoryMB, defaultMemoryMB, maxMemoryMB)
	}
	if err := f.checkEnvironment(); err != nil {
		return err
	}
	if info, err := os.Stat(f.Program); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("lambda: function %q: its program %s is not a file: build it first", f.Name, f.Program)
	}
	return nil
}

// checkEnvironment checks the variables. Its errors name them, but tell no
// value.
func (f *Function) checkEnvironment() error {
	const unable = "function %q: Lambda was unable to configure your environment variables because the environment variables you have provided "
	for _, name := range slices.Sorted(maps.Keys(f.Environment)) {
		switch {
		case slices.Contains(reservedVariables, name):
			return invalid(unable+"contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s", f.Name, name)
		case !variableName.MatchString(name):
			return invalid("function %q: environment variable %q: want a letter, then letters, digits and _", f.Name, name)
		case strings.Contains(f.Environment[name], "\x00"):
			return invalid("function %q: environment variable %q cannot be passed to a program: it has a zero byte", f.Name, name)
		}
	}
	if len(f.Environment) == 0 {
		return nil
	}
	text, err := json.Marshal(f.Environment)
	if err != nil {
		return invalid("function %q: its environment variables: %v", f.Name, err)
	}
	if len(text) > maxEnvironment {
		return invalid(unable+"exceeded the 4KB limit (%d bytes as JSON)", f.Name, len(text))
	}
	return nil
}

func (l *Lambda) functionARN(name string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", l.cfg.Region, l.cfg.Account, name)
}

func invalid(format string, args ...any) *awswire.Error {
	return awswire.Errorf("InvalidParameterValueException", format, args...)
}

// notFound is the error for a function or mapping that does not exist; what
// names it as AWS does.
func notFound(format string, args ...any) *awswire.Error {
	return &awswire.Error{Code: "ResourceNotFoundException", Status: 404, Message: fmt.Sprintf(format, args...)}
}
