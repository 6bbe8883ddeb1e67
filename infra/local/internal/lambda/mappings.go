package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// MappingUpdate is what can be changed of a live mapping; nil leaves a value
// as it is.
type MappingUpdate struct {
	Enabled            *bool
	BatchSize          *int
	Window             *time.Duration
	MaximumConcurrency *int // 0: no bound
	EventCountMetrics  *bool
}

// MappingStatus is a mapping as it is now.
type MappingStatus struct {
	Mapping
	UUID string
	// State is Enabled or Disabled, or after an update, until it is in force,
	// Enabling, Updating or Disabling: batches that have begun finish as they are.
	State        string
	LastModified time.Time
	Counters     Counters
}

// mapping is a mapping at work.
type mapping struct {
	l        *Lambda
	uuid     string
	source   string      // the ARN
	function string      // the name
	denied   atomic.Bool // the function's role does not allow to poll
	counters counters
	inFlight atomic.Int64 // batches

	mu        sync.Mutex
	spec      Mapping // as it holds now
	changing  string  // the state until the next turn; empty: none
	saved     savedMapping
	interrupt context.CancelFunc // ends the present turn
	deleted   bool               // the present turn is the last
	ended     chan struct{}      // closed after the last
}

// savedMapping is what is remembered of a mapping: what the template said
// last, and what holds now. A template that is applied again changes only what
// it says differently from before; what a person or the breaker has changed in
// the meantime stays.
type savedMapping struct {
	Source       string // the ARN
	Template     mappingValues
	Live         mappingValues
	LastModified time.Time
}

type mappingValues struct {
	Enabled            *bool
	BatchSize          int
	WindowSeconds      int
	MaximumConcurrency int
	EventCountMetrics  bool
}

func (m *Mapping) values() mappingValues {
	return mappingValues{m.Enabled, m.BatchSize, int(m.Window / time.Second), m.MaximumConcurrency, m.EventCountMetrics}
}

// mappingSpace is the namespace of the mappings' UUIDs. They are made of
// function and source, so that they stay the same.
var mappingSpace = uuid.MustParse("5a3f1f3e-0c42-4f0c-9f0a-2f6d1d1c7f58")

func mappingID(spec *Mapping) string { return MappingID(spec.Function, spec.SourceARN) }

// MappingID is the UUID of the mapping of a source to a function.
func MappingID(function, sourceARN string) string {
	return uuid.NewSHA1(mappingSpace, []byte(function+"\x00"+sourceARN)).String()
}

