package eventbridge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// retries are the deliveries that wait for another attempt. They are in the
// store, and survive a restart; what is in memory is when each is due.
type retries struct {
	resumed bool                   // attempts are made
	timers  map[string]*time.Timer // by the delivery's id; nil before resumed
}

// Attempts are an exponentially growing time apart, with jitter ("How
// EventBridge retries delivering events", which gives no numbers): 1 s first,
// up to 512 s, which makes 185 of them within 24 hours; each by up to half
// shorter.
const (
	firstDelay = time.Second
	maxDelay   = 512 * time.Second
)

// delayBefore is the time before a retry; the first is number 1.
func delayBefore(retry int) time.Duration {
	delay := maxDelay
	if doublings := retry - 1; doublings < 9 {
		delay = firstDelay << doublings
	}
	return delay/2 + rand.N(delay/2+1)
}

func retryKey() store.Key { return store.NewKey("eventbridge.retry") }

// postpone keeps deliveries, whose last attempt was just now, for another.
func (s *Service) postpone(deliveries []delivery, now time.Time) error {
	if len(deliveries) == 0 {
		return nil
	}
	batch := s.store.NewBatch()
	for i := range deliveries {
		d := &deliveries[i]
		if d.ID == "" {
			d.ID = uuid.Must(uuid.NewV7()).String()
		}
		d.Due = now.Add(delayBefore(d.Retries + 1))
		if end := d.First.Add(d.Target.RetryPolicy.maxAge()); d.Due.After(end) {
			d.Due = end // when it is given up
		}
		value, err := json.Marshal(d)
		if err != nil {
			batch.Discard()
			return fmt.Errorf("eventbridge: a delivery to retry: %w", err)
		}
		batch.Set(retryKey().String(d.ID), value)
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range deliveries {
		s.config.Logger.Warn("a rule's target cannot take an event now", "rule", d.Rule, "target", d.Target.ARN, "retry", d.Retries+1, "at", d.Due, "error", d.Last.Message)
		s.awaitRetry(d.ID, d.Due)
	}
	return nil
}

// awaitRetry starts the clock of a delivery that waits. The caller holds mu.
func (s *Service) awaitRetry(id string, due time.Time) {
	if s.retries.resumed && !s.closed {
		s.retries.timers[id] = time.AfterFunc(time.Until(due), func() { s.retry(id) })
	}
}

// Resume begins to retry what waited when the service was closed, and what is
// postponed from now on, goes on with the replays, and lets archives forget. Call
// it once, when the targets are there: one that does not exist refuses for good.
func (s *Service) Resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retries.resumed, s.retries.timers = true, map[string]*time.Timer{}
	for e, err := range s.store.Scan(store.Prefix(retryKey())) {
		if err != nil {
			return err
		}
		var d delivery
		if err := json.Unmarshal(e.Value, &d); err != nil {
			return fmt.Errorf("eventbridge: a delivery to retry in the store: %w", err)
		}
		s.awaitRetry(d.ID, d.Due)
	}
	for _, r := range s.replays {
		if !r.ended() {
			s.runReplay(*r)
		}
	}
	s.expire()
	return nil
}

// retry makes another attempt of a delivery that is due.
func (s *Service) retry(id string) {
	s.mu.Lock()
	delete(s.retries.timers, id)
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.running.Add(1)
	s.mu.Unlock()
	defer s.running.Done()
	if err := s.retryNow(id); err != nil {
		s.config.Logger.Error("a delivery could not be retried; it is tried again", "id", id, "error", err)
		s.mu.Lock()
		s.awaitRetry(id, time.Now().Add(maxDelay))
		s.mu.Unlock()
	}
}

func (s *Service) retryNow(id string) error {
	key := retryKey().String(id)
	value, ok, err := s.store.Get(key)
	if err != nil || !ok {
		return err
	}
	var d delivery
	if err := json.Unmarshal(value, &d); err != nil {
		return err
	}
	if time.Since(d.First) >= d.Target.RetryPolicy.maxAge() {
		err = s.deadLetter([]delivery{d}, []string{tooOld})
	} else {
		d.Retries++
		s.stats.mu.Lock()
		s.stats.Retried++
		s.stats.mu.Unlock()
		var waiting int
		if waiting, err = s.deliver([]delivery{d}); waiting > 0 {
			return err
		}
	}
	if err != nil {
		return err
	}
	batch := s.store.NewBatch()
	batch.Delete(key)
	return batch.Commit()
}
