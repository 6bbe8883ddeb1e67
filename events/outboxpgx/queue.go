package outboxpgx

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/penstock-dev/penstock/events/internal/outboxtables"
	"github.com/penstock-dev/penstock/events/outbox"
	"github.com/penstock-dev/penstock/events/outboxsql"
)

// expireEvery is how often a queue deletes marks whose time is over, and
// expireRows how many at most each time.
const (
	expireEvery = time.Minute
	expireRows  = 10_000
)

// Queue is the outbox as relays see it.
//
// A claim is a transaction that deletes the rows, and commits once the bus has
// accepted them: other relays pass over rows that it has locked (SKIP LOCKED),
// and if the relay dies they are there again at once. Each claim holds a
// connection of the pool, so that a relay that is given a pool of its own never
// keeps the application waiting; and one more connection listens, which must be
// to PostgreSQL itself or a pooler in session mode.
type Queue struct {
	outbox *Outbox
	pool   *pgxpool.Pool
	slow   *outboxsql.Queue // for what need not be fast
	sleep  sleeper

	mu      sync.Mutex
	expired time.Time // when marks were last looked at
}

var (
	_ outbox.Queue = (*Queue)(nil)
	_ outbox.Shelf = (*Queue)(nil)
)

// Queue returns the queue in the pool's database, for one [outbox.Poller]. It is
// safe for concurrent use.
func (o *Outbox) Queue(pool *pgxpool.Pool) *Queue {
	db := stdlib.OpenDBFromPool(pool)
	return &Queue{outbox: o, pool: pool, slow: o.sql.Queue(db), sleep: sleeper{pool: pool, sql: o.pg}}
}

// Take implements [outbox.Queue].
func (q *Queue) Take(ctx context.Context, n int) (outbox.Claim, error) {
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return nil, explain("taking events", err)
	}
	err = q.expire(ctx, conn)
	var rows []outboxtables.Row
	if err == nil {
		rows, err = take(ctx, conn.Conn(), q.outbox.pg.Take, n)
	}
	if err == nil {
		// A context that ends while pgx gets an answer may leave a connection on
		// which the next one times out.
		err = ctx.Err()
	}
	if err != nil {
		abandon(conn)
		return nil, explain("taking events", err)
	}
	if len(rows) > 0 {
		q.sleep.found()
	}
	return &claim{outboxtables.Claim(rows), q.outbox.pg, conn}, nil
}

// take begins a transaction and takes rows, in one round trip.
func take(ctx context.Context, conn *pgx.Conn, statement string, n int) ([]outboxtables.Row, error) {
	var batch pgx.Batch
	batch.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	batch.Queue(outboxtables.Async)
	batch.Queue(statement, n)
	results := conn.SendBatch(ctx, &batch)
	defer results.Close()
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
	}
	result, err := results.Query()
	if err != nil {
		return nil, err
	}
	rows, err := pgx.CollectRows(result, func(row pgx.CollectableRow) (r outboxtables.Row, err error) {
		err = row.Scan(&r.Seq, &r.ID, &r.Type, &r.Detail, &r.EnqueuedAt)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	return rows, results.Close()
}

// abandon gives up a connection whose transaction is in an unknown state.
func abandon(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Conn().Close(ctx)
	conn.Release()
}

// expire deletes marks whose time is over, now and then.
func (q *Queue) expire(ctx context.Context, conn *pgxpool.Conn) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if time.Since(q.expired) < expireEvery {
		return nil
	}
	if _, err := conn.Exec(ctx, q.outbox.pg.Expire, expireRows); err != nil {
		return err
	}
	q.expired = time.Now()
	return nil
}

// claim is an open transaction.
type claim struct {
	outboxtables.Claimed
	sql  outboxtables.Postgres
	conn *pgxpool.Conn
}

// Settle implements [outbox.Claim], in one round trip.
func (c *claim) Settle(ctx context.Context, sent []string, refused []outbox.Refusal) error {
	gone, aside, kept := c.Split(sent, refused)
	var batch pgx.Batch
	if len(kept) > 0 && len(gone)+len(aside) > 0 {
		n := len(kept)
		seqs, ids, types, details, times := make([]int64, n), make([]string, n), make([]string, n), make([]string, n), make([]time.Time, n)
		for i, r := range kept {
			seqs[i], ids[i], types[i], details[i], times[i] = r.Seq, r.ID, r.Type, r.Detail, r.EnqueuedAt
		}
		batch.Queue(c.sql.Requeue, seqs, ids, types, details, times)
	}
	if len(aside) > 0 {
		n := len(aside)
		keys, ids, types, details := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
		times, reasons := make([]time.Time, n), make([]string, n)
		for i, r := range aside {
			keys[i], ids[i], types[i], details[i], times[i], reasons[i] = r.Key(), r.ID, r.Type, r.Detail, r.EnqueuedAt, r.Reason
		}
		batch.Queue(c.sql.SetAside, keys, ids, types, details, times, reasons)
	}
	if len(gone)+len(aside) == 0 {
		batch.Queue("ROLLBACK") // all of it stays, or there was nothing
	} else {
		batch.Queue("COMMIT")
	}
	if err := c.conn.SendBatch(ctx, &batch).Close(); err != nil {
		abandon(c.conn)
		return explain("removing what was sent", err)
	}
	c.conn.Release()
	return nil
}

