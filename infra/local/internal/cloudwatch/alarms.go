package cloudwatch

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

func alarmKey() store.Key { return store.NewKey("cloudwatch.alarm") }

func (s *Service) loadAlarms() error {
	for e, err := range s.store.Scan(store.Prefix(alarmKey())) {
		if err != nil {
			return err
		}
		a := &Alarm{}
		if err := json.Unmarshal(e.Value, a); err != nil {
			return fmt.Errorf("cloudwatch: an alarm in the store: %w", err)
		}
		if a.watch, err = a.check(); err != nil {
			return fmt.Errorf("cloudwatch: alarm %q in the store: %w", a.AlarmName, err)
		}
		s.alarms[a.AlarmName] = a
	}
	return nil
}

// PutAlarm makes an alarm, whose state is INSUFFICIENT_DATA until its first
// evaluation, or gives an existing one this form, whose state it leaves.
func (s *Service) PutAlarm(config AlarmConfig) error {
	watch, err := config.check()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	next := &Alarm{AlarmConfig: config, ConfiguredAt: now, watch: watch}
	summary := fmt.Sprintf("Alarm %q created", config.AlarmName)
	if is := s.alarms[config.AlarmName]; is != nil {
		if reflect.DeepEqual(is.AlarmConfig, config) {
			return nil
		}
		next.State, next.TransitionedAt, next.Pending = is.State, is.TransitionedAt, is.Pending
		summary = fmt.Sprintf("Alarm %q updated", config.AlarmName)
	} else {
		next.State = AlarmState{Value: stateInsufficient, Reason: "Unchecked: Initial alarm creation", UpdatedAt: now}
		next.TransitionedAt = now
	}
	return s.save(next, item(next, now, "ConfigurationUpdate", summary, map[string]any{"version": "1.0", "updatedAlarm": config}))
}

// DeleteAlarm removes an alarm; its history stays. One that does not exist is not
// an error.
func (s *Service) DeleteAlarm(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[name]
	if a == nil {
		return nil
	}
	b := s.store.NewBatch()
	b.Delete(alarmKey().String(name))
	if err := s.remember(b, item(a, time.Now(), "ConfigurationUpdate", fmt.Sprintf("Alarm %q deleted", name), nil)); err != nil {
		b.Discard()
		return err
	}
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.alarms, name)
	return nil
}

// save makes an alarm and items of its history durable, and puts the alarm in
// place. The caller holds mu.
func (s *Service) save(a *Alarm, items ...historyItem) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	b := s.store.NewBatch()
	b.Set(alarmKey().String(a.AlarmName), text)
	if err := s.remember(b, items...); err != nil {
		b.Discard()
		return err
	}
	if err := b.Commit(); err != nil {
		return err
	}
	s.alarms[a.AlarmName] = a
	return nil
}

// find returns an alarm. It is never changed.
func (s *Service) find(name string) (*Alarm, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.alarms[name]
	if a == nil {
		return nil, noSuchAlarm(name)
	}
	return a, nil
}

// HasAlarm reports whether there is an alarm with the given name.
func (s *Service) HasAlarm(name string) bool {
	_, err := s.find(name)
	return err == nil
}

// all returns the alarms in the order of their names.
func (s *Service) all() []*Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*Alarm
	for _, name := range slices.Sorted(maps.Keys(s.alarms)) {
		out = append(out, s.alarms[name])
	}
	return out
}

// evaluateAlarms evaluates every alarm at the end of a minute.
func (s *Service) evaluateAlarms(end time.Time) {
	for _, a := range s.all() {
		samples, err := a.samples(s.data, end)
		if err == nil {
			v := a.evaluate(samples)
			if v.state == a.State.Value {
				continue
			}
			err = s.transition(a.AlarmName, a, AlarmState{Value: v.state, Reason: v.reason, ReasonData: a.reasonData(v.evaluated, end), UpdatedAt: end})
		}
		if err != nil {
			s.config.Logger.Error("an alarm could not be evaluated", "alarm", a.AlarmName, "error", err)
		}
	}
}

// setState sets a state as a person does; the next evaluation may change it.
func (s *Service) setState(name string, state AlarmState) error {
	return s.transition(name, nil, state)
}

// transition puts an alarm into a state, and acts if that is another one than it
// had. With an evaluated alarm, it does nothing if the alarm has changed since.
func (s *Service) transition(name string, evaluated *Alarm, state AlarmState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.alarms[name]
	if is == nil || evaluated != nil && is != evaluated {
		if evaluated != nil {
			return nil
		}
		return noSuchAlarm(name)
	}
	next := *is
	next.State = state
	if state.Value == is.State.Value {
		return s.save(&next)
	}
	next.TransitionedAt = state.UpdatedAt
	pending, err := s.actionsOf(&next, is.State)
	if err != nil {
		return err
	}
	next.Pending = append(slices.Clone(is.Pending), pending...)
	if err := s.save(&next, stateItem(&next, is.State)); err != nil {
		return err
	}
	s.actOn(&next)
	return nil
}

// setEnabled enables or disables the actions of an alarm.
func (s *Service) setEnabled(name string, enabled bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.alarms[name]
	if is == nil || is.enabled() == enabled {
		return nil // as AWS has it, also of an alarm that does not exist
	}
	next := *is
	next.ActionsEnabled = &enabled
	next.ConfiguredAt = time.Now()
	return s.save(&next, item(&next, next.ConfiguredAt, "ConfigurationUpdate", fmt.Sprintf("Alarm %q updated", name), nil))
}
