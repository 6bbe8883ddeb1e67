package connector

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Response is what came of one attempt to call a function, or of a message that
// no function matches. Subscribers share Header and Body, and must not change
// them.
type Response struct {
	// Context is that of Invoke or InvokeFunction, with its values.
	Context context.Context

	Topic    string // of the message; empty for InvokeFunction without WithTopic
	Function string // with its namespace, if it has one; empty if none matches

	// Status, Header and Body are what the function answered. Status is 202, and
	// Body empty, if Lambda accepted an asynchronous call; and 0 if Err says why
	// there is no response.
	Status int
	Header http.Header
	Body   []byte

	// Err is a *FunctionError, Lambda's error, ErrNoMatch, or why the message
	// could not be sent. A status other than 200 to 299 is no error.
	Err error

	// Duration is how long the attempt took, without waiting for its turn.
	Duration time.Duration

	// Attempt counts from 1; 0 if nothing was sent.
	Attempt int

	// CallID is the id of Lambda's request, which the callback of an asynchronous
	// call repeats as X-Call-Id, and which the function's log has. Empty if Lambda
	// was not reached.
	CallID string

	// Final says that the call is not made again.
	Final bool

	// DeadLettered says that the call has failed for good and the DLQ has the
	// message.
	DeadLettered bool

	// Missed is how many responses before this one a subscriber did not get,
	// because its backlog was full.
	Missed int
}

// Failed reports whether the attempt failed: an error, or a status other than
// 200 to 299.
func (r *Response) Failed() bool { return r.Err != nil || r.Status < 200 || r.Status > 299 }

// reason says why the attempt failed.
func (r *Response) reason() string {
	if r.Err != nil {
		return r.Err.Error()
	}
	return fmt.Sprintf("function %s answered %d %s", r.Function, r.Status, http.StatusText(r.Status))
}

// Subscriber is told of every response.
type Subscriber interface {
	// Response is called with one response after the other. One that takes long
	// delays nobody else; see Config.Backlog.
	Response(Response)
}

// SubscriberFunc is a function as a [Subscriber].
type SubscriberFunc func(Response)

// Response implements [Subscriber].
func (f SubscriberFunc) Response(r Response) { f(r) }

// Subscription is a subscriber's place at a connector.
type Subscription struct {
	mu      sync.Mutex
	queue   chan Response // nil once it is closed
	missed  int           // since the last that was queued
	dropped uint64
	done    chan struct{} // closed when all is delivered
	leave   func()
}

// Unsubscribe ends the subscription: what was queued is still delivered, and
// nothing after it. It does not wait, so that a subscriber may call it.
func (s *Subscription) Unsubscribe() {
	s.leave()
	s.end()
}

// Dropped is how many responses the subscriber did not get, because its backlog
// was full.
func (s *Subscription) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// offer queues a response if there is room, and reports whether it is the first
// that there was none for.
func (s *Subscription) offer(r Response) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue == nil {
		return false
	}
	r.Missed = s.missed
	select {
	case s.queue <- r:
		s.missed = 0
		return false
	default:
		s.missed++
		s.dropped++
		return s.missed == 1
	}
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		close(s.queue)
		s.queue = nil
	}
}

// subscribers are those of one connector.
type subscribers struct {
	backlog int
	logger  *slog.Logger

	subscribing sync.RWMutex
	ended       bool
	all         map[*Subscription]bool
}

// Subscribe has a subscriber told of every response from now on.
func (all *subscribers) Subscribe(s Subscriber) *Subscription {
	queue := make(chan Response, all.backlog)
	sub := &Subscription{queue: queue, done: make(chan struct{})}
	sub.leave = func() {
		all.subscribing.Lock()
		defer all.subscribing.Unlock()
		delete(all.all, sub)
	}
	all.subscribing.Lock()
	defer all.subscribing.Unlock()
	if all.ended {
		sub.end()
		close(sub.done)
		return sub
	}
	if all.all == nil {
		all.all = map[*Subscription]bool{}
	}
	all.all[sub] = true
	go func() {
		defer close(sub.done)
		for r := range queue {
			s.Response(r)
		}
	}()
	return sub
}

// tell queues a response for every subscriber.
func (all *subscribers) tell(r Response) {
	all.subscribing.RLock()
	defer all.subscribing.RUnlock()
	for s := range all.all {
		if s.offer(r) {
			all.logger.Warn("a subscriber is too slow: responses are dropped", "backlog", all.backlog, "dropped", s.Dropped())
		}
	}
}

// drain ends every subscription, and waits until all is delivered or ctx ends.
func (all *subscribers) drain(ctx context.Context) error {
	all.subscribing.Lock()
	all.ended = true
	waiting := all.all
	all.all = nil
	all.subscribing.Unlock()
	for s := range waiting {
		s.end()
	}
	for s := range waiting {
		select {
		case <-s.done:
		case <-ctx.Done():
			return fmt.Errorf("connector: a subscriber has not taken all its responses: %w", context.Cause(ctx))
		}
	}
	return nil
}
