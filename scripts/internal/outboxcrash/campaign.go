// Package outboxcrash proves the transactional outbox by force: it kills the
// writer and the relays of a real one at random moments, and the database too,
// while the bus throttles, fails and loses answers. Then it compares what has
// committed with what the bus received.
//
// The life of a campaign:
//
//  1. The bus, an HTTP server that speaks PutEvents, starts in this process,
//     then the database, then the parts, as processes of their own: a writer,
//     whose transactions commit, fail and panic at random, and the relays.
//  2. It picks a target, waits until that has got something done, and a random
//     moment more, kills it by SIGKILL, and starts it again; Kills times.
//  3. The writer ends and the faults do. The relays go on until the outbox is
//     empty.
//  4. Each committed transaction has a row that names its events. Every one of
//     them must have been accepted by the bus, or been set aside; and the bus
//     must have been sent no other.
//
// The seed decides what is drawn, but the moments are the machine's: two runs of
// a seed are alike, not the same.
package outboxcrash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/events/outbox"
)

// The backends.
const (
	Postgres = "postgres" // outboxpgx and outboxsql
	SQLite   = "sqlite"   // outboxsql
	DynamoDB = "dynamo"   // outboxdynamo and the function outbox-relay, in a local environment
)

// Backends are all of them.
var Backends = []string{Postgres, SQLite, DynamoDB}

// Campaign is a campaign that has not run yet.
type Campaign struct {
	Backend string
	Kills   int
	Seed    uint64
	// Part makes the command of a process that calls [Play] with spec, its
	// standard input and its standard output.
	Part func(spec string) *exec.Cmd
	// Progress is told of each kill.
	Progress io.Writer
	// Hurry lets the time of SQLite's leases pass at once in the end, which
	// would take a minute.
	Hurry bool
	// Fault makes the writer or the relays broken, to test the campaign.
	Fault string
}

// ledger is the campaign's own view of a backend's database.
type ledger interface {
	rows(ctx context.Context) (map[string][]writtenEvent, error)
	waiting(ctx context.Context) (int, error)
	setAside(ctx context.Context) ([]outbox.SetAside, error)
	letAMinutePass(ctx context.Context) error
}

// target is what can be killed.
type target struct {
	name   string
	weight int
	beat   func() <-chan struct{} // what it gets done
	kill   func(ctx context.Context) (killed bool, err error)
}

// run is a campaign under way.
type run struct {
	Campaign
	dir     string // temporary
	url     string // of the bus
	bus     *bus
	random  *rand.Rand
	ledger  ledger
	targets []target
	parts   map[string]*process // by name
	closers []func()

	mu           sync.Mutex
	acknowledged map[string][]writtenEvent
	told         map[string]int // transactions, by how they ended
	upstream     chan string    // the URL of an environment that is ready
}

