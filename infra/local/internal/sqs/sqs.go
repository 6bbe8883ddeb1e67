// Package sqs is Amazon SQS for standard queues, as the local environment runs
// it: at-least-once delivery, visibility, delay, long polling, redrive to a
// dead-letter queue and back, retention and queue policies. Two things are not
// in it, and are refused by name: FIFO queues and customer keys (KMS).
//
// A message's body lies in the store from the moment that its sending is
// acknowledged. What a queue needs to find its way (which message is visible
// when, how often it was received) is kept in memory and in the store, so that
// after a crash a message in flight comes back when its visibility timeout
// ends, with its receive count.
//
// [Service] is the core: it opens no socket. [Service.Operations] is its wire
// API.
package sqs

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Config says where a service's queues are.
type Config struct {
	Account string
	Region  string
	// URL is the address under which queue URLs are given out, without a
	// trailing slash.
	URL     string
	Metrics *metric.Registry // where AWS/SQS is recorded; nil: nowhere
	Meter   *meter.Meter     // where requests are counted; nil: nowhere
	Logger  *slog.Logger
}

// Service holds the queues of one account and region. It is safe for
// concurrent use. The zero value is not usable: call [New].
type Service struct {
	config Config
	store  *store.Store
	stop   chan struct{}

	background sync.WaitGroup
	kept       atomic.Int64 // how many bytes of messages are in memory, see maxKept

	mu      sync.RWMutex
	queues  map[string]*queue
	deleted map[string]time.Time   // when queues were deleted, by name
	moves   map[string][]*moveTask // by source, the oldest first
}

// New returns the service with the queues and messages that the store holds.
// Close ends its background work.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, stop: make(chan struct{}),
		queues: map[string]*queue{}, deleted: map[string]time.Time{}, moves: map[string][]*moveTask{}}
	for entry, err := range st.Scan(store.Prefix(configKey())) {
		if err != nil {
			return nil, err
		}
		var saved savedQueue
		if err := json.Unmarshal(entry.Value, &saved); err != nil {
			return nil, fmt.Errorf("sqs: queue configuration in the store: %w", err)
		}
		settings, err := saved.Attributes.settings()
		if err != nil {
			return nil, fmt.Errorf("sqs: queue %q in the store: %w", saved.Name, err)
		}
		q := newQueue(s, saved, settings)
		if err := q.load(); err != nil {
			return nil, err
		}
		s.queues[saved.Name] = q
	}
	if err := s.loadMoves(); err != nil {
		return nil, err
	}
	config.Metrics.Gauge(s.gauge)
	s.background.Go(s.sweep)
	return s, nil
}

// Close ends the service's background work, and returns when it has ended. It
// does not close the store.
func (s *Service) Close() {
	close(s.stop)
	s.background.Wait()
}

// sweepInterval is how often messages past their queue's retention are
// removed.
const sweepInterval = time.Minute

func (s *Service) sweep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			for _, q := range s.all() {
				if err := q.expire(); err != nil {
					s.config.Logger.Error("removing expired messages", "queue", q.name, "error", err)
				}
			}
		}
	}
}

// savedQueue is a queue's configuration as the store keeps it.
type savedQueue struct {
	Name       string
	Attributes Attributes
	Tags       map[string]string
	CreatedAt  time.Time
	ModifiedAt time.Time
	PurgedAt   time.Time
}

func configKey() store.Key { return store.NewKey("sqs.queue") }

// validName reports whether a text may name a queue, or an entry of a batch: 1 to
// 80 letters, digits, hyphens and underscores.
func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 80
}

// deletedFor is how long the name of a deleted queue is not free ("CreateQueue",
// Amazon SQS API reference).
const deletedFor = 60 * time.Second

// CreateQueue makes a queue. Asked for one that exists it changes nothing, if
// the attributes given are those that it has; else it fails. A name is free a
// minute after its queue was deleted, or after a restart ("CreateQueue", Amazon
// SQS API reference).
func (s *Service) CreateQueue(name string, attributes Attributes, tags map[string]string) error {
	return s.put(name, attributes, tags, false)
}

// EnsureQueue makes a queue, or gives an existing one these attributes, as a
// deployment does. An existing queue keeps its policy, which is deployed as a
// resource of its own.
func (s *Service) EnsureQueue(name string, attributes Attributes, tags map[string]string) error {
	return s.put(name, attributes, tags, true)
}

