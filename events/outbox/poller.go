package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Poller is a relay that looks for messages itself. It runs beside the
// application, or as a process of its own, and as many at once as you like.
//
//	relay := &outbox.Poller{Bus: eventbus.New(client, "shop-prod"), Queue: queue}
//	go relay.Run(ctx)
//
// The life of a message: Run takes it together with others, sends them, removes
// those that the bus has accepted, and sets aside, with its reason, what the bus
// will never accept. A bus that throttles or cannot be reached makes it wait
// with growing random delays, and say so once; then it goes on. Nothing is
// dropped.
//
// A Poller that dies between sending and removing leaves its messages to be sent
// again, with the ids they have.
type Poller struct {
	Bus   Bus
	Queue Queue

	// Batch is the most messages taken at a time; the default, used for 0, is
	// 500.
	Batch int
	// InFlight is how many batches may be under way at once; the default, used
	// for 0, is 4. In SQL queues each holds a database connection.
	InFlight int
	// PollInterval is how long Run waits at most before it looks again; the
	// default, used for 0, is 1 s. It bounds the delay of what a lost wake-up
	// leaves behind.
	PollInterval time.Duration
	// SendTimeout bounds the sending of one batch, and how long Run takes to
	// return once its context has ended; the default, used for 0, is 15 s.
	SendTimeout time.Duration
	// MaxBackoff bounds the waits while the bus or the store fails; the default,
	// used for 0, is 30 s.
	MaxBackoff time.Duration
	// Report is called with the metrics every ReportEvery, 1 minute for 0. A nil
	// Report logs them if there is anything to tell.
	Report      func(context.Context, Metrics)
	ReportEvery time.Duration
	// Log is where state changes are told; the default is slog.Default().
	Log *slog.Logger

	sent, failed, setAside atomic.Uint64

	mu      sync.Mutex
	trouble trouble
}

// Metrics is what a relay has done since it was made, and what there is to do.
type Metrics struct {
	Sent     uint64 // events that the bus has accepted
	Failed   uint64 // attempts to send an event that are to be repeated
	SetAside uint64 // events that were set aside
	Backlog  Backlog
}

// Metrics measures the backlog and returns it with the counters. It may be
// called at any time, to export them.
func (p *Poller) Metrics(ctx context.Context) (Metrics, error) {
	backlog, err := p.Queue.Backlog(ctx)
	if err != nil {
		return Metrics{}, fmt.Errorf("outbox: measuring the backlog: %w", err)
	}
	return Metrics{Sent: p.sent.Load(), Failed: p.failed.Load(), SetAside: p.setAside.Load(), Backlog: backlog}, nil
}

// probe is how many messages are taken while the bus fails: one PutEvents call.
const probe = 10

// Run moves messages until ctx ends. Then it finishes what it has under way, so
// that nothing is sent twice for it, and returns. Call it once.
func (p *Poller) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { p.report(ctx) })

	slots := make(chan struct{}, or(p.InFlight, 4))
	var batches sync.WaitGroup
	defer batches.Wait()
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		n := or(p.Batch, 500)
		if p.backoff() > 0 {
			batches.Wait() // one of them may have ended the trouble
			if delay := p.backoff(); delay > 0 {
				sleep(ctx, delay)
				n = min(n, probe)
			}
		}
		claim, err := p.Queue.Take(ctx, n)
		if err != nil {
			<-slots
			if ctx.Err() == nil {
				p.inTrouble("store", false, err)
			}
			continue
		}
		if len(claim.Messages())+len(claim.Unreadable()) == 0 {
			<-slots
			if p.settle(ctx, claim, nil, nil) {
				p.recovered("store")
				p.recovered("bus") // another relay got through, or nothing is left to try
			}
			p.Queue.Wait(ctx, or(p.PollInterval, time.Second))
			continue
		}
		batches.Go(func() {
			defer func() { <-slots }()
			p.move(ctx, claim)
		})
	}
}

