// Package idempotency has a function handle an event once, although the queue
// delivers it more than once. A function that does not import it does not link
// it.
//
//	cfg, err := awsenv.Config()
//	…
//	store := idempotency.NewDynamoDB(dynamodb.NewFromConfig(cfg), os.Getenv("PENSTOCK_IDEMPOTENCY_TABLE"))
//	handler.Start(handler.Each(pay, handler.Use(idempotency.New(store))))
//
// It is for effects outside of any transaction that Penstock shares: a call to
// another service, a mail. Where the effect is in DynamoDB, outboxdynamo's
// Session.Once is the better way, since there the mark is in the transaction of
// the effect and its events: what happens is exactly once, and costs one call
// rather than two.
//
// # The life of a mark
//
//  1. Before the function is called, the event's key is locked until the
//     invocation ends, in one conditional write.
//  2. A key whose mark says that it was handled is a duplicate: the event is
//     acknowledged, the function is not called, the outcome is duplicate.
//  3. A key that another attempt has locked fails the event, which comes back
//     when that lock ends. Then it is either a duplicate, or its turn.
//  4. If the function returns an error or panics, the lock is released, and a
//     retry begins afresh.
//  5. If it returns nil, the mark is written: handled. It lasts for [TTL].
//
// # What is guaranteed
//
// Two attempts never run at the same time, and once a mark is written the
// function is not called again for its key while it lasts. An attempt that is
// cut off (its process dies, Lambda ends it) leaves its lock, which ends with
// its invocation; then the event is handled again. If it was cut off between
// its effect and its mark, the effect happens twice: no mark outside of the
// effect's own transaction can prevent that. Give the other service the event
// key ([handler.Message.EventKey]) as its own idempotency key, if it takes one.
// The same goes for a mark that could not be written although the function
// succeeded: the event is acknowledged, and a line at level Error says so.
//
// If the store cannot be reached, events fail, and come back: an event whose
// mark is not known is not handled.
package idempotency

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
)

const (
	// DefaultTTL is how long a mark lasts by default: longer than an event can
	// come back, with four days in the queue, fourteen in the DLQ, and time for
	// a redrive.
	DefaultTTL = 30 * 24 * time.Hour

	// longestInvocation is how long a lock lasts in an invocation that has no
	// end, as in a test: what a Lambda function takes at most ("Lambda quotas").
	longestInvocation = 15 * time.Minute

	// skew is how much longer than its invocation a lock lasts: the clock that
	// ends it is another one.
	skew = time.Second

	// writeTime bounds the write of a mark after the function has returned.
	writeTime = 5 * time.Second

	// maxKeyBytes is what a user's key may measure. A partition key takes 2,048
	// bytes ("Quotas in Amazon DynamoDB"), and the names around it need theirs.
	maxKeyBytes = 1024

	// parallel is how many events of a Batch have their marks written at once.
	parallel = 16
)

// Option changes what [New] makes.
type Option func(*guard)

// TTL sets how long a mark lasts, at least a second; the default is
// [DefaultTTL].
func TTL(d time.Duration) Option {
	if d < time.Second {
		panic(fmt.Sprintf("idempotency: TTL(%v): must be at least a second", d))
	}
	return func(g *guard) { g.ttl = d }
}

// Key has events deduplicated by a key that key finds in them, rather than by
// the event key: two events with the same key, such as two announcements of one
// payment, are handled once. A key belongs to its function and subscription (and
// notification template, and [handler.ReprocessSuffix] replay), and has 1 to 1,024 bytes; an event with another one
// fails permanently. T must be the type of the route's events.
func Key[T events.Event](key func(*handler.Message[T]) string) Option {
	return func(g *guard) {
		g.key = func(r *handler.Record) (string, error) {
			m, err := handler.Decode[T](r)
			if err != nil {
				return "", err
			}
			k := key(m)
			if k == "" || len(k) > maxKeyBytes {
				return "", handler.Permanent(fmt.Errorf("idempotency: the key of the event has %d bytes: must be 1 to %d", len(k), maxKeyBytes))
			}
			names := r.Function + "/" + r.Subscription + "/"
			// An event key goes on with the template of a notification, and with a
			// replay that means to handle events anew.
			rest := strings.TrimPrefix(r.EventKey(), names+r.Metadata.ID)
			return names + "key/" + k + rest, nil
		}
	}
}

// New returns a middleware that keeps its marks in store. It belongs inside of
// those that may refuse an event, such as package validation's.
func New(store Store, opts ...Option) handler.Middleware {
	g := &guard{
		store: store,
		ttl:   DefaultTTL,
		key:   func(r *handler.Record) (string, error) { return r.EventKey(), nil },
	}
	for _, opt := range opts {
		opt(g)
	}
	return func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
			return g.handle(ctx, records, next)
		})
	}
}

