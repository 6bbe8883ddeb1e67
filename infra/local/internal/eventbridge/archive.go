package eventbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Archive keeps the events of a bus, to be replayed. An event is in it, durably,
// when it is acknowledged; one that is replayed is not archived again ("Archiving
// and replaying events in Amazon EventBridge").
type Archive struct {
	Name        string
	Description string
	Bus         string          // its name, or its ARN
	Pattern     json.RawMessage `json:",omitempty"` // of the events that it keeps; nil: all
	// RetentionDays is how long events are kept, by their time; 0: for ever.
	RetentionDays int
	CreatedAt     time.Time // set by the service
}

type archive struct {
	Archive
	pattern *pattern.Pattern // nil: all events
}

// An account has so many archives ("Amazon EventBridge quotas"), and an archive's
// name so many characters ("CreateArchive", EventBridge API reference).
const (
	maxArchives    = 100
	maxArchiveName = 48
)

// archived is an event on its way to an archive.
type archived struct {
	archive string
	id      string
	at      time.Time // the event's time
	body    string
}

func archiveKey() store.Key { return store.NewKey("eventbridge.archive") }

// archivedKey is the key of an archive's events, which are in the order of their
// times, to the millisecond.
func archivedKey(archive string) store.Key {
	return store.NewKey("eventbridge.archived").String(archive)
}

func archivedFrom(archive string, at time.Time) store.Key {
	return archivedKey(archive).Uint(uint64(max(0, at.UnixMilli())))
}

// ArchiveARN returns the ARN of the archive with the given name.
func (s *Service) ArchiveARN(name string) string {
	return fmt.Sprintf("arn:aws:events:%s:%s:archive/%s", s.config.Region, s.config.Account, name)
}

func noSuchArchive(name string) error {
	return awswire.Errorf("ResourceNotFoundException", "Archive %s does not exist.", name)
}

// EnsureArchive makes an archive, or gives an existing one this form; its bus
// stays.
func (s *Service) EnsureArchive(a Archive) error {
	a.Bus = s.busName(a.Bus)
	checked, err := newArchive(a)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.buses[a.Bus]; !ok {
		return noSuchBus(a.Bus)
	}
	existing, ok := s.archives[a.Name]
	switch {
	case ok && existing.Bus != a.Bus:
		return awswire.Errorf("ValidationException", "archive %q is of the bus %s: an archive's bus cannot change", a.Name, existing.Bus)
	case ok:
		checked.CreatedAt = existing.CreatedAt
	case len(s.archives) >= maxArchives:
		return awswire.Errorf("LimitExceededException", "there are %d archives, as many as EventBridge allows", maxArchives)
	default:
		checked.CreatedAt = time.Now()
	}
	value, err := json.Marshal(checked.Archive)
	if err != nil {
		return err
	}
	batch := s.store.NewBatch()
	batch.Set(archiveKey().String(a.Name), value)
	if err := batch.Commit(); err != nil {
		return err
	}
	s.archives[a.Name] = checked
	s.index(a.Bus)
	return nil
}

// newArchive checks an archive.
func newArchive(a Archive) (*archive, error) {
	checked := &archive{Archive: a}
	switch {
	case !validRuleName.MatchString(a.Name) || len(a.Name) > maxArchiveName:
		return nil, awswire.Errorf("ValidationException", "archive name %q is not valid: 1 to %d of letters, digits, . - _", a.Name, maxArchiveName)
	case a.RetentionDays < 0:
		return nil, awswire.Errorf("ValidationException", "archive %q: RetentionDays: want 0, for ever, or more (got %d)", a.Name, a.RetentionDays)
	case len(a.Description) > maxDescription:
		return nil, awswire.Errorf("ValidationException", "archive %q: Description: at most %d characters (got %d)", a.Name, maxDescription, len(a.Description))
	case len(a.Pattern) > 0:
		var err error
		if checked.pattern, err = pattern.Parse(a.Pattern); err != nil {
			return nil, awswire.Errorf("InvalidEventPatternException", "Event pattern is not valid. Reason: %v", err)
		}
	}
	return checked, nil
}