func (s *Service) put(name string, attributes Attributes, tags map[string]string, update bool) error {
	if strings.HasSuffix(name, ".fifo") || attributes["FifoQueue"] != "" {
		return awswire.Errorf("InvalidAttributeValue", "queue %q: FIFO queues are not supported by the local environment", name)
	}
	if !validName(name) {
		return awswire.Errorf("InvalidParameterValue", "queue name %q: can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length", name)
	}
	full := defaults()
	maps.Copy(full, attributes)
	settings, err := full.settings()
	if err != nil {
		return err
	}
	if err := checkTags(name, tags); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	saved := savedQueue{Name: name, Attributes: full, Tags: tags, CreatedAt: now, ModifiedAt: now}
	existing := s.queues[name]
	switch {
	case existing == nil && !update:
		if at, ok := s.deleted[name]; ok && now.Sub(at) < deletedFor {
			return &awswire.Error{Code: "QueueDeletedRecently", QueryCode: "AWS.SimpleQueueService.QueueDeletedRecently",
				Message: fmt.Sprintf("queue %q was deleted %v ago: you must wait %v after deleting a queue before you can create another with the same name", name, now.Sub(at).Round(time.Second), deletedFor)}
		}
	case existing != nil && !update:
		has := existing.config().Attributes
		for attribute, value := range attributes {
			if has[attribute] != value {
				return &awswire.Error{Code: "QueueNameExists", QueryCode: "QueueAlreadyExists",
					Message: fmt.Sprintf("A queue named %q already exists with different attributes: its %s is %q (got %q)", name, attribute, has[attribute], value)}
			}
		}
		return nil
	case existing != nil:
		is := existing.config()
		if policy, ok := is.Attributes["Policy"]; ok && full["Policy"] == "" {
			full["Policy"] = policy
			settings.policy = existing.policy()
		}
		if maps.Equal(is.Attributes, full) && maps.Equal(is.Tags, tags) {
			return nil
		}
		saved.CreatedAt, saved.PurgedAt = is.CreatedAt, is.PurgedAt
	}
	if existing == nil || existing.config().Attributes["RedrivePolicy"] != full["RedrivePolicy"] {
		if err := s.checkRedrive(name, settings.redrive); err != nil {
			return err
		}
	}
	if existing != nil {
		if err := s.save(saved); err != nil {
			return err
		}
		existing.configure(saved, settings)
		return nil
	}
	q := newQueue(s, saved, settings)
	b := s.store.NewBatch()
	if err := saved.put(b); err != nil {
		b.Discard()
		return err
	}
	q.clear(b) // a message may have come after the end of a queue of this name
	if err := b.Commit(); err != nil {
		return err
	}
	s.queues[name] = q
	return nil
}

func (s *Service) save(saved savedQueue) error {
	b := s.store.NewBatch()
	if err := saved.put(b); err != nil {
		b.Discard()
		return err
	}
	return b.Commit()
}

// put adds the configuration to a batch.
func (q savedQueue) put(b *store.Batch) error {
	value, err := json.Marshal(q)
	if err != nil {
		return err
	}
	b.Set(configKey().String(q.Name), value)
	return nil
}

// SetAttributes changes some of a queue's attributes. An empty Policy,
// RedrivePolicy or RedriveAllowPolicy removes it.
func (s *Service) SetAttributes(name string, changes Attributes) error {
	return s.editAttributes(name, func(a Attributes) error {
		for k, v := range changes {
			if v == "" && (k == "Policy" || k == "RedrivePolicy" || k == "RedriveAllowPolicy") {
				delete(a, k)
				continue
			}
			a[k] = v
		}
		return nil
	})
}

// editAttributes makes a queue's attributes what edit makes of them.
func (s *Service) editAttributes(name string, edit func(Attributes) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	saved := q.config()
	before := saved.Attributes["RedrivePolicy"]
	saved.Attributes = maps.Clone(saved.Attributes)
	if err := edit(saved.Attributes); err != nil {
		return err
	}
	settings, err := saved.Attributes.settings()
	if err != nil {
		return err
	}
	if saved.Attributes["RedrivePolicy"] != before {
		if err := s.checkRedrive(name, settings.redrive); err != nil {
			return err
		}
	}
	saved.ModifiedAt = time.Now()
	if err := s.save(saved); err != nil {
		return err
	}
	q.configure(saved, settings)
	return nil
}

// maxTags is how many tags a queue takes ("Amazon SQS queue quotas"), and the
// others are how many characters a tag has ("Amazon SQS cost allocation tags").
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

