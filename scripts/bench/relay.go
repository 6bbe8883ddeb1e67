package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxpgx"
)

// mover is an outbox in a PostgreSQL database with what moves its events to a
// bus.
type mover interface {
	// enqueue writes events in a transaction.
	enqueue(ctx context.Context, tx pgx.Tx, batch []events.Envelope) error
	// run moves events until ctx ends.
	run(ctx context.Context) error
	// reset prepares for a round.
	reset(ctx context.Context) error
}

// penstock is our mover.
type penstock struct {
	pool *pgxpool.Pool
	ob   *outboxpgx.Outbox
	bus  *eventbus.Publisher
}

func newPenstock(ctx context.Context, pool *pgxpool.Pool, client eventbus.API) (*penstock, error) {
	ob := outboxpgx.New(outboxpgx.Config{})
	if err := ob.Migrate(ctx, pool); err != nil {
		return nil, err
	}
	return &penstock{pool, ob, eventbus.New(client, bus)}, nil
}

func (p *penstock) enqueue(ctx context.Context, tx pgx.Tx, batch []events.Envelope) error {
	list := make([]events.Event, len(batch))
	for i, e := range batch {
		list[i] = e
	}
	return p.ob.Join(tx).PublishBatchAfterCommit(ctx, list)
}

func (p *penstock) run(ctx context.Context) error {
	(&outbox.Poller{Bus: p.bus, Queue: p.ob.Queue(p.pool)}).Run(ctx)
	return nil
}

func (p *penstock) reset(context.Context) error { return nil }

// moving is a mover with what its measurements need.
type moving struct {
	mover
	pool *pgxpool.Pool // of the writers
	got  *arrivals
}

// relays compares our relay with Watermill's Forwarder.
func relays(ctx context.Context, b *bench) error {
	buses, err := b.buses(ctx)
	if err != nil {
		return err
	}
	for _, at := range buses {
		_, pool, err := b.database(ctx)
		if err != nil {
			return err
		}
		client := eventbridge.NewFromConfig(at.config)
		ours := moving{pool: pool, got: &arrivals{API: client}}
		if ours.mover, err = newPenstock(ctx, pool, ours.got); err != nil {
			return err
		}
		theirs := moving{pool: pool, got: &arrivals{API: client}}
		if theirs.mover, err = newWatermill(ctx, pool, theirs.got, 1); err != nil {
			return err
		}
		split := moving{pool: pool, got: &arrivals{API: client}}
		if split.mover, err = newWatermill(ctx, pool, split.got, 4); err != nil {
			return err
		}
		// A round of the peer's would take too long with as many.
		n := b.scale.backlog
		rates, err := b.scale.rates(ctx, ours.drain(n), theirs.drain(n/10), split.drain(n/5))
		if err != nil {
			return err
		}
		b.report.add(
			result{Name: "relay" + at.suffix, Value: rates[0], Unit: "1/s", Goal: "ratio ≥ 2"}.against("Watermill's SQL publisher and Forwarder", rates[1]),
			result{Name: "relay_vs_4" + at.suffix, Value: rates[0], Unit: "1/s"}.against("four of them at once, the events split by hand", rates[2]),
		)
		if at.suffix != "" {
			continue // one event a call, the peer could not keep up with the load
		}
		if err := b.latencies(ctx, ours, theirs); err != nil {
			return err
		}
	}
	return nil
}

// drain moves n events that have committed, from the start of the mover until
// the bus has accepted the last.
func (m moving) drain(n int) side {
	var all <-chan struct{}
	return side{
		prepare: func(ctx context.Context) error {
			if err := m.reset(ctx); err != nil {
				return err
			}
			all = m.got.expect(n)
			_, err := m.commit(ctx, n)
			return err
		},
		work: func(ctx context.Context) (int, error) {
			return n, m.whileRunning(ctx, func(ctx context.Context) error { return wait(ctx, all) })
		},
	}
}

// commit commits a transaction with n events, and returns their ids.
func (m moving) commit(ctx context.Context, n int) (ids []string, err error) {
	batch := make([]events.Envelope, n)
	for i := range batch {
		batch[i] = events.Stamp(ctx, published{}.Schema())
		ids = append(ids, batch[i].ID)
	}
	return ids, pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertRow); err != nil {
			return err
		}
		return m.enqueue(ctx, tx, batch)
	})
}

// whileRunning runs the mover for as long as work takes.
func (m moving) whileRunning(ctx context.Context, work func(context.Context) error) error {
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		err := m.run(running)
		stop() // work would wait for ever
		ended <- err
	}()
	err := work(running)
	stop()
	if ran := <-ended; ran != nil {
		return ran
	}
	return err
}

func wait(ctx context.Context, all <-chan struct{}) error {
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// latencies measures the time from the return of a commit to the call of
// PutEvents, at 200 transactions a second of one event each. A percentile is the
// median of the rounds', so that one round in which the machine stood still does
// not decide it.
func (b *bench) latencies(ctx context.Context, sides ...moving) error {
	const perSecond = 200
	n := max(int(2*b.scale.round.Seconds()*perSecond), 50)
	p50, p99 := make([][]time.Duration, len(sides)), make([][]time.Duration, len(sides))
	for round := range b.scale.rounds + 1 {
		for i, m := range sides {
			took, err := m.atRate(ctx, n, time.Second/perSecond)
			if err != nil {
				return fmt.Errorf("latencies: round %d: %w", round, err)
			}
			if round > 0 {
				p50[i] = append(p50[i], quantile(took, 0.5))
				p99[i] = append(p99[i], quantile(took, 0.99))
			}
		}
	}
	median := func(rounds []time.Duration) float64 { return float64(quantile(rounds, 0.5).Microseconds()) / 1000 }
	b.report.add(
		result{Name: "relay_p50", Value: median(p50[0]), Unit: "ms", Goal: "< 10"}.against("Watermill's Forwarder, polling every 5 ms", median(p50[1])),
		result{Name: "relay_p99", Value: median(p99[0]), Unit: "ms", Goal: "< 50"}.against("Watermill's Forwarder, polling every 5 ms", median(p99[1])),
	)
	return nil
}

// atRate begins n transactions of one event, one every interval whether the
// last has ended or not, and returns how long each event took.
func (m moving) atRate(ctx context.Context, n int, interval time.Duration) ([]time.Duration, error) {
	if err := m.reset(ctx); err != nil {
		return nil, err
	}
	all := m.got.expect(n)
	type commit struct {
		id  string
		at  time.Time
		err error
	}
	commits := make(chan commit, n)
	err := m.whileRunning(ctx, func(ctx context.Context) error {
		var writing sync.WaitGroup
		defer writing.Wait()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for range n {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			writing.Go(func() {
				ids, err := m.commit(ctx, 1)
				commits <- commit{ids[0], time.Now(), err}
			})
		}
		writing.Wait()
		return wait(ctx, all)
	})
	if err != nil {
		return nil, err
	}
	took := make([]time.Duration, 0, n)
	for range n {
		c := <-commits
		if c.err != nil {
			return nil, c.err
		}
		// The relay may learn of a commit before the writer does.
		took = append(took, max(0, m.got.called[c.id].Sub(c.at)))
	}
	return took, nil
}