// move sends what a claim holds and settles it.
func (p *Poller) move(ctx context.Context, claim Claim) {
	// The end of ctx does not cut off a batch that the bus may have accepted.
	sendCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), or(p.SendTimeout, 15*time.Second))
	out := Deliver(sendCtx, p.Bus, claim.Messages())
	cancel()
	refused := append(claim.Unreadable(), out.Refused...)
	if !p.settle(ctx, claim, out.Sent, refused) {
		return
	}
	sizes := map[string]int{}
	for _, m := range claim.Messages() {
		sizes[m.Key] += len(m.Entries)
	}
	p.sent.Add(total(sizes, out.Sent))
	p.failed.Add(total(sizes, out.Failed))
	for _, r := range refused {
		p.setAside.Add(uint64(max(len(r.Entries), 1)))
		p.log().ErrorContext(ctx, "outbox: set aside what can never be sent", "key", r.Key, "reason", r.Reason)
	}
	if len(out.Failed) > 0 {
		p.inTrouble("bus", len(out.Sent) > 0, out.Err)
		return
	}
	p.recovered("store")
	p.recovered("bus")
}

func (p *Poller) settle(ctx context.Context, claim Claim, sent []string, refused []Refusal) bool {
	settleCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), or(p.SendTimeout, 15*time.Second))
	defer cancel()
	if err := claim.Settle(settleCtx, sent, refused); err != nil {
		p.inTrouble("store", false, err)
		return false
	}
	return true
}

func total(sizes map[string]int, keys []string) (n uint64) {
	for _, k := range keys {
		n += uint64(sizes[k])
		delete(sizes, k) // two messages of one transaction may share a key
	}
	return n
}

// trouble is what keeps a relay from sending.
type trouble struct {
	with     string // "bus", "store", or "" for none
	since    time.Time
	attempts int // in a row that got nothing through
}

// inTrouble notes a failed attempt, and says so if it is the first.
func (p *Poller) inTrouble(with string, progress bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.trouble
	if t.with != with {
		p.log().Warn("outbox: the "+with+" fails; backing off, and nothing is lost", "reason", err.Error())
		*t = trouble{with: with, since: time.Now()}
	}
	if t.attempts++; progress {
		t.attempts = 1
	}
}

func (p *Poller) recovered(with string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble.with == with {
		p.log().Info("outbox: the "+with+" works again", "after", time.Since(p.trouble.since))
		p.trouble = trouble{}
	}
}

// backoff is how long to wait before the next attempt, 0 if all is well: full
// jitter over 100 ms, doubled each time.
func (p *Poller) backoff() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trouble.with == "" {
		return 0
	}
	ceiling := min(100*time.Millisecond<<min(p.trouble.attempts, 20), or(p.MaxBackoff, 30*time.Second))
	return 1 + rand.N(ceiling)
}

// report tells the metrics until ctx ends.
func (p *Poller) report(ctx context.Context) {
	tick := time.NewTicker(or(p.ReportEvery, time.Minute))
	defer tick.Stop()
	var last Metrics
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		m, err := p.Metrics(ctx)
		switch {
		case err != nil:
			p.log().WarnContext(ctx, err.Error())
		case p.Report != nil:
			p.Report(ctx, m)
		case m != last:
			p.log().InfoContext(ctx, "outbox", "sent", m.Sent, "failed", m.Failed, "setAside", m.SetAside,
				"backlog", m.Backlog.Size, "oldestAgeSeconds", m.Backlog.Oldest.Seconds())
		}
		last = m
	}
}

func (p *Poller) log() *slog.Logger {
	if p.Log != nil {
		return p.Log
	}
	return slog.Default()
}

// or is value, or the default if it is not set.
func or[T int | time.Duration](value, defaultValue T) T {
	if value > 0 {
		return value
	}
	return defaultValue
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
