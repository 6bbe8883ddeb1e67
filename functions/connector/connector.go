// Package connector is for the program that stands between some source of
// messages (a broker, a webhook, a ticker) and an environment's functions: it
// invokes every function that has declared a topic which matches the message's.
//
//	c, err := connector.New(lambda.NewFromConfig(cfg), connector.Config{
//		Source: connector.NewTags(resourcegroupstaggingapi.NewFromConfig(cfg), "penstock-prod"),
//		Match:  connector.Wildcard,
//	})
//	err = c.Start(ctx)
//	defer c.Close(ctx)
//	responses, err := c.Invoke(ctx, "payment.made", message, header)
//
// What becomes of a message:
//
//  1. Invoke finds the functions whose topics match, in the map that Start has
//     read and that is read again at an interval. None: the error is ErrNoMatch.
//  2. Each is called with the message as an HTTP request (package call), all at
//     once within Config.Concurrency; a function that matches by two topics is
//     called once.
//  3. A call that fails is made again, by Config.Retry. It has failed if Lambda
//     or the function returned an error, or the function a status other than
//     200 to 299.
//  4. A call that has failed for good goes to Config.DLQ, with the message and why.
//  5. What came of each attempt reaches every subscriber; Invoke returns what came
//     of the last one of each function. Its error says that the message must not
//     be forgotten: a function has failed it and no DLQ has it.
//
// With Config.Async step 2 ends when Lambda has accepted the call. Then Lambda
// makes it, repeats it as the function's manifest says, and the result is sent to
// the callback URL, which no process has to wait for.
//
// A message is delivered at least once: the connection may break after a function
// has been reached. A function can tell repeats by the request's id, which all
// attempts of one call share.
//
// The program needs the permissions tag:GetResources, on all resources, and
// lambda:InvokeFunction on the functions, and sqs:SendMessage for a DLQ in SQS.
package connector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Lambda is what a connector needs of Lambda: a *lambda.Client, or a stand-in of
// a test.
type Lambda interface {
	Invoke(context.Context, *lambda.InvokeInput, ...func(*lambda.Options)) (*lambda.InvokeOutput, error)
}

// Config is how a connector works. Source is required; the zero value of every
// other field is its default.
type Config struct {
	// Source tells which functions there are, and their topics.
	Source Source

	// Namespace leaves out the functions of other namespaces, and those of none.
	// Empty: all functions.
	Namespace string

	// Match decides whether a function is invoked for a topic: Equal (the
	// default), EqualFold, Wildcard, or any other.
	Match Matcher

	// RebuildInterval is how often the map of topics is read anew: 1 s to 24 h;
	// default 30 s. Tags that have changed take some time of their own to show.
	RebuildInterval time.Duration

	// Concurrency is how many calls are under way at once: 1 to 10,000; default
	// 100. A call that waits to be made again is none of them. An account of AWS
	// begins with a concurrency of up to 1,000 for all its functions together
	// ("Lambda quotas").
	Concurrency int

	// Timeout is how long one attempt may take, 15 minutes at most, which is the
	// longest a function runs ("Lambda quotas"); default 1 minute. The function
	// is not stopped by it.
	Timeout time.Duration

	// OmitTopic leaves out the header X-Topic, which tells the function what the
	// message is about.
	OmitTopic bool

	// ContentType is the message's Content-Type where its own headers have none.
	// Empty: it is not sent.
	ContentType string

	// UserAgent is the User-Agent of a message that has none of its own; default
	// "penstock-connector".
	UserAgent string

	// Header is sent with every message that has no values of its own for it.
	Header http.Header

	// Async has Lambda accept calls and make them later, in which case a message
	// measures up to 1 MB as encoded, and otherwise 6 MB.
	Async bool

	// CallbackURL is where the result of an asynchronous call is sent; it takes
	// Async, and its host must be one of the environment's callbackHosts. Empty:
	// nobody is told.
	CallbackURL string

	// Retry says when a call that failed is made again.
	Retry Retry

	// DLQ is given what has failed for good. Nil: Invoke returns an error for it.
	DLQ DLQ

	// Backlog is how many responses may wait for one subscriber: 1 to 1,000,000;
	// default 1,000. What does not fit is dropped, and counted.
	Backlog int

	// Logger is told of rebuilds that failed and responses that were dropped;
	// default slog.Default().
	Logger *slog.Logger
}

