// Package eventbridge is Amazon EventBridge as the local environment runs it:
// buses, rules with event patterns whose targets are SQS queues, rules with
// schedules whose targets are queues or Lambda functions, and archives of events
// that can be replayed.
//
// The life of an event: [Service.Put] checks an entry, makes the event of it,
// matches it against the enabled rules of its bus, and hands one message a
// target to the queues, all of a call in one durable commit, before it
// answers. A message that its queue cannot take now is kept, and sent again by
// the target's [RetryPolicy]. One that it refuses, or that has been retried in
// vain, goes to the target's dead-letter queue with the reason in its
// attributes; where there is no such queue it is dropped. Both, and events that
// no rule matches, are counted ([Service.Stats]) and logged.
package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/metric"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Queues is what the service needs of SQS.
type Queues interface {
	// Send hands over messages, in one durable commit. errs holds, for each
	// message, nil or why its queue refused it.
	Send(messages []QueueMessage) (errs []error, err error)
}

// QueueMessage is a message for a queue.
type QueueMessage struct {
	QueueARN   string
	Body       string
	RuleARN    string            // on whose behalf
	Attributes map[string]string // message attributes of type String
	// TraceHeader is the system attribute AWSTraceHeader; empty: none.
	TraceHeader string
}

// Config says where a service's buses are.
type Config struct {
	Account string
	Region  string
	Queues  Queues
	// Functions takes what schedules send; unused without such a rule.
	Functions Functions
	Metrics   *metric.Registry // where AWS/Events is recorded; nil: nowhere
	Meter     *meter.Meter     // where what is billed is counted; nil: nowhere
	Logger    *slog.Logger
}

// Service holds the buses of one account and region. It is safe for
// concurrent use. The zero value is not usable: call [New].
type Service struct {
	config  Config
	store   *store.Store
	stats   stats
	figures *figures

	edits    sync.Mutex // held while a rule is read, changed and put back
	mu       sync.RWMutex
	buses    map[string]*bus
	policies map[string]busPolicy // by bus
	archives map[string]*archive
	replays  map[string]*replay // each is replaced, never changed
	closed   bool
	running  sync.WaitGroup // schedules, retries and replays that are being delivered
	retries  retries
	expiry   *time.Timer // of archived events
}

// Bus is an event bus as it is declared.
type Bus struct {
	Name        string
	Description string
	Tags        map[string]string
	// CreatedAt and ModifiedAt are set by the service.
	CreatedAt, ModifiedAt time.Time
}

// bus is a bus in use. It is replaced, and its rules are changed, under the
// service's lock.
type bus struct {
	Bus
	rules    map[string]*rule
	archives []*archive
	enabled  *matcher
}

// matcher finds the rules and archives that an event matches. It is immutable: a
// change of them makes another.
type matcher struct {
	patterns *pattern.Set
	rules    []*rule    // of the first patterns
	archives []*archive // of the other patterns
	all      []*archive // those without a pattern
}

func newBus(b Bus) *bus {
	return &bus{Bus: b, rules: map[string]*rule{}, enabled: &matcher{patterns: pattern.NewSet()}}
}

// put adds a rule, or replaces the one of its name.
func (b *bus) put(r *rule) {
	b.rules[r.Name] = r
	b.index()
}

// remove takes a rule away.
func (b *bus) remove(name string) {
	delete(b.rules, name)
	b.index()
}

func (b *bus) index() {
	m := &matcher{}
	var patterns []*pattern.Pattern
	for _, name := range slices.Sorted(maps.Keys(b.rules)) {
		if r := b.rules[name]; r.pattern != nil && !r.Disabled {
			m.rules = append(m.rules, r)
			patterns = append(patterns, r.pattern)
		}
	}
	for _, a := range b.archives {
		if a.pattern == nil {
			m.all = append(m.all, a)
			continue
		}
		m.archives = append(m.archives, a)
		patterns = append(patterns, a.pattern)
	}
	m.patterns = pattern.NewSet(patterns...)
	b.enabled = m
}

// match returns the enabled rules that an event matches, by their names, and the
// archives that keep it.
func (m *matcher) match(event []byte) (rules []*rule, archives []*archive, err error) {
	places, err := m.patterns.Match(event)
	if err != nil {
		return nil, nil, err
	}
	archives = m.all[:len(m.all):len(m.all)]
	for _, i := range places {
		if i < len(m.rules) {
			rules = append(rules, m.rules[i])
		} else {
			archives = append(archives, m.archives[i-len(m.rules)])
		}
	}
	return rules, archives, nil
}

