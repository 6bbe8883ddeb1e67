package sqs

import (
	"context"
	"time"
)

// Receive takes up to messages messages, whose bodies measure up to bytes
// together, out of a queue for an event source mapping, which Lambda's pollers
// do in many calls of ten. It waits up to wait for the first, and hides what
// it returns for the queue's visibility timeout.
func (s *Service) Receive(ctx context.Context, queueARN string, messages, bytes int, wait time.Duration) ([]Received, error) {
	q, err := s.findARN(queueARN)
	if err != nil {
		return nil, err
	}
	got, err := q.receive(ctx, receiveLimits{messages, bytes}, q.visibility(), wait)
	if err == nil {
		q.chargePolls(got)
	}
	return got, err
}

// Delete removes messages by the receipt handles of their last receive.
func (s *Service) Delete(queueARN string, handles []string) error {
	q, err := s.findARN(queueARN)
	if err != nil {
		return err
	}
	q.chargeDeletes(len(handles))
	errs, err := q.remove(handles)
	for _, e := range errs {
		if err == nil {
			err = e
		}
	}
	return err
}

// VisibilityTimeout returns how long a queue hides what was received.
func (s *Service) VisibilityTimeout(queueARN string) (time.Duration, error) {
	q, err := s.findARN(queueARN)
	if err != nil {
		return 0, err
	}
	return q.visibility(), nil
}

func (q *queue) visibility() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.visibility
}
