package outboxcrash

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
)

// writtenEvent is an event as the row of its transaction remembers it.
type writtenEvent struct {
	ID  string `json:"id"`
	Sum string `json:"sum"` // of its detail
}

// row is what a transaction writes besides its events.
type row struct {
	ID     string
	Events []writtenEvent
}

// session is what the writer needs of a backend's.
type session interface {
	events.AfterCommit
	once(ctx context.Context, key string) error
	insert(ctx context.Context, r row) error
}

// database is the writer's side of a backend.
type database interface {
	inTx(ctx context.Context, fn func(session) error) error
	close()
}

// writers is how many transactions a writer has under way at once.
const writers = 3

// write commits and rolls back transactions until ctx ends.
func write(ctx context.Context, s Spec, tell func(line)) error {
	db, err := openDatabase(ctx, s)
	if err != nil {
		return err
	}
	defer db.close()
	tell(line{What: "ready"})
	var running sync.WaitGroup
	for i := range writers {
		w := &writer{db: db, random: rand.New(rand.NewPCG(s.Seed, uint64(i))), tell: tell}
		if s.Fault == PublishesBeforeCommit {
			w.early = s.publisher()
		}
		running.Go(func() {
			for ctx.Err() == nil {
				w.transaction(ctx)
				pause(ctx, time.Duration(w.random.Int64N(int64(40*time.Millisecond))))
			}
		})
	}
	running.Wait()
	return nil
}

type writer struct {
	db     database
	random *rand.Rand
	tell   func(line)
	early  events.Publisher // of a broken writer
	marked string           // an event key whose mark stands
}

// plan is what is drawn for a transaction.
type plan struct {
	row    row
	batch  []events.Event // stamped
	key    string         // of Once; empty: without
	ending ending
	// eventsFirst publishes before the row is written, and oneByOne publishes
	// each event on its own.
	eventsFirst, oneByOne bool
}

type ending int

const (
	commits ending = iota
	fails
	panics
	repeats // commits nothing, since its mark stands
)

// draw plans a transaction with a row and 1 to 20 events. One in ten fails, one
// panics, and one repeats what was done before, if there is such.
func (w *writer) draw(ctx context.Context) plan {
	n := 1 + w.random.IntN(3)
	if w.random.IntN(4) == 0 {
		n = 1 + w.random.IntN(20)
	}
	p := plan{
		row: row{ID: uuid.NewString()}, eventsFirst: w.random.IntN(2) == 0, oneByOne: w.random.IntN(2) == 0,
	}
	for range n {
		e := events.Stamp(ctx, w.event(p.row.ID))
		entry, err := e.Entry()
		if err != nil {
			panic(err) // a sample always has an entry
		}
		p.batch = append(p.batch, e)
		p.row.Events = append(p.row.Events, writtenEvent{e.ID, sum(entry.Detail)})
	}
	if w.random.IntN(3) == 0 {
		p.key = "crash/" + p.row.ID
	}
	switch w.random.IntN(10) {
	case 0:
		p.ending = fails
	case 1:
		p.ending = panics
	case 2:
		if w.marked != "" {
			p.ending, p.key = repeats, w.marked
		}
	}
	return p
}

var errRollBack = errors.New("the writer has changed its mind")

// transaction makes a transaction, and tells how it ended.
func (w *writer) transaction(ctx context.Context) {
	p := w.draw(ctx)
	err := w.try(ctx, func(s session) error { return w.fill(ctx, s, p) })
	switch {
	case errors.Is(err, errRollBack), err == nil && p.ending == repeats:
		w.tell(line{What: rolledBack})
	case err != nil: // it may have committed: its row tells
		w.tell(line{What: uncertain})
		pause(ctx, time.Duration(w.random.Int64N(int64(100*time.Millisecond))))
	default:
		w.tell(line{What: committed, ID: p.row.ID, Events: p.row.Events})
		if p.key != "" {
			w.marked = p.key
		}
	}
}

// fill does in a session what is planned.
func (w *writer) fill(ctx context.Context, s session, p plan) error {
	if p.key != "" {
		if err := s.once(ctx, p.key); err != nil {
			return err
		}
	}
	steps := []func() error{
		func() error { return s.insert(ctx, p.row) },
		func() error { return w.publish(ctx, s, p) },
	}
	if p.eventsFirst {
		slices.Reverse(steps)
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	switch p.ending {
	case fails:
		return errRollBack
	case panics:
		panic(errRollBack)
	}
	return nil
}

func (w *writer) publish(ctx context.Context, s session, p plan) error {
	switch {
	case w.early != nil:
		return w.early.PublishBatch(ctx, p.batch)
	case !p.oneByOne:
		return s.PublishBatchAfterCommit(ctx, p.batch)
	}
	for _, e := range p.batch {
		if err := s.PublishAfterCommit(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// What a writer tells of a transaction.
const (
	committed  = "committed"
	rolledBack = "rolled back"
	uncertain  = "uncertain"
)

// try runs a transaction whose panic is an error.
func (w *writer) try(ctx context.Context, fn func(session) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err, _ = v.(error)
			if !errors.Is(err, errRollBack) {
				panic(v)
			}
		}
	}()
	return w.db.inTx(ctx, fn)
}

// event makes an event of a transaction. One in fifty is such that the
// bus will never take it.
func (w *writer) event(transaction string) events.Event {
	account := "ACC-" + transaction[:8]
	if w.random.IntN(50) == 0 {
		account = refusedMark
	}
	if w.random.IntN(4) == 0 {
		return savings.SampleFeeCharged(func(f *savings.FeeCharged) { f.AccountID, f.EntryID = account, transaction })
	}
	return savings.SampleWithdrawal(func(e *savings.Withdrawal) {
		e.AccountID, e.TransactionID, e.Amount = account, transaction, float64(1+w.random.IntN(1e6))/100
	})
}
