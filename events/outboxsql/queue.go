package outboxsql

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/events/internal/outboxtables"
	"github.com/penstock-dev/penstock/events/outbox"
)

// expireEvery is how often a queue deletes marks whose time is over, and
// expireRows how many at most each time.
const (
	expireEvery = time.Minute
	expireRows  = 10_000
)

// Queue is the outbox as relays see it.
//
// In PostgreSQL a claim is a transaction that deletes the rows, and commits once
// the bus has accepted them: other relays pass over rows that it has locked
// (SKIP LOCKED), and if the relay dies they are there again at once. Each claim
// holds a connection, so that a relay that is given a pool of its own never
// keeps the application waiting.
//
// In SQLite, which has one writer at a time, a claim is a lease ([Config.Lease]),
// so that nobody waits for a PutEvents call.
type Queue struct {
	outbox *Outbox
	db     *sql.DB
	woken  chan struct{}

	mu      sync.Mutex
	expired time.Time // when marks were last looked at
}

var (
	_ outbox.Queue = (*Queue)(nil)
	_ outbox.Shelf = (*Queue)(nil)
)

// Queue returns the queue in db, for one [outbox.Poller]. It is woken by InTx
// for as long as the Outbox lives. It is safe for concurrent use.
func (o *Outbox) Queue(db *sql.DB) *Queue {
	q := &Queue{outbox: o, db: db, woken: make(chan struct{}, 1)}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queues = append(o.queues, q)
	return q
}

// Wake has a Poller that waits look at once, after a commit that this process
// knows of.
func (q *Queue) Wake() {
	select {
	case q.woken <- struct{}{}:
	default: // it is about to look anyway
	}
}

// Wait implements [outbox.Queue].
func (q *Queue) Wait(ctx context.Context, atMost time.Duration) {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-q.woken:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Take implements [outbox.Queue].
func (q *Queue) Take(ctx context.Context, n int) (outbox.Claim, error) {
	if err := q.expire(ctx); err != nil {
		return nil, err
	}
	if q.outbox.dialect == PostgreSQL {
		return q.delete(ctx, n)
	}
	return q.lease(ctx, n)
}

// expire deletes marks whose time is over, now and then.
func (q *Queue) expire(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.expired) < expireEvery {
		return nil
	}
	var err error
	if q.outbox.dialect == PostgreSQL {
		_, err = q.db.ExecContext(ctx, q.outbox.pg.Expire, expireRows)
	} else {
		_, err = q.db.ExecContext(ctx, q.outbox.lite.expire, time.Now().UnixMilli(), expireRows)
	}
	if err != nil {
		return explain(q.outbox, "deleting old marks", err)
	}
	q.expired = time.Now()
	return nil
}

