package localcrash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/names"
)

// load is the clients and what they know.
type load struct {
	aws      aws.Config
	dynamodb *dynamodb.Client
	events   *eventbridge.Client
	lambda   *lambda.Client
	secrets  *secretsmanager.Client
	sqs      *sqs.Client

	names    names.Names
	seed     uint64
	report   *Report
	progress io.Writer
	within   time.Duration // how long everything may take to arrive in the end

	things  []*things // of which there is one client each
	bus     *eventLoad
	queue   *messageLoad
	clients sync.WaitGroup
	stop    context.CancelFunc
	done    atomic.Int64 // what the clients got done

	mu sync.Mutex
	up chan struct{} // closed while the environment is ready
}

// requestTimeout is longer than any answer takes, so that a request which gets
// none has been cut off by a kill.
const requestTimeout = time.Minute

func newLoad(cfg aws.Config, n names.Names, seed uint64, report *Report, progress io.Writer) *load {
	// Whether something happened must be known: no request is made twice.
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: requestTimeout}
	l := &load{
		aws: cfg, dynamodb: dynamodb.NewFromConfig(cfg), events: eventbridge.NewFromConfig(cfg), lambda: lambda.NewFromConfig(cfg),
		secrets: secretsmanager.NewFromConfig(cfg), sqs: sqs.NewFromConfig(cfg),
		names: n, seed: seed, report: report, progress: progress, within: runsOutWithin, up: make(chan struct{}),
	}
	close(l.up)
	return l
}

// begin makes what the load needs, and starts the clients.
func (l *load) begin(ctx context.Context) error {
	ctx, l.stop = context.WithCancel(ctx)
	l.things = l.allThings()
	l.bus, l.queue = newEventLoad(l), newMessageLoad(l)
	if err := l.bus.prepare(ctx); err != nil {
		return err
	}
	for i, t := range l.things {
		random := rand.New(rand.NewPCG(l.seed, uint64(i)+1))
		l.clients.Go(func() { l.repeat(ctx, func() error { return t.step(ctx, random) }) })
	}
	for i, step := range append(l.bus.steps(), l.queue.steps()...) {
		random := rand.New(rand.NewPCG(l.seed, uint64(i)+100))
		l.clients.Go(func() { l.repeat(ctx, func() error { return step(ctx, random) }) })
	}
	return nil
}

// end stops the clients.
func (l *load) end() {
	l.stop()
	l.clients.Wait()
}

// repeat repeats a client's step. One that fails because the environment is
// gone goes on when it is back; what is refused is a finding.
func (l *load) repeat(ctx context.Context, step func() error) {
	for ctx.Err() == nil {
		select {
		case <-l.ready():
		case <-ctx.Done():
			return
		}
		err := step()
		switch {
		case err == nil:
			l.done.Add(1)
			rest(ctx, time.Millisecond)
		case ctx.Err() != nil:
			return
		case refused(err):
			l.report.refused(err)
			rest(ctx, 100*time.Millisecond)
		default: // cut off
			rest(ctx, 10*time.Millisecond)
		}
	}
}

// refused reports whether an error is an answer, and not a lost connection.
func refused(err error) bool {
	_, ok := errors.AsType[smithy.APIError](err)
	return ok
}

// code is that of an answer that is an error; empty: it is none.
func code(err error) string {
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		return answer.ErrorCode()
	}
	return ""
}

func (l *load) ready() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// pause holds the clients back until resume.
func (l *load) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = make(chan struct{})
}

func (l *load) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.up)
}

// patience is how long the clients may get nothing done at all.
const patience = time.Minute

// advance waits until the clients have got something done, and a moment more.
func (l *load) advance(ctx context.Context, moment time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for before := l.done.Load(); l.done.Load() < before+20; {
		if !rest(ctx, 5*time.Millisecond) {
			return fmt.Errorf("the clients got nothing done in %s: %w", patience, ctx.Err())
		}
	}
	rest(ctx, moment)
	return ctx.Err()
}

// runOut ends the load, lets what is under way run out, and looks for
// everything that was acknowledged.
func (l *load) runOut(ctx context.Context) error {
	l.end()
	for _, t := range l.things {
		if err := t.verify(ctx); err != nil {
			return fmt.Errorf("looking for each of the %s: %w", t.kind, err)
		}
	}
	return errors.Join(l.bus.runOut(ctx), l.queue.runOut(ctx))
}

// attempts is how often what is asked at the end is asked again when the
// connection fails, which no kill explains any more: a machine that is busy
// enough closes one now and then.
const attempts = 10

// insist repeats what fails without an answer.
func insist(ctx context.Context, ask func() error) error {
	for n := 1; ; n++ {
		err := ask()
		if err == nil || refused(err) || n == attempts || ctx.Err() != nil {
			return err
		}
		rest(ctx, 100*time.Millisecond)
	}
}

// rest waits, and reports whether ctx is still alive.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