// withDefaults returns the configuration with its defaults, or everything that
// is wrong with it, joined.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("connector: "+format, args...)) }
	if c.Source == nil {
		fault("Config.Source is missing: it tells which functions there are; see NewTags")
	}
	if c.Match == nil {
		c.Match = Equal
	}
	within(&faults, "RebuildInterval", &c.RebuildInterval, 30*time.Second, time.Second, 24*time.Hour)
	within(&faults, "Concurrency", &c.Concurrency, 100, 1, 10_000)
	within(&faults, "Timeout", &c.Timeout, time.Minute, time.Millisecond, 15*time.Minute)
	within(&faults, "Backlog", &c.Backlog, 1000, 1, 1_000_000)
	if c.UserAgent == "" {
		c.UserAgent = "penstock-connector"
	}
	c.Header = c.Header.Clone()
	faults = append(faults, c.Retry.setDefaults()...)
	if err := c.Retry.checkAsync(c.Async); err != nil {
		faults = append(faults, err)
	}
	if err := checkCallback(c.Async, c.CallbackURL); err != nil {
		faults = append(faults, err)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, errors.Join(faults...)
}

// within puts a default in place of zero, and checks the range.
func within[T int | time.Duration](faults *[]error, field string, value *T, standard, least, most T) {
	switch {
	case *value == 0:
		*value = standard
	case *value < least || *value > most:
		*faults = append(*faults, fmt.Errorf("connector: Config.%s is %v: want %v to %v, or 0 for %v", field, *value, least, most, standard))
	}
}

func checkCallback(async bool, callback string) error {
	if callback == "" {
		return nil
	}
	if !async {
		return fmt.Errorf("connector: the callback URL %q takes an asynchronous call: Invoke returns what a synchronous one came to", callback)
	}
	u, err := url.Parse(callback)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return fmt.Errorf("connector: the callback URL %q is not that of a host, https://…", callback)
	}
	return nil
}

// Connector invokes functions. It is safe for concurrent use.
type Connector struct {
	client Lambda
	cfg    Config
	slots  chan struct{} // one is taken by each call under way

	ctx    context.Context // ends when Close waits no longer
	cancel context.CancelCauseFunc
	open   context.Context // ends when Close is called
	close  context.CancelFunc

	mu    sync.Mutex
	state state
	calls sync.WaitGroup // of Invoke and InvokeFunction, and the rebuilding

	rebuilding sync.Mutex // one at a time
	functions  atomic.Pointer[functionMap]
	lastFault  atomic.Pointer[error] // of a rebuild since functions is what it is

	subscribers
}

type state int

const (
	created state = iota
	running
	closed
)

// Errors of Invoke and InvokeFunction, to be found by errors.Is.
var (
	ErrNoMatch    = errors.New("no function matches")           // nobody has declared such a topic
	ErrNotStarted = errors.New("connector: call Start first")   // there is no map of topics yet
	ErrClosed     = errors.New("connector: it has been closed") // what was not done by then is not done
)

// New returns a connector that calls functions through client, and does nothing
// before Start. The error is everything that is wrong with the configuration.
func New(client Lambda, cfg Config) (*Connector, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Connector{client: client, cfg: cfg, slots: make(chan struct{}, cfg.Concurrency)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.open, c.close = context.WithCancel(c.ctx)
	c.subscribers.backlog, c.subscribers.logger = cfg.Backlog, cfg.Logger
	return c, nil
}

// Start reads the map of topics, and from then on reads it anew at
// Config.RebuildInterval, until Close. If it cannot be read, Start fails, and may
// be called again. ctx is for the first reading only.
func (c *Connector) Start(ctx context.Context) error {
	c.mu.Lock()
	state := c.state
	c.mu.Unlock()
	switch state {
	case running:
		return errors.New("connector: Start was called before")
	case closed:
		return ErrClosed
	}
	if err := c.Rebuild(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != created {
		return errors.New("connector: Start or Close was called meanwhile")
	}
	c.state = running
	c.calls.Go(c.rebuildAtIntervals)
	return nil
}

// begin counts a call of Invoke, which Close then waits for until end is called.
// The context that it returns also ends when Close waits no longer.
func (c *Connector) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case created:
		return nil, nil, ErrNotStarted
	case closed:
		return nil, nil, ErrClosed
	}
	c.calls.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		c.calls.Done()
	}, nil
}

// Close takes no more messages, waits until those that were taken are done, with
// their retries, and then until every subscriber has its responses. If ctx ends
// first, what is left is cancelled, Invoke returns ErrClosed for it, and so does
// Close. A second Close does nothing.
func (c *Connector) Close(ctx context.Context) error {
	c.mu.Lock()
	if c.state == closed {
		c.mu.Unlock()
		return nil
	}
	c.state = closed
	c.close()
	c.mu.Unlock()

	done := make(chan struct{})
	go func() {
		c.calls.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("connector: calls were still under way: %w", context.Cause(ctx))
	}
	c.cancel(ErrClosed) // frees c.ctx, and ends what is left
	<-done
	return errors.Join(err, c.subscribers.drain(ctx))
}