// Rule says which events of a bus go where, or when an event is made that does:
// it has a pattern, a schedule, or both.
type Rule struct {
	Bus         string
	Name        string
	Pattern     json.RawMessage `json:",omitempty"` // an event pattern
	Schedule    string          // a schedule expression; on the default bus only
	Description string
	Disabled    bool
	Targets     []Target
	Tags        map[string]string
}

type rule struct {
	Rule
	arn      string
	pattern  *pattern.Pattern // nil: none
	schedule schedule         // nil: none

	// Of the schedule; guarded by the service's lock.
	due   time.Time
	timer *time.Timer
}

// deliveries are those of an event that the rule matches.
func (r *rule) deliveries(body, traceHeader string) []delivery {
	out := make([]delivery, len(r.Targets))
	for i, t := range r.Targets {
		out[i] = delivery{Rule: r.Name, RuleARN: r.arn, Target: t, Body: body, TraceHeader: traceHeader}
	}
	return out
}

func (r *rule) hasWildcard() bool { return r.pattern != nil && r.pattern.HasWildcard() }

// defaultBus exists in every account.
const defaultBus = "default"

// New returns the service with the buses and rules that the store holds.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, figures: newFigures(config.Metrics), buses: map[string]*bus{}, archives: map[string]*archive{}, replays: map[string]*replay{}, policies: map[string]busPolicy{}}
	s.buses[defaultBus] = newBus(Bus{Name: defaultBus})
	for e, err := range st.Scan(store.Prefix(busKey())) {
		if err != nil {
			return nil, err
		}
		var saved Bus
		if err := json.Unmarshal(e.Value, &saved); err != nil {
			return nil, fmt.Errorf("eventbridge: a bus in the store: %w", err)
		}
		s.buses[saved.Name] = newBus(saved)
	}
	for e, err := range st.Scan(store.Prefix(ruleKey())) {
		if err != nil {
			return nil, err
		}
		var saved Rule
		if err := json.Unmarshal(e.Value, &saved); err != nil {
			return nil, fmt.Errorf("eventbridge: a rule in the store: %w", err)
		}
		r, err := s.newRule(saved)
		if err != nil {
			return nil, fmt.Errorf("eventbridge: rule %q in the store: %w", saved.Name, err)
		}
		// Its schedule does not run yet: the functions are not there. It does
		// from when the rule is ensured again, or resumed.
		if b, ok := s.buses[saved.Bus]; ok {
			b.put(r)
		}
	}
	return s, errors.Join(s.loadArchives(), s.loadReplays())
}

func busKey() store.Key  { return store.NewKey("eventbridge.eventbus") }
func ruleKey() store.Key { return store.NewKey("eventbridge.rule") }

// BusARN returns the ARN of the bus with the given name.
func (s *Service) BusARN(name string) string {
	return "arn:aws:events:" + s.config.Region + ":" + s.config.Account + ":event-bus/" + name
}

// RuleARN returns the ARN of a rule; the default bus has no part in it.
func (s *Service) RuleARN(bus, name string) string {
	if bus != defaultBus {
		name = bus + "/" + name
	}
	return fmt.Sprintf("arn:aws:events:%s:%s:rule/%s", s.config.Region, s.config.Account, name)
}

// busName reads a bus's name from its name, its ARN, or nothing, which is the
// default bus.
func (s *Service) busName(nameOrARN string) string {
	if nameOrARN == "" {
		return defaultBus
	}
	if name, ok := strings.CutPrefix(nameOrARN, s.BusARN("")); ok {
		return name
	}
	return nameOrARN
}

func noSuchBus(name string) error {
	return awswire.Errorf("ResourceNotFoundException", "Event bus %s does not exist", name)
}

// EnsureBus makes a bus, or gives an existing one this description, and these
// tags besides those it has.
func (s *Service) EnsureBus(b Bus) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	existing, ok := s.buses[b.Name]
	if !ok {
		existing = newBus(Bus{Name: b.Name, CreatedAt: time.Now()})
	}
	changed := existing.Bus
	changed.Description = b.Description
	changed.Tags = maps.Clone(existing.Tags)
	if changed.Tags == nil {
		changed.Tags = map[string]string{}
	}
	maps.Copy(changed.Tags, b.Tags)
	if ok && changed.Description == existing.Description && maps.Equal(changed.Tags, existing.Tags) {
		return nil
	}
	return s.saveBus(existing, changed)
}