// DeleteArchive removes an archive and its events, and returns how many those
// were. One that does not exist is not an error.
func (s *Service) DeleteArchive(name string) (lost int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.archives[name]
	if !ok {
		return 0, nil
	}
	if lost, _, err = s.contents(name); err != nil {
		return 0, err
	}
	events := archivedKey(name)
	batch := s.store.NewBatch()
	batch.Delete(archiveKey().String(name))
	batch.DeleteRange(events, events.After())
	if err := batch.Commit(); err != nil {
		return 0, err
	}
	delete(s.archives, name)
	s.index(a.Bus)
	return lost, nil
}

// index makes the matcher of a bus anew, if there is such a bus. The caller holds
// mu.
func (s *Service) index(bus string) {
	if b, ok := s.buses[bus]; ok {
		b.archives = nil
		for _, name := range slices.Sorted(maps.Keys(s.archives)) {
			if a := s.archives[name]; a.Bus == bus {
				b.archives = append(b.archives, a)
			}
		}
		b.index()
	}
}

// loadArchives reads the archives from the store. The buses are there.
func (s *Service) loadArchives() error {
	for e, err := range s.store.Scan(store.Prefix(archiveKey())) {
		if err != nil {
			return err
		}
		var saved Archive
		if err := json.Unmarshal(e.Value, &saved); err != nil {
			return fmt.Errorf("eventbridge: an archive in the store: %w", err)
		}
		a, err := newArchive(saved)
		if err != nil {
			return fmt.Errorf("eventbridge: archive %q in the store: %w", saved.Name, err)
		}
		s.archives[saved.Name] = a
		s.index(saved.Bus)
	}
	return nil
}

// keep puts events into their archives, durably.
func (s *Service) keep(events []archived) error {
	if len(events) == 0 {
		return nil
	}
	batch := s.store.NewBatch()
	for _, e := range events {
		batch.Set(archivedFrom(e.archive, e.at).String(e.id), []byte(e.body))
		s.config.Meter.Add(meter.ArchivedByte, e.archive, float64(len(e.body)))
	}
	return batch.Commit()
}

// archive finds an archive.
func (s *Service) archive(name string) (*archive, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.archives[name]
	if !ok {
		return nil, noSuchArchive(name)
	}
	return a, nil
}

// contents counts the events of an archive, and their bytes.
func (s *Service) contents(name string) (events, bytes int, err error) {
	for e, err := range s.store.Scan(store.Prefix(archivedKey(name))) {
		if err != nil {
			return 0, 0, err
		}
		events++
		bytes += len(e.Value)
	}
	return events, bytes, nil
}

// expiryInterval is how often events are looked for that their archives keep no
// longer. EventBridge may take up to a day to remove them ("Archiving and
// replaying events in Amazon EventBridge").
const expiryInterval = time.Hour

// expire removes what archives keep no longer, and old replays, from now on. The
// caller holds mu.
func (s *Service) expire() {
	if s.closed {
		return
	}
	now := time.Now()
	var errs []error
	for name, a := range s.archives {
		if a.RetentionDays > 0 {
			batch := s.store.NewBatch()
			batch.DeleteRange(archivedKey(name), archivedFrom(name, now.AddDate(0, 0, -a.RetentionDays)))
			errs = append(errs, batch.Commit())
		}
	}
	for name, r := range s.replays {
		if r.ended() && now.Sub(r.StartedAt) > replayRetention {
			batch := s.store.NewBatch()
			batch.Delete(replayKey().String(name))
			errs = append(errs, batch.Commit())
			delete(s.replays, name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.config.Logger.Error("archived events that have expired could not be removed", "error", err)
	}
	s.expiry = time.AfterFunc(expiryInterval, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.expire()
	})
}

// archiveName reads an archive's name from its ARN.
func (s *Service) archiveName(arn string) (string, error) {
	name, ok := strings.CutPrefix(arn, s.ArchiveARN(""))
	if !ok {
		return "", awswire.Errorf("ValidationException", "Parameter EventSourceArn is not valid. Reason: Must contain an archive ARN (got %q).", arn)
	}
	return name, nil
}