func checkTags(name string, tags map[string]string) error {
	if len(tags) > maxTags {
		return awswire.Errorf("InvalidParameterValue", "queue %q: a queue takes %d tags (it would have %d)", name, maxTags, len(tags))
	}
	for key, value := range tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			return awswire.Errorf("InvalidParameterValue", "queue %q: tag key %q: want 1 to %d characters", name, key, maxTagKey)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return awswire.Errorf("InvalidParameterValue", "queue %q: tag key %q: the prefix aws: is reserved", name, key)
		case utf8.RuneCountInString(value) > maxTagValue:
			return awswire.Errorf("InvalidParameterValue", "queue %q: tag %q: want a value of at most %d characters", name, key, maxTagValue)
		}
	}
	return nil
}

// changeTags replaces a queue's tags by what edit makes of them.
func (s *Service) changeTags(name string, edit func(map[string]string)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	saved := q.config()
	tags := maps.Clone(saved.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	edit(tags)
	if err := checkTags(name, tags); err != nil {
		return err
	}
	saved.Tags = tags
	if err := s.save(saved); err != nil {
		return err
	}
	q.tag(saved)
	return nil
}

// purgeInterval is how long after a purge the next one may be ("PurgeQueue",
// Amazon SQS API reference).
const purgeInterval = 60 * time.Second

// Purge removes every message of a queue, once a minute at most.
func (s *Service) Purge(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	saved := q.config()
	if time.Since(saved.PurgedAt) < purgeInterval {
		return &awswire.Error{Code: "PurgeQueueInProgress", QueryCode: "AWS.SimpleQueueService.PurgeQueueInProgress", Status: http.StatusForbidden,
			Message: fmt.Sprintf("Only one PurgeQueue operation on %s is allowed every %d seconds", name, int(purgeInterval/time.Second))}
	}
	saved.PurgedAt = time.Now()
	b := s.store.NewBatch()
	if err := saved.put(b); err != nil {
		b.Discard()
		return err
	}
	q.clear(b)
	if err := b.Commit(); err != nil {
		return err
	}
	q.tag(saved)
	return nil
}

// Messages returns how many messages a queue holds, visible or not; ok is false
// if there is no such queue.
func (s *Service) Messages(name string) (n int, ok bool) {
	q, err := s.find(name)
	if err != nil {
		return 0, false
	}
	c := q.counts()
	return c.visible + c.inFlight + c.delayed, true
}

// DeleteQueue removes a queue, its messages, and what is known of its move
// tasks.
func (s *Service) DeleteQueue(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	b := s.store.NewBatch()
	b.Delete(configKey().String(name))
	moves := store.NewKey("sqs.move").String(name)
	b.DeleteRange(moves, moves.After())
	q.clear(b)
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.queues, name)
	delete(s.moves, name)
	s.deleted[name] = time.Now()
	return nil
}

// all returns the queues in the order of their names.
func (s *Service) all() []*queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.SortedFunc(maps.Values(s.queues), func(a, b *queue) int { return strings.Compare(a.name, b.name) })
}

func (s *Service) find(name string) (*queue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q, ok := s.queues[name]
	if !ok {
		return nil, noSuchQueue(name)
	}
	return q, nil
}

// findARN finds a queue of this account and region by its ARN.
func (s *Service) findARN(arn string) (*queue, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	q, ok := s.lookup(arn)
	if !ok {
		return nil, noSuchQueue(arn)
	}
	return q, nil
}

// lookup is findARN for a caller that holds mu.
func (s *Service) lookup(arn string) (*queue, bool) {
	name, ok := strings.CutPrefix(arn, s.ARN(""))
	if !ok {
		return nil, false
	}
	q, ok := s.queues[name]
	return q, ok
}

func noSuchQueue(name string) error {
	return &awswire.Error{Code: "QueueDoesNotExist", QueryCode: "AWS.SimpleQueueService.NonExistentQueue",
		Message: fmt.Sprintf("The specified queue %q does not exist", name)}
}

// ARN returns the ARN of the queue with the given name.
func (s *Service) ARN(name string) string {
	return "arn:aws:sqs:" + s.config.Region + ":" + s.config.Account + ":" + name
}

// QueueURL returns the URL of the queue with the given name.
func (s *Service) QueueURL(name string) string {
	return s.config.URL + "/" + s.config.Account + "/" + name
}

// Policy returns the policy of the queue with an ARN; nil if it has none, or there
// is no such queue.
func (s *Service) Policy(arn string) *policy.Policy {
	s.mu.RLock()
	q, ok := s.lookup(arn)
	s.mu.RUnlock()
	if !ok {
		return nil
	}
	return q.policy()
}

func (q *queue) policy() *policy.Policy {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.policy
}

// allows checks a queue's policy for a principal that is not of the account.
func (q *queue) allows(r policy.Request) bool {
	p := q.policy()
	return p != nil && p.Allows(r)
}