// saveBus makes a change of a bus durable, and puts the bus in place. The
// caller holds mu.
func (s *Service) saveBus(b *bus, changed Bus) error {
	changed.ModifiedAt = time.Now()
	value, err := json.Marshal(changed)
	if err != nil {
		return err
	}
	batch := s.store.NewBatch()
	batch.Set(busKey().String(changed.Name), value)
	if err := batch.Commit(); err != nil {
		return err
	}
	b.Bus = changed
	s.buses[changed.Name] = b
	s.index(changed.Name)
	return nil
}

// HasBus reports whether there is a bus with the given name.
func (s *Service) HasBus(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buses[name] != nil
}

// DeleteBus removes a bus, which must have no rules. One that does not exist is
// not an error.
func (s *Service) DeleteBus(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	existing, ok := s.buses[name]
	switch {
	case name == defaultBus:
		return awswire.Errorf("ValidationException", "Cannot delete event bus default")
	case !ok:
		return nil
	case len(existing.rules) > 0:
		return awswire.Errorf("ValidationException", "Event bus %s can't be deleted since it has rules", name)
	}
	b := s.store.NewBatch()
	b.Delete(busKey().String(name))
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.buses, name)
	return nil
}

// maxPattern is the longest event pattern, in characters, maxTargets how many
// targets a rule takes, and maxRules how many rules a bus, maxWildcardRules of
// them with wildcards ("Amazon EventBridge quotas").
const (
	maxPattern       = 2048
	maxTargets       = 5
	maxRules         = 300
	maxWildcardRules = 30
)