// Wait implements [outbox.Queue].
func (q *Queue) Wait(ctx context.Context, atMost time.Duration) { q.sleep.wait(ctx, atMost) }

// Backlog implements [outbox.Queue]. It counts the rows.
func (q *Queue) Backlog(ctx context.Context) (outbox.Backlog, error) { return q.slow.Backlog(ctx) }

// ListSetAside implements [outbox.Shelf], in the order of the keys.
func (q *Queue) ListSetAside(ctx context.Context) iter.Seq2[outbox.SetAside, error] {
	return q.slow.ListSetAside(ctx)
}

// PutBack implements [outbox.Shelf].
func (q *Queue) PutBack(ctx context.Context, key string) error {
	if err := q.slow.PutBack(ctx, key); err != nil {
		return err
	}
	if _, err := q.pool.Exec(ctx, q.outbox.pg.Notify); err != nil {
		return fmt.Errorf("outboxpgx: %s was put back, and no relay could be woken for it: %w", key, err)
	}
	return nil
}

// sleeper waits for commits; see outboxtables.Postgres.Enqueue for the part of
// the writers.
//
// Its connection listens all the time. When there is nothing to take it tries to
// get the advisory lock, and once it has it, nobody commits events without a
// notification. It cannot have it while a writer is under way that has not
// notified, or another relay sleeps; then it comes back soon, and later each
// time.
type sleeper struct {
	pool *pgxpool.Pool
	sql  outboxtables.Postgres

	conn   *pgx.Conn // nil: none yet, or it broke
	locked bool
	nap    atomic.Int64 // the last wait without the lock, a time.Duration
}

// firstNap is the first wait of a relay that cannot have the lock.
const firstNap = time.Millisecond

// found tells that there was something to take: more may follow soon.
func (s *sleeper) found() { s.nap.Store(0) }

func (s *sleeper) wait(ctx context.Context, atMost time.Duration) {
	if s.conn == nil {
		if err := s.listen(ctx); err != nil {
			pause(ctx, atMost)
		}
		return
	}
	if err := s.doze(ctx, atMost); err != nil {
		s.drop()
	}
}

// listen opens the connection, which lives for as long as ctx.
func (s *sleeper) listen(ctx context.Context) error {
	pooled, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	s.conn, s.locked = pooled.Hijack(), false
	socket := s.conn.PgConn().Conn()
	context.AfterFunc(ctx, func() { _ = socket.Close() })
	if _, err := s.conn.Exec(ctx, s.sql.Listen); err != nil {
		s.drop()
		return err
	}
	return nil
}

func (s *sleeper) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn, s.locked = nil, false
}

// doze waits once; its error is the connection's.
func (s *sleeper) doze(ctx context.Context, atMost time.Duration) error {
	if !s.locked {
		if err := s.conn.QueryRow(ctx, s.sql.Lock).Scan(&s.locked); err != nil {
			return err
		}
		if s.locked {
			s.nap.Store(0)
			return nil // to look once more
		}
		nap := min(max(2*time.Duration(s.nap.Load()), firstNap), atMost)
		s.nap.Store(int64(nap))
		_, err := s.notified(ctx, nap)
		return err
	}
	woken, err := s.notified(ctx, atMost)
	if err != nil {
		return err
	}
	if !woken {
		// It may be the connection that is silent.
		pingCtx, cancel := context.WithTimeout(ctx, max(atMost, time.Second))
		defer cancel()
		return s.conn.Ping(pingCtx)
	}
	s.locked = false
	_, err = s.conn.Exec(ctx, s.sql.Unlock)
	return err
}

// notified waits for a notification.
func (s *sleeper) notified(ctx context.Context, atMost time.Duration) (bool, error) {
	waitCtx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	_, err := s.conn.WaitForNotification(waitCtx)
	if err != nil && waitCtx.Err() != nil && !s.conn.IsClosed() {
		return false, nil
	}
	return err == nil, err
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
