package eventbridge

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// replay is a replay of an archive's events to the bus that they came from. The
// JSON is what is kept of it.
type replay struct {
	Name        string
	Description string
	Archive     string
	Bus         string
	Rules       []string  // the ARNs of those that get the events; empty: all
	From, To    time.Time // events from From on, and before To
	State       string
	Reason      string
	StartedAt   time.Time
	EndedAt     time.Time
	Last        time.Time // of the event that was replayed last
	Position    store.Key // of that event; nil: none yet
}

// The states of a replay.
const (
	replayStarting   = "STARTING"
	replayRunning    = "RUNNING"
	replayCancelling = "CANCELLING"
	replayCompleted  = "COMPLETED"
	replayCancelled  = "CANCELLED"
	replayFailed     = "FAILED"
)

// maxReplays is how many replays may be active, and replayRetention how long one
// is known ("Amazon EventBridge quotas", "Archiving and replaying events in Amazon
// EventBridge").
const (
	maxReplays      = 10
	replayRetention = 90 * 24 * time.Hour
)

// replayChunk is how many events are delivered, and noted as such, at once.
const replayChunk = 100

func (r *replay) ended() bool {
	return r.State == replayCompleted || r.State == replayCancelled || r.State == replayFailed
}

func replayKey() store.Key { return store.NewKey("eventbridge.replay") }

// ReplayARN returns the ARN of the replay with the given name.
func (s *Service) ReplayARN(name string) string {
	return fmt.Sprintf("arn:aws:events:%s:%s:replay/%s", s.config.Region, s.config.Account, name)
}

func noSuchReplay(name string) error {
	return awswire.Errorf("ResourceNotFoundException", "Replay %s does not exist.", name)
}

// saveReplay makes a replay durable. The caller holds mu.
func (s *Service) saveReplay(r *replay) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	batch := s.store.NewBatch()
	batch.Set(replayKey().String(r.Name), value)
	if err := batch.Commit(); err != nil {
		return err
	}
	s.replays[r.Name] = r
	return nil
}

// loadReplays reads the replays from the store.
func (s *Service) loadReplays() error {
	for e, err := range s.store.Scan(store.Prefix(replayKey())) {
		if err != nil {
			return err
		}
		r := &replay{}
		if err := json.Unmarshal(e.Value, r); err != nil {
			return fmt.Errorf("eventbridge: a replay in the store: %w", err)
		}
		s.replays[r.Name] = r
	}
	return nil
}

// startReplay starts a checked replay.
func (s *Service) startReplay(r *replay) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.replays[r.Name]; ok {
		return awswire.Errorf("ResourceAlreadyExistsException", "Replay %s already exists.", r.Name)
	}
	active := 0
	for _, other := range s.replays {
		if !other.ended() {
			active++
		}
	}
	if active >= maxReplays {
		return awswire.Errorf("LimitExceededException", "%d replays are active, as many as EventBridge allows", maxReplays)
	}
	r.State, r.StartedAt = replayStarting, time.Now()
	if err := s.saveReplay(r); err != nil {
		return err
	}
	s.runReplay(*r)
	return nil
}

// cancelReplay asks a replay to end.
func (s *Service) cancelReplay(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.replays[name]
	if !ok {
		return noSuchReplay(name)
	}
	if r.State != replayStarting && r.State != replayRunning {
		return awswire.Errorf("IllegalStatusException", "Replay %s is not in a valid state for this operation (it is %s).", name, r.State)
	}
	changed := *r
	changed.State = replayCancelling
	return s.saveReplay(&changed)
}

// runReplay replays what is left, beside everything else. The caller holds mu.
func (s *Service) runReplay(r replay) {
	if s.closed {
		return
	}
	s.running.Go(func() {
		for s.replayNext(&r) {
		}
	})
}

// replayNext replays the next chunk and reports whether there may be more. An
// event that was replayed when the process dies may be replayed again.
func (s *Service) replayNext(r *replay) (more bool) {
	var done bool
	var err error
	if !s.isCancelling(r.Name) {
		done, err = s.replayOne(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	switch {
	case err != nil:
		r.State, r.Reason = replayFailed, err.Error()
	case s.replays[r.Name].State == replayCancelling:
		r.State = replayCancelled
	case done:
		r.State = replayCompleted
	default:
		r.State = replayRunning
	}
	if r.ended() {
		r.EndedAt = time.Now()
	}
	noted := *r
	if err := s.saveReplay(&noted); err != nil {
		s.config.Logger.Error("the progress of a replay could not be noted; it goes on at the next start", "replay", r.Name, "error", err)
		return false
	}
	return !r.ended()
}

func (s *Service) isCancelling(name string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.replays[name].State == replayCancelling
}

// replayOne delivers the next chunk of a replay's events.
func (s *Service) replayOne(r *replay) (done bool, err error) {
	s.mu.RLock()
	b, ok := s.buses[r.Bus]
	if !ok {
		s.mu.RUnlock()
		return false, noSuchBus(r.Bus)
	}
	rules := b.enabled
	s.mu.RUnlock()
	from := archivedFrom(r.Archive, r.From)
	if r.Position != nil {
		from = append(slices.Clone(r.Position), 0)
	}
	var deliveries []delivery
	read := 0
	for e, err := range s.store.Scan(store.Range{From: from, To: archivedFrom(r.Archive, r.To)}) {
		if err != nil {
			return false, err
		}
		var archived event
		if err := json.Unmarshal(e.Value, &archived); err != nil {
			return false, fmt.Errorf("an archived event: %w", err)
		}
		archived.ReplayName = r.Name
		body, err := s.eventJSON(archived)
		if err != nil {
			return false, err
		}
		matched, _, err := rules.match(body)
		if err != nil {
			return false, err
		}
		for _, rule := range matched {
			if len(r.Rules) > 0 && !slices.Contains(r.Rules, rule.arn) {
				continue
			}
			deliveries = append(deliveries, rule.deliveries(string(body), "")...)
		}
		if r.Last, err = time.Parse(time.RFC3339, archived.Time); err != nil {
			return false, err
		}
		s.config.Meter.Add(meter.ReplayedEvent, r.Archive, meter.Chunks(len(body)))
		r.Position = slices.Clone(e.Key)
		if read++; read == replayChunk {
			break
		}
	}
	_, err = s.deliver(deliveries)
	return read < replayChunk, err
}