// CreateMapping starts a mapping and returns its UUID, which is the same
// whenever the same source is mapped to the same function: one that was
// remembered goes on where it stopped. Its errors are those of AWS's
// operation.
func (l *Lambda) CreateMapping(ctx context.Context, spec Mapping) (string, error) {
	spec.setDefaults()
	if err := spec.check(); err != nil {
		return "", err
	}
	m := &mapping{l: l, uuid: mappingID(&spec), source: spec.SourceARN, function: spec.Function, spec: spec, interrupt: func() {}, ended: make(chan struct{})}
	m.counters.init(l.cfg.Metrics, m.uuid)
	l.mu.Lock()
	f, exists := l.functions[spec.Function], l.mappings[m.uuid] != nil
	l.mu.Unlock()
	if f == nil {
		return "", notFound("Function not found: %s", l.functionARN(spec.Function))
	}
	if exists {
		return "", &awswire.Error{Code: "ResourceConflictException", Status: 409, Message: fmt.Sprintf(
			"An event source mapping with event source arn (%q) and function (%q) already exists. Please update or delete the existing mapping with UUID %s", spec.SourceARN, spec.Function, m.uuid)}
	}
	if err := l.checkSource(&spec, f); err != nil {
		return "", err
	}
	if err := m.recall(); err != nil {
		return "", err
	}
	if !spec.isQueue() {
		if err := m.findStart(ctx); err != nil {
			return "", err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return "", errClosed
	}
	l.mappings[m.uuid] = m
	l.running.Go(m.run)
	return m.uuid, nil
}

// checkVisibility checks that a queue hides messages for as long as the
// function may take.
func (l *Lambda) checkVisibility(spec *Mapping, f *function) error {
	if !spec.isQueue() {
		return nil
	}
	visibility, err := l.cfg.Queues.VisibilityTimeout(spec.SourceARN)
	if err != nil {
		return err
	}
	if visibility < f.Timeout {
		return invalid("Queue visibility timeout: %.0f seconds is less than Function timeout: %.0f seconds (the mapping of %s)", visibility.Seconds(), f.Timeout.Seconds(), spec.SourceARN)
	}
	return nil
}

// recall brings together what the template says with what is remembered.
func (m *mapping) recall() error {
	known, err := m.load()
	if err != nil {
		return err
	}
	template, spec := m.spec.values(), m.spec
	if known {
		spec = m.saved.merge(spec)
	} else if spec.Enabled == nil {
		spec.Enabled = new(true)
	}
	return m.change(template, spec)
}

// load reads what is remembered of a mapping.
func (m *mapping) load() (known bool, err error) {
	data, known, err := m.l.cfg.Store.Get(m.key())
	if err != nil || !known {
		return false, err
	}
	if err := json.Unmarshal(data, &m.saved); err != nil {
		return false, fmt.Errorf("lambda: mapping %s in the store: %w", m.uuid, err)
	}
	return true, nil
}

// merge returns the mapping that holds when the template asks for spec: what it
// says as before stays as it is now.
func (s *savedMapping) merge(spec Mapping) Mapping {
	template, before, live := spec.values(), s.Template, s.Live
	if template.BatchSize != before.BatchSize {
		live.BatchSize = template.BatchSize
	}
	if template.WindowSeconds != before.WindowSeconds {
		live.WindowSeconds = template.WindowSeconds
	}
	if template.MaximumConcurrency != before.MaximumConcurrency {
		live.MaximumConcurrency = template.MaximumConcurrency
	}
	if template.EventCountMetrics != before.EventCountMetrics {
		live.EventCountMetrics = template.EventCountMetrics
	}
	if template.Enabled != nil && (before.Enabled == nil || *template.Enabled != *before.Enabled) {
		live.Enabled = template.Enabled
	}
	spec.Enabled, spec.BatchSize, spec.Window = live.Enabled, live.BatchSize, time.Duration(live.WindowSeconds)*time.Second
	spec.MaximumConcurrency, spec.EventCountMetrics = live.MaximumConcurrency, live.EventCountMetrics
	return spec
}

// change makes spec hold, once it is durable.
func (m *mapping) change(template mappingValues, spec Mapping) error {
	if err := spec.check(); err != nil {
		return err
	}
	saved := savedMapping{m.source, template, spec.values(), time.Now()}
	data, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	b := m.l.cfg.Store.NewBatch()
	b.Set(m.key(), data)
	if err := b.Commit(); err != nil {
		return err
	}
	m.spec, m.saved = spec, saved
	m.counters.measured.Store(spec.EventCountMetrics)
	return nil
}

func (m *mapping) key() store.Key { return store.NewKey("lambda").String("mapping").String(m.uuid) }

// UpdateMapping changes a mapping durably, and returns it as it is then: on the
// way to its new state, which it reaches soon. Disabled, it lets the batches
// finish that have begun. As on AWS, one that is on its way from an earlier
// update cannot be changed meanwhile (ResourceInUseException).
func (l *Lambda) UpdateMapping(id string, update MappingUpdate) (MappingStatus, error) {
	m, err := l.mapping(id)
	if err != nil {
		return MappingStatus{}, err
	}
	l.mu.Lock()
	f := l.functions[m.function]
	l.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if state := m.state(); state != "Enabled" && state != "Disabled" {
		return MappingStatus{}, awswire.Errorf("ResourceInUseException",
			"Cannot update the event source mapping because it is in use. (Its state is %s: wait until it is Enabled or Disabled.)", state)
	}
	spec, wasEnabled := m.spec, *m.spec.Enabled
	if update.Enabled != nil {
		spec.Enabled = update.Enabled
	}
	if update.BatchSize != nil {
		spec.BatchSize = *update.BatchSize
	}
	if update.Window != nil {
		spec.Window = *update.Window
	}
	if update.MaximumConcurrency != nil {
		spec.MaximumConcurrency = *update.MaximumConcurrency
	}
	if update.EventCountMetrics != nil {
		spec.EventCountMetrics = *update.EventCountMetrics
	}
	if err := l.checkSource(&spec, f); err != nil {
		return MappingStatus{}, err
	}
	if err := m.change(m.saved.Template, spec); err != nil {
		return MappingStatus{}, err
	}
	switch enabled := *spec.Enabled; {
	case enabled == wasEnabled:
		m.changing = "Updating"
	case enabled:
		m.changing = "Enabling"
	default:
		m.changing = "Disabling"
	}
	m.interrupt()
	return m.statusNow(), nil
}

func (l *Lambda) mapping(id string) (*mapping, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := l.mappings[id]; m != nil {
		return m, nil
	}
	return nil, notFound("The resource you requested does not exist: event source mapping %s", id)
}

// Mapping returns the mapping with a UUID.
func (l *Lambda) Mapping(id string) (MappingStatus, error) {
	m, err := l.mapping(id)
	if err != nil {
		return MappingStatus{}, err
	}
	return m.status(), nil
}

// Mappings returns every mapping, ordered by function and source.
func (l *Lambda) Mappings() []MappingStatus {
	l.mu.Lock()
	all := make([]*mapping, 0, len(l.mappings))
	for _, m := range l.mappings {
		all = append(all, m)
	}
	l.mu.Unlock()
	out := make([]MappingStatus, len(all))
	for i, m := range all {
		out[i] = m.status()
	}
	slices.SortFunc(out, func(a, b MappingStatus) int {
		return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.SourceARN, b.SourceARN))
	})
	return out
}

