// Package sqs is Amazon SQS for standard queues, as the local environment runs
// it: at-least-once delivery, visibility, delay, long polling, redrive to a
// dead-letter queue, retention and queue policies.
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
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Config says where a service's queues are.
type Config struct {
	Account string
	Region  string
	// URL is the address under which queue URLs are given out, without a
	// trailing slash.
	URL    string
	Logger *slog.Logger
}

// Service holds the queues of one account and region. It is safe for
// concurrent use. The zero value is not usable: call [New].
type Service struct {
	config Config
	store  *store.Store
	stop   chan struct{}

	mu     sync.RWMutex
	queues map[string]*queue
}

// New returns the service with the queues and messages that the store holds.
// Close ends its background work.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, queues: map[string]*queue{}, stop: make(chan struct{})}
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
	go s.sweep()
	return s, nil
}

// Close ends the service's background work. It does not close the store.
func (s *Service) Close() { close(s.stop) }

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
}

func configKey() store.Key { return store.NewKey("sqs.queue") }

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// CreateQueue makes a queue. Asked for one that exists with the same
// attributes it changes nothing; with others it fails ("CreateQueue", Amazon
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
	if !validName.MatchString(name) {
		return awswire.Errorf("InvalidParameterValue", "queue name %q: can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length", name)
	}
	full := defaults()
	maps.Copy(full, attributes)
	settings, err := full.settings()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	saved := savedQueue{name, full, tags, now, now}
	existing := s.queues[name]
	if existing != nil {
		if policy, ok := existing.config().Attributes["Policy"]; ok && update && full["Policy"] == "" {
			full["Policy"] = policy
			settings.policy = existing.policy()
		}
		if maps.Equal(existing.config().Attributes, full) && (!update || maps.Equal(existing.config().Tags, tags)) {
			return nil
		}
		if !update {
			return &awswire.Error{Code: "QueueNameExists", QueryCode: "QueueAlreadyExists",
				Message: fmt.Sprintf("A queue named %q already exists with different attributes", name)}
		}
		saved.CreatedAt = existing.config().CreatedAt
	}
	if err := s.save(saved); err != nil {
		return err
	}
	if existing != nil {
		existing.configure(saved, settings)
		return nil
	}
	s.queues[name] = newQueue(s, saved, settings)
	return nil
}

func (s *Service) save(saved savedQueue) error {
	value, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	b := s.store.NewBatch()
	b.Set(configKey().String(saved.Name), value)
	return b.Commit()
}

// SetAttributes changes some of a queue's attributes.
func (s *Service) SetAttributes(name string, changes Attributes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	saved := q.config()
	saved.Attributes = maps.Clone(saved.Attributes)
	for k, v := range changes {
		if v == "" && (k == "Policy" || k == "RedrivePolicy") {
			delete(saved.Attributes, k)
			continue
		}
		saved.Attributes[k] = v
	}
	settings, err := saved.Attributes.settings()
	if err != nil {
		return err
	}
	saved.ModifiedAt = time.Now()
	if err := s.save(saved); err != nil {
		return err
	}
	q.configure(saved, settings)
	return nil
}

// maxTags is how many tags a queue takes ("Amazon SQS queue quotas").
const maxTags = 50

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
	if len(tags) > maxTags {
		return awswire.Errorf("InvalidParameterValue", "queue %q: a queue takes %d tags (it would have %d)", name, maxTags, len(tags))
	}
	saved.Tags = tags
	if err := s.save(saved); err != nil {
		return err
	}
	q.tag(saved)
	return nil
}

// DeleteQueue removes a queue and its messages.
func (s *Service) DeleteQueue(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return noSuchQueue(name)
	}
	b := s.store.NewBatch()
	b.Delete(configKey().String(name))
	q.clear(b)
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.queues, name)
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
	name, ok := strings.CutPrefix(arn, s.ARN(""))
	if !ok {
		return nil, noSuchQueue(arn)
	}
	return s.find(name)
}

func noSuchQueue(name string) error {
	return &awswire.Error{Code: "QueueDoesNotExist", QueryCode: "AWS.SimpleQueueService.NonExistentQueue",
		Message: fmt.Sprintf("The specified queue %q does not exist", name)}
}

// ARN returns the ARN of the queue with the given name.
func (s *Service) ARN(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.config.Region, s.config.Account, name)
}

// QueueURL returns the URL of the queue with the given name.
func (s *Service) QueueURL(name string) string {
	return s.config.URL + "/" + s.config.Account + "/" + name
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
