package handler

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Route binds a function to the event type that it receives. Make one with
// [Each], [Batch], [Notifications] or [Records].
type Route struct {
	key     routeKey
	handler Handler
	zero    events.Event
}

type routeKey struct {
	subscription string      // "" is any
	eventType    events.Type // zero is any
}

func (k routeKey) String() string {
	what := "notifications"
	if k.eventType != (events.Type{}) {
		what = k.eventType.String()
	}
	if k.subscription == "" {
		return what
	}
	return fmt.Sprintf("%s on subscription %q", what, k.subscription)
}

// On returns the route restricted to the subscription of that name, as in the
// manifest. It comes before a route that takes the type from any subscription.
func (r Route) On(subscription string) Route {
	r.key.subscription = subscription
	return r
}

// Sample returns the sample of the route's event type: what its Schema method
// does, on the zero value. It panics for a route of [Notifications], which has no
// Go type.
func (r Route) Sample() events.Event {
	if r.zero == nil {
		panic("handler: a route of notifications knows its event types by name only, and has no sample")
	}
	return r.zero.Schema()
}

// Each calls fn for every event of type T on its own: an error or a panic fails
// that event and no other. It is the form to begin with.
//
// Like an http.Handler, fn is called from several goroutines at once, and must
// be safe for that; Concurrency(1) makes it one call at a time. Its context
// ends a margin before the invocation does, carries the cause of what fn
// publishes and a [Logger] that names the event. fn must return when its
// context ends: if Lambda has to end the invocation, the whole batch comes
// back.
//
// Each panics if T's type is invalid.
func Each[T events.Event](fn func(context.Context, *Message[T]) error, opts ...Option) Route {
	o := newOptions(opts)
	if o.concurrency == 0 {
		o.concurrency = defaultConcurrency
	}
	call := HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		var failed *Failures
		for _, r := range records {
			m, err := Decode[T](r)
			if err == nil {
				err = fn(ctx, m)
			}
			if err != nil {
				if failed == nil {
					failed = new(Failures)
				}
				failed.Add(r, err)
			}
		}
		return failed
	})
	return newRoute[T](chain(call, stack(o)...))
}

// Batch calls fn once with all events of type T that arrived together. If it
// returns a *[Failures] itself (not wrapped in another error), the messages in
// it failed and the others are handled. Any other error, and a panic, fails the
// whole batch: it comes back as it was.
//
// An event whose data cannot be decoded fails alone, for good, and fn does not
// see it. fn
// gets a context that ends a margin before the invocation does; for what it
// publishes and logs on behalf of one event it uses [Message.Context].
//
// Batch panics if T's type is invalid, and for the option Concurrency.
func Batch[T events.Event](fn func(context.Context, []*Message[T]) error, opts ...Option) Route {
	o := newOptions(opts)
	if o.concurrency != 0 {
		panic("handler: Batch makes one call for all events: the option Concurrency is for Each")
	}
	call := HandlerFunc(func(ctx context.Context, records []*Record) *Failures {
		failed := new(Failures)
		given := make([]*Record, 0, len(records)) // fn may do to its own slice what it likes
		messages := make([]*Message[T], 0, len(records))
		for _, r := range records {
			m, err := Decode[T](r)
			if err != nil {
				failed.Add(r, err)
				continue
			}
			given = append(given, r)
			messages = append(messages, m)
		}
		if len(given) > 0 {
			failed.merge(failedOf(given, fn(ctx, messages)))
		}
		return failed
	})
	return newRoute[T](chain(call, stack(o)...))
}

// stack is what stands around every function, outermost first.
func stack(o options) []Middleware {
	if o.templates != nil {
		panic("handler: the option Templates is for Notifications")
	}
	s := []Middleware{
		deadline(o.margin), // the context ends a margin before the invocation
	}
	if o.concurrency > 0 {
		s = append(s, spread(o.concurrency)) // Each: from here on there is one record at a time
	}
	s = append(s,
		outcome,      // one line in the log for every event
		startInTime,  // nothing is started once the context has ended
		recoverPanic, // a panic is a failure
	)
	return append(s, o.middlewares...) // the route's own
}

// failedOf tells which of the given records a batch function's error fails.
func failedOf(given []*Record, err error) *Failures {
	if err == nil {
		return nil
	}
	// Not errors.As: a Failures beside or within another error says nothing
	// about the messages that are not in it.
	some, ok := err.(*Failures)
	if !ok {
		return failAll(given, err)
	}
	known := 0
	for _, r := range given {
		if some.Of(r) != nil {
			known++
		}
	}
	if known < some.len() {
		return failAll(given, fmt.Errorf("the function failed messages that are not in its batch: %w", some))
	}
	return some
}

func newRoute[T events.Event](h Handler) Route {
	var zero T
	t := zero.EventType()
	if err := t.Validate(); err != nil {
		panic("handler: " + err.Error())
	}
	return Route{routeKey{eventType: t}, h, zero}
}

// Option changes how a route runs its function.
type Option func(*options)

type options struct {
	concurrency int // 0 is the default
	margin      time.Duration
	middlewares []Middleware
	templates   []byte // the file of Notifications
}

func newOptions(opts []Option) options {
	o := options{margin: defaultMargin}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Use puts middlewares around the function, the first outermost, inside those
// that every function has: their panics are caught, and the outcome record
// tells what they made of an event.
func Use(middlewares ...Middleware) Option {
	return func(o *options) { o.middlewares = append(o.middlewares, middlewares...) }
}