func (m *mapping) status() MappingStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.statusNow()
}

// statusNow is status for a caller that holds mu.
func (m *mapping) statusNow() MappingStatus {
	return MappingStatus{Mapping: m.spec, UUID: m.uuid, State: m.state(), LastModified: m.saved.LastModified, Counters: m.counters.read()}
}

// state is the one that the mapping is in. The caller holds mu.
func (m *mapping) state() string {
	switch {
	case m.changing != "":
		return m.changing
	case *m.spec.Enabled:
		return "Enabled"
	case m.inFlight.Load() > 0:
		return "Disabling"
	}
	return "Disabled"
}

// run is the mapping's work, in turns: each with the values that hold when it
// begins, until an update interrupts it.
func (m *mapping) run() {
	defer close(m.ended)
	poller := newPoller(m)
	for m.l.ctx.Err() == nil {
		m.mu.Lock()
		if m.deleted {
			m.mu.Unlock()
			break
		}
		spec := m.spec
		m.changing = ""
		turn, cancel := context.WithCancel(m.l.ctx)
		m.interrupt = cancel
		m.mu.Unlock()
		switch {
		case !*spec.Enabled:
			<-turn.Done()
		case spec.isQueue():
			poller.poll(turn, spec)
		default:
			m.readStream(turn, spec)
		}
		cancel()
	}
	poller.deliveries.Wait()
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// backOff returns the waits between attempts: each twice the one before.
type backOff struct{ last time.Duration }

const (
	firstWait = 100 * time.Millisecond
	longWait  = 30 * time.Second
)

func (b *backOff) next() time.Duration {
	b.last = min(max(2*b.last, firstWait), longWait)
	return b.last
}