// Run runs the campaign. When it returns, every process that it started has
// ended. It is a postgres.ErrNotInstalled where PostgreSQL is needed and missing.
func (c Campaign) Run(ctx context.Context) (Report, error) {
	began := time.Now()
	report := Report{Backend: c.Backend, Seed: c.Seed, Kills: map[string]int{}}
	r := &run{
		Campaign: c, bus: newBus(c.Seed), random: rand.New(rand.NewPCG(c.Seed, 0)), parts: map[string]*process{},
		acknowledged: map[string][]writtenEvent{}, told: map[string]int{}, upstream: make(chan string, 1),
	}
	if c.Fault == PublishesBeforeCommit {
		r.bus.calmDown() // or its transactions would take too long
	}
	defer r.close()
	if err := r.start(ctx); err != nil {
		return report, err
	}
	inTurn := r.random.Perm(len(r.targets)) // at first, so that none is left out
	for n := 0; n < c.Kills; {
		t := r.pick()
		if n < len(inTurn) {
			t = r.targets[inTurn[n]]
		}
		moment, killed, err := r.strike(ctx, t)
		if err != nil {
			return report, fmt.Errorf("kill %d, of the %s: %w", n+1, t.name, err)
		}
		if !killed {
			continue // it did not run: the next may be another
		}
		n++
		report.Kills[t.name]++
		fmt.Fprintf(c.Progress, "%d of %d: %s after %s\n", n, c.Kills, t.name, moment.Round(time.Millisecond))
	}
	if err := r.await(ctx, atLeast); err != nil {
		return report, err
	}
	if err := r.drain(ctx); err != nil {
		return report, err
	}
	var f findings
	var err error
	if f.rows, err = r.ledger.rows(ctx); err != nil {
		return report, err
	}
	if f.aside, err = r.ledger.setAside(ctx); err != nil {
		return report, err
	}
	f.receipts, report.Faults = r.bus.seen()
	r.mu.Lock()
	f.acknowledged = r.acknowledged
	report.RolledBack, report.Uncertain = r.told[rolledBack], r.told[uncertain]
	r.mu.Unlock()
	report.reconcile(f)
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// close ends everything, the last started first.
func (r *run) close() {
	for _, p := range r.parts {
		_ = p.kill()
	}
	for _, end := range slices.Backward(r.closers) {
		end()
	}
}

// hear takes what a part tells.
func (r *run) hear(l line) {
	if l.URL != "" {
		r.upstream <- l.URL
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.What == committed {
		r.acknowledged[l.ID] = l.Events
	}
	r.told[l.What]++
}

// pick draws a target.
func (r *run) pick() target {
	total := 0
	for _, t := range r.targets {
		total += t.weight
	}
	n := r.random.IntN(total)
	for _, t := range r.targets {
		if n -= t.weight; n < 0 {
			return t
		}
	}
	panic("unreachable")
}

const (
	// patience is how long a target may get nothing done before it is killed
	// all the same: a relay may be waiting for a bus that fails, or find that the
	// other was faster.
	patience = time.Second
	// within is the time after some progress in which a target is killed. A
	// batch of a relay, or a few transactions, take as long.
	within = 60 * time.Millisecond
)

// strike waits until a target has got something done, and a moment more, and
// kills it.
func (r *run) strike(ctx context.Context, t target) (moment time.Duration, killed bool, err error) {
	beat := t.beat()
	select {
	case <-beat: // of long ago
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-beat:
	case <-timer.C:
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	moment = time.Duration(r.random.Int64N(int64(within)))
	pause(ctx, moment)
	if ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	killed, err = t.kill(ctx)
	return moment, killed, err
}

// atLeast is how many transactions a campaign makes, however few its kills.
const atLeast = 80

// await waits until the writers have ended so many transactions.
func (r *run) await(ctx context.Context, transactions int) error {
	writer := r.parts[writerPart]
	for {
		r.mu.Lock()
		n := r.told[committed] + r.told[rolledBack]
		r.mu.Unlock()
		if n >= transactions {
			return nil
		}
		select {
		case <-writer.beat:
		case <-writer.done:
			return writer.endedByItself()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drainsWithin is how long an outbox may take to be empty once all is well. The
// lease of a relay that was killed takes a minute, and so may a sweep.
const drainsWithin = 5 * time.Minute

var errDoesNotDrain = errors.New("the outbox does not drain")

// drain ends the writer and the faults, waits until the outbox is empty, and
// ends the relays.
func (r *run) drain(ctx context.Context) error {
	if err := r.parts[writerPart].stop(); err != nil {
		return err
	}
	delete(r.parts, writerPart)
	r.bus.calmDown()
	fmt.Fprintln(r.Progress, "draining")
	if r.Hurry {
		if err := r.ledger.letAMinutePass(ctx); err != nil {
			return err
		}
	}
	late, cancel := context.WithTimeoutCause(ctx, drainsWithin, errDoesNotDrain)
	defer cancel()
	for {
		n, err := r.ledger.waiting(late)
		if err == nil && n == 0 {
			break
		}
		if late.Err() != nil {
			return fmt.Errorf("%w: %d events wait (seed %d): %w", context.Cause(late), n, r.Seed, errors.Join(err, r.partErrors()))
		}
		pause(late, 100*time.Millisecond)
	}
	for name, p := range r.parts {
		if name == environmentPart {
			continue
		}
		if err := p.stop(); err != nil {
			return err
		}
		delete(r.parts, name)
	}
	return nil
}

// partErrors is what the parts have complained of lately.
func (r *run) partErrors() error {
	var errs []error
	for name, p := range r.parts {
		if text := p.errors.String(); text != "" {
			errs = append(errs, fmt.Errorf("%s: %s", name, text))
		}
	}
	return errors.Join(errs...)
}
