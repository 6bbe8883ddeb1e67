package eventstest

import (
	"context"
	"sync"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

// Session is an [events.AfterCommit] whose transaction is the test's to end:
// by Commit, which captures its events, or by Rollback, which drops them. After
// either its methods answer [outbox.ErrSessionDone]. It is safe for concurrent
// use.
type Session struct {
	publisher *Publisher

	mu      sync.Mutex
	waiting []captured
	done    bool
}

var _ events.AfterCommit = (*Session)(nil)

// Begin opens a session.
func (p *Publisher) Begin() *Session { return &Session{publisher: p} }

// InTx runs fn with a session that commits if fn returns nil, and rolls back if
// it fails or panics, as the outboxes' InTx do.
func (p *Publisher) InTx(ctx context.Context, fn func(*Session) error) error {
	s := p.Begin()
	defer s.Rollback()
	if err := fn(s); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return s.Commit()
}

// PublishAfterCommit implements [events.AfterCommit].
func (s *Session) PublishAfterCommit(ctx context.Context, e events.Event) error {
	return s.PublishBatchAfterCommit(ctx, []events.Event{e})
}

// PublishBatchAfterCommit implements [events.AfterCommit].
func (s *Session) PublishBatchAfterCommit(ctx context.Context, batch []events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return outbox.ErrSessionDone
	}
	stamped, err := s.publisher.stamp(ctx, batch)
	if err != nil {
		return err
	}
	s.waiting = append(s.waiting, stamped...)
	return nil
}

// Commit ends the session and captures its events. If the publisher was told to
// fail (see [Publisher.FailWith]), the transaction has not committed, and
// nothing is captured.
func (s *Session) Commit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return outbox.ErrSessionDone
	}
	s.done = true
	return s.publisher.capture(s.waiting)
}

// Rollback ends the session without its events. It does nothing to one that
// has ended already.
func (s *Session) Rollback() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
}