// EnsureRule makes a rule, or gives an existing one this form; with no (nil)
// Tags that one keeps its own.
func (s *Service) EnsureRule(r Rule) error {
	if r.Bus == "" {
		r.Bus = defaultBus
	}
	checked, err := s.newRule(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buses[r.Bus]
	if !ok {
		return noSuchBus(r.Bus)
	}
	existing, ok := b.rules[r.Name]
	if !ok && len(b.rules) == maxRules {
		return awswire.Errorf("LimitExceededException", "event bus %s has %d rules, as many as EventBridge allows", r.Bus, maxRules)
	}
	if checked.hasWildcard() {
		others := 0
		for name, other := range b.rules {
			if name != r.Name && other.hasWildcard() {
				others++
			}
		}
		if others >= maxWildcardRules {
			return awswire.Errorf("LimitExceededException", "event bus %s has %d rules with wildcards in their patterns, as many as EventBridge allows", r.Bus, maxWildcardRules)
		}
	}
	if ok && r.Tags == nil {
		checked.Tags = existing.Tags
	}
	return s.save(b, checked)
}

// ResumeRule lets the schedule run of a rule that the store held, and reports
// whether there is such a rule.
func (s *Service) ResumeRule(bus, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buses[bus]
	if !ok || b.rules[name] == nil {
		return false
	}
	s.arm(b.rules[name], b.rules[name])
	return true
}

// newRule checks a rule.
func (s *Service) newRule(r Rule) (*rule, error) {
	checked := &rule{Rule: r, arn: s.RuleARN(r.Bus, r.Name)}
	var err error
	if checked.schedule, err = r.checkSchedule(); err != nil {
		return nil, err
	}
	if n := utf8.RuneCount(r.Pattern); n > maxPattern {
		return nil, awswire.Errorf("LimitExceededException", "rule %q: the event pattern has %d characters, and EventBridge takes %d", r.Name, n, maxPattern)
	}
	if len(r.Pattern) > 0 || r.Schedule == "" {
		if checked.pattern, err = pattern.Parse(r.Pattern); err != nil {
			return nil, awswire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
		}
	}
	if len(r.Targets) > maxTargets {
		return nil, awswire.Errorf("LimitExceededException", "rule %q has %d targets, and EventBridge takes %d", r.Name, len(r.Targets), maxTargets)
	}
	ids := map[string]bool{}
	for _, t := range r.Targets {
		if err := t.check(checked.pattern == nil); err != nil {
			return nil, err
		}
		if ids[t.ID] {
			return nil, awswire.Errorf("ValidationException", "rule %q has two targets with the id %q", r.Name, t.ID)
		}
		ids[t.ID] = true
	}
	return checked, nil
}

// save makes a rule durable and puts it on its bus. The caller holds mu.
func (s *Service) save(b *bus, r *rule) error {
	value, err := json.Marshal(r.Rule)
	if err != nil {
		return err
	}
	batch := s.store.NewBatch()
	batch.Set(ruleKey().String(r.Bus).String(r.Name), value)
	if err := batch.Commit(); err != nil {
		return err
	}
	s.arm(r, b.rules[r.Name])
	b.put(r)
	return nil
}

// change replaces a rule by what edit makes of a copy of it.
func (s *Service) change(busName, name string, edit func(*Rule) error) error {
	s.edits.Lock()
	defer s.edits.Unlock()
	existing, err := s.rule(busName, name)
	if err != nil {
		return err
	}
	changed := existing.Rule
	changed.Targets = slices.Clone(changed.Targets)
	if err := edit(&changed); err != nil {
		return err
	}
	return s.EnsureRule(changed)
}

func noSuchRule(bus, name string) error {
	return awswire.Errorf("ResourceNotFoundException", "Rule %s does not exist on EventBus %s", name, bus)
}

// DeleteRule removes a rule and its targets. One that does not exist is not an
// error.
func (s *Service) DeleteRule(busName, name string) error {
	err := s.change(busName, name, func(r *Rule) error { r.Targets = nil; return nil })
	var e *awswire.Error
	if errors.As(err, &e) && e.Code == "ResourceNotFoundException" {
		return nil
	}
	if err != nil {
		return err
	}
	return s.deleteRule(busName, name)
}

// deleteRule removes a rule, which must have no targets. One that does not
// exist is not an error.
func (s *Service) deleteRule(busName, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.buses[busName]
	if !ok {
		return noSuchBus(busName)
	}
	r, ok := b.rules[name]
	if !ok {
		return nil
	}
	if len(r.Targets) > 0 {
		return awswire.Errorf("ValidationException", "Rule can't be deleted since it has targets")
	}
	batch := s.store.NewBatch()
	batch.Delete(ruleKey().String(busName).String(name))
	if err := batch.Commit(); err != nil {
		return err
	}
	s.arm(nil, r)
	b.remove(name)
	return nil
}

// rule finds a rule.
func (s *Service) rule(busName, name string) (*rule, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.buses[busName]
	if !ok {
		return nil, noSuchBus(busName)
	}
	r, ok := b.rules[name]
	if !ok {
		return nil, noSuchRule(busName, name)
	}
	return r, nil
}

// rules returns the rules of a bus in the order of their names.
func (s *Service) rules(busName string) ([]*rule, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.buses[busName]
	if !ok {
		return nil, noSuchBus(busName)
	}
	return slices.SortedFunc(maps.Values(b.rules), func(a, b *rule) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Stats are figures of a service since it was opened.
type Stats struct {
	Events       int            // accepted from PutEvents
	Matched      int            // of them, matched by at least one rule
	Unmatched    map[string]int // the others, by "source/detail-type"
	Delivered    int            // messages that queues took
	Retried      int            // further attempts to deliver a message
	DeadLettered int            // messages that went to a rule's dead-letter queue
	Dropped      int            // messages that were given up and had no such queue
}

type stats struct {
	mu sync.Mutex
	Stats
}

// Stats returns the figures so far.
func (s *Service) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	out := s.stats.Stats
	out.Unmatched = maps.Clone(out.Unmatched)
	return out
}

// unmatched counts an event that no rule matched, and logs the first of its
// type, the tenth, the hundredth and so on: visible, and never a flood.
func (s *Service) unmatched(busName, eventType string) {
	s.stats.mu.Lock()
	if s.stats.Unmatched == nil {
		s.stats.Unmatched = map[string]int{}
	}
	s.stats.Unmatched[eventType]++
	n := s.stats.Unmatched[eventType]
	s.stats.mu.Unlock()
	for power := 1; power <= n; power *= 10 {
		if n == power {
			s.config.Logger.Warn("no rule matches this event", "type", eventType, "bus", busName, "unmatchedSoFar", n)
		}
	}
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