type guard struct {
	store Store
	ttl   time.Duration
	key   func(*handler.Record) (string, error)
}

// suffix tells these marks from those that outboxdynamo's Once writes into the
// same table: a lock must not look to Once as if the event had been handled.
const suffix = "#idempotency"

// attempt is what became of a record before the function was called.
type attempt struct {
	record *handler.Record
	lock   Lock
	asked  bool  // whether err is the store's
	err    error // why it is not to be handled now
	same   int   // the index of an earlier record of the batch with this key, or its own
}

func (g *guard) handle(ctx context.Context, records []*handler.Record, next handler.Handler) *handler.Failures {
	owner := uuid.NewString()
	now := time.Now()
	until := now.Add(longestInvocation)
	if end, ok := handler.End(ctx); ok {
		until = end
	}
	until = until.Add(skew)

	attempts := make([]attempt, len(records))
	first := map[string]int{}
	for i, r := range records {
		a := &attempts[i]
		a.record, a.same = r, i
		key, err := g.key(r)
		if err != nil {
			a.err = err
			continue
		}
		a.lock = Lock{Key: key + suffix, Owner: owner, Now: now, Until: until}
		if earlier, ok := first[key]; ok {
			a.same = earlier
		} else {
			first[key] = i
		}
	}
	each(attempts, func(i int, a *attempt) {
		if a.err == nil && a.same == i {
			a.err = g.store.Lock(ctx, a.lock)
			a.asked = true
		}
	})

	locked := make([]*handler.Record, 0, len(records))
	for i := range attempts {
		if a := &attempts[i]; a.err == nil && a.same == i {
			locked = append(locked, a.record)
		}
	}
	failed := g.call(ctx, attempts, locked, next)

	all := new(handler.Failures)
	for i := range attempts {
		a := &attempts[i]
		// A second delivery of an event in one batch shares the fate of the first.
		err := attempts[a.same].outcome(failed)
		if err == nil && (a.same != i || errors.Is(a.err, ErrHandled)) {
			a.record.MarkDuplicate()
		}
		all.Add(a.record, err)
	}
	return all
}

// outcome is the error that the record fails with, nil if it is acknowledged.
func (a *attempt) outcome(failed *handler.Failures) error {
	var held *HeldError
	switch {
	case a.err == nil:
		return failed.Of(a.record)
	case !a.asked:
		return a.err
	case errors.Is(a.err, ErrHandled):
		return nil
	case errors.As(a.err, &held):
		return handler.RetryAfter(fmt.Errorf("idempotency: %w", held), time.Until(held.Until)+skew)
	}
	return fmt.Errorf("idempotency: the event was not handled, since its mark could not be read: %w", a.err)
}

// call calls next with the records that were locked, and then writes their marks
// or releases them. If next does not return, it releases them all.
func (g *guard) call(ctx context.Context, attempts []attempt, locked []*handler.Record, next handler.Handler) (failed *handler.Failures) {
	returned := false
	defer func() { g.settle(ctx, attempts, failed, returned) }()
	if len(locked) > 0 {
		failed = next.Handle(ctx, locked)
	}
	returned = true
	return failed
}

func (g *guard) settle(ctx context.Context, attempts []attempt, failed *handler.Failures, returned bool) {
	// The context of events ends a margin before the invocation does. That margin
	// is for this, among others.
	end, ok := handler.End(ctx)
	if bound := time.Now().Add(writeTime); !ok || end.After(bound) {
		end = bound
	}
	write, cancel := context.WithDeadline(context.WithoutCancel(ctx), end)
	defer cancel()

	each(attempts, func(i int, a *attempt) {
		if a.err != nil || a.same != i {
			return
		}
		if !returned || failed.Of(a.record) != nil {
			if err := g.store.Release(write, a.lock); err != nil {
				handler.Logger(a.record.Context(ctx)).WarnContext(ctx, "the lock of a failed event could not be released: a retry waits until it ends",
					"until", a.lock.Until, "reason", err.Error())
			}
			return
		}
		if err := g.store.Complete(write, a.lock, time.Now().Add(g.ttl)); err != nil {
			handler.Logger(a.record.Context(ctx)).ErrorContext(ctx, "an event was handled, but its mark could not be written: another delivery would be handled again",
				"reason", err.Error())
		}
	})
}

// each calls fn for every attempt, several at once.
func each(attempts []attempt, fn func(int, *attempt)) {
	if len(attempts) == 1 {
		fn(0, &attempts[0]) // as always within Each
		return
	}
	var wait sync.WaitGroup
	next := make(chan int)
	for range min(parallel, len(attempts)) {
		wait.Go(func() {
			for i := range next {
				fn(i, &attempts[i])
			}
		})
	}
	for i := range attempts {
		next <- i
	}
	close(next)
	wait.Wait()
}