// scan reads rows of seq, event_id, type, detail and, as the dialect has it,
// enqueued_at.
func scan(dialect Dialect, rows *sql.Rows) ([]outboxtables.Row, error) {
	defer rows.Close()
	var out []outboxtables.Row
	for rows.Next() {
		var r outboxtables.Row
		var ms int64
		at := any(&r.EnqueuedAt)
		if dialect == SQLite {
			at = &ms
		}
		if err := rows.Scan(&r.Seq, &r.ID, &r.Type, &r.Detail, at); err != nil {
			return nil, err
		}
		if dialect == SQLite {
			r.EnqueuedAt = time.UnixMilli(ms)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// deletion is a claim in PostgreSQL.
type deletion struct {
	outboxtables.Claimed
	queue  *Queue
	tx     *sql.Tx
	cancel context.CancelFunc
}

func (q *Queue) delete(ctx context.Context, n int) (_ outbox.Claim, err error) {
	// The end of the context that a transaction was begun with would roll it
	// back, and Settle may be called after the end of Take's.
	txCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	tx, err := q.db.BeginTx(txCtx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		stop()
		cancel()
		return nil, explain(q.outbox, "taking events", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
			stop()
			cancel()
		}
	}()
	if _, err := tx.ExecContext(ctx, outboxtables.Async); err != nil {
		return nil, explain(q.outbox, "taking events", err)
	}
	result, err := tx.QueryContext(ctx, q.outbox.pg.Take, n)
	if err != nil {
		return nil, explain(q.outbox, "taking events", err)
	}
	rows, err := scan(PostgreSQL, result)
	if err == nil && !stop() {
		err = ctx.Err() // it has cut off the transaction
	}
	if err != nil {
		return nil, explain(q.outbox, "taking events", err)
	}
	return &deletion{outboxtables.Claim(rows), q, tx, cancel}, nil
}

// Settle implements [outbox.Claim].
func (d *deletion) Settle(ctx context.Context, sent []string, refused []outbox.Refusal) (err error) {
	defer d.cancel()
	defer func() { _ = d.tx.Rollback() }()
	gone, aside, kept := d.Split(sent, refused)
	if len(gone)+len(aside) == 0 {
		return nil // all of it stays, or there was nothing
	}
	if len(kept) > 0 {
		seqs, ids, types, details, times := make([]string, len(kept)), make([]string, len(kept)), make([]string, len(kept)), make([]string, len(kept)), make([]string, len(kept))
		for i, r := range kept {
			seqs[i], ids[i], types[i], details[i], times[i] = fmt.Sprint(r.Seq), r.ID, r.Type, r.Detail, r.EnqueuedAt.Format(time.RFC3339Nano)
		}
		if _, err := d.tx.ExecContext(ctx, d.queue.outbox.pg.Requeue, arrayLiteral(seqs), arrayLiteral(ids),
			arrayLiteral(types), arrayLiteral(details), arrayLiteral(times)); err != nil {
			return explain(d.queue.outbox, "keeping what was not sent", err)
		}
	}
	if len(aside) > 0 {
		if err := d.setAside(ctx, aside); err != nil {
			return err
		}
	}
	if err := d.tx.Commit(); err != nil {
		return explain(d.queue.outbox, "removing what was sent", err)
	}
	return nil
}

func (d *deletion) setAside(ctx context.Context, aside []outboxtables.Aside) error {
	n := len(aside)
	keys, ids, types, details, times, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, r := range aside {
		keys[i], ids[i], types[i], details[i] = r.Key(), r.ID, r.Type, r.Detail
		times[i], reasons[i] = r.EnqueuedAt.Format(time.RFC3339Nano), r.Reason
	}
	_, err := d.tx.ExecContext(ctx, d.queue.outbox.pg.SetAside, arrayLiteral(keys), arrayLiteral(ids),
		arrayLiteral(types), arrayLiteral(details), arrayLiteral(times), arrayLiteral(reasons))
	if err != nil {
		return explain(d.queue.outbox, "setting aside", err)
	}
	return nil
}

// leased is a claim in SQLite.
type leased struct {
	outboxtables.Claimed
	queue *Queue
	lease string
}

func (q *Queue) lease(ctx context.Context, n int) (outbox.Claim, error) {
	now := time.Now()
	var waiting bool // looked at first, so that an idle relay never writes
	if err := q.db.QueryRowContext(ctx, q.outbox.lite.waiting, now.UnixMilli()).Scan(&waiting); err != nil {
		return nil, explain(q.outbox, "taking events", err)
	}
	if !waiting {
		return &leased{}, nil
	}
	token := rand.Text()
	rows, err := q.leaseRows(ctx, token, now, n)
	if err != nil {
		// They may be leased nevertheless. If this fails too, they wait.
		_, _ = q.db.ExecContext(context.WithoutCancel(ctx), q.outbox.lite.releaseAll, token)
		return nil, explain(q.outbox, "taking events", err)
	}
	return &leased{outboxtables.Claim(rows), q, token}, nil
}

func (q *Queue) leaseRows(ctx context.Context, token string, now time.Time, n int) ([]outboxtables.Row, error) {
	result, err := q.db.QueryContext(ctx, q.outbox.lite.take, token, now.Add(q.outbox.config.Lease).UnixMilli(), now.UnixMilli(), n)
	if err != nil {
		return nil, err
	}
	return scan(SQLite, result)
}

// Settle implements [outbox.Claim].
func (l *leased) Settle(ctx context.Context, sent []string, refused []outbox.Refusal) error {
	if l.Len() == 0 {
		return nil
	}
	gone, aside, kept := l.Split(sent, refused)
	seqs := func(rows []outboxtables.Row) string {
		out := make([]int64, len(rows))
		for i, r := range rows {
			out[i] = r.Seq
		}
		return jsonText(out)
	}
	lite := l.queue.outbox.lite
	if len(aside)+len(kept) == 0 { // the usual case takes one statement
		_, err := l.queue.db.ExecContext(ctx, lite.remove, seqs(gone), l.lease)
		if err != nil {
			return explain(l.queue.outbox, "removing what was sent", err)
		}
		return nil
	}
	tx, err := l.queue.db.BeginTx(ctx, nil)
	if err != nil {
		return explain(l.queue.outbox, "removing what was sent", err)
	}
	defer func() { _ = tx.Rollback() }()
	// A write comes first, so that the transaction is the writer from its start.
	if _, err := tx.ExecContext(ctx, lite.release, l.lease, seqs(kept)); err != nil {
		return explain(l.queue.outbox, "keeping what was not sent", err)
	}
	if len(aside) > 0 {
		reasons := make([][2]any, len(aside))
		for i, r := range aside {
			reasons[i] = [2]any{r.Seq, r.Reason}
			gone = append(gone, r.Row)
		}
		if _, err := tx.ExecContext(ctx, lite.setAside, jsonText(reasons), time.Now().UnixMilli(), l.lease); err != nil {
			return explain(l.queue.outbox, "setting aside", err)
		}
	}
	if _, err := tx.ExecContext(ctx, lite.remove, seqs(gone), l.lease); err != nil {
		return explain(l.queue.outbox, "removing what was sent", err)
	}
	if err := tx.Commit(); err != nil {
		return explain(l.queue.outbox, "removing what was sent", err)
	}
	return nil
}

// Backlog implements [outbox.Queue]. It counts the rows.
func (q *Queue) Backlog(ctx context.Context) (b outbox.Backlog, err error) {
	if q.outbox.dialect == PostgreSQL {
		var seconds float64
		err = q.db.QueryRowContext(ctx, q.outbox.pg.Backlog).Scan(&b.Size, &seconds, &b.SetAside)
		b.Oldest = time.Duration(seconds * float64(time.Second))
	} else {
		var oldest sql.NullInt64
		err = q.db.QueryRowContext(ctx, q.outbox.lite.backlog).Scan(&b.Size, &oldest, &b.SetAside)
		if oldest.Valid {
			b.Oldest = time.Since(time.UnixMilli(oldest.Int64))
		}
	}
	if err != nil {
		return outbox.Backlog{}, explain(q.outbox, "counting", err)
	}
	b.Oldest = max(b.Oldest, 0)
	return b, nil
}

// listPage is how many rows ListSetAside reads at a time.
const listPage = 100

// ListSetAside implements [outbox.Shelf], in the order of the keys.
func (q *Queue) ListSetAside(ctx context.Context) iter.Seq2[outbox.SetAside, error] {
	return func(yield func(outbox.SetAside, error) bool) {
		for after := ""; ; {
			page, err := q.setAsidePage(ctx, after)
			if err != nil {
				yield(outbox.SetAside{}, explain(q.outbox, "listing what was set aside", err))
				return
			}
			for _, a := range page {
				if !yield(a, nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			after = page[len(page)-1].Key
		}
	}
}

func (q *Queue) setAsidePage(ctx context.Context, after string) ([]outbox.SetAside, error) {
	statement := q.outbox.pg.ListSetAside
	if q.outbox.dialect == SQLite {
		statement = q.outbox.lite.listSetAside
	}
	rows, err := q.db.QueryContext(ctx, statement, after, listPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []outbox.SetAside
	for rows.Next() {
		var r outboxtables.Row
		var key, reason string
		var at time.Time
		var ms int64
		when := any(&at)
		if q.outbox.dialect == SQLite {
			when = &ms
		}
		if err := rows.Scan(&key, &r.ID, &r.Type, &r.Detail, &reason, when); err != nil {
			return nil, err
		}
		if q.outbox.dialect == SQLite {
			at = time.UnixMilli(ms)
		}
		m, _ := r.Message() // one that cannot be read is listed without its event
		page = append(page, outbox.SetAside{Message: m, Reason: reason, At: at})
	}
	return page, rows.Err()
}

// PutBack implements [outbox.Shelf].
func (q *Queue) PutBack(ctx context.Context, key string) error {
	n, err := q.putBack(ctx, key)
	if err != nil {
		return explain(q.outbox, "putting back "+key, err)
	}
	if n == 0 {
		return fmt.Errorf("outboxsql: no message %s was set aside: list what was", key)
	}
	q.Wake()
	return nil
}

func (q *Queue) putBack(ctx context.Context, key string) (int64, error) {
	if q.outbox.dialect == PostgreSQL {
		result, err := q.db.ExecContext(ctx, q.outbox.pg.PutBack, key)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, q.outbox.lite.putBack, key, time.Now().UnixMilli()); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, q.outbox.lite.unlist, key)
	if err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, err
	}
	return n, tx.Commit()
}
