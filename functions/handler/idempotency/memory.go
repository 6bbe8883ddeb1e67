package idempotency

import (
	"context"
	"sync"
	"time"
)

// Memory is a Store in memory, for tests: its marks are gone with the process,
// and no other process sees them. The zero value is empty and ready.
type Memory struct {
	mu    sync.Mutex
	marks map[string]mark
}

type mark struct {
	owner string // "" once the key was handled
	until time.Time
}

var _ Store = (*Memory)(nil)

// Lock implements [Store].
func (s *Memory) Lock(ctx context.Context, l Lock) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, ok := s.marks[l.Key]; ok && m.until.After(l.Now) && m.owner != l.Owner {
		if m.owner == "" {
			return ErrHandled
		}
		return &HeldError{m.until}
	}
	s.set(l.Key, mark{l.Owner, l.Until})
	return nil
}

// Complete implements [Store].
func (s *Memory) Complete(ctx context.Context, l Lock, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(l.Key, mark{"", until})
	return nil
}

// Release implements [Store].
func (s *Memory) Release(ctx context.Context, l Lock) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks[l.Key].owner == l.Owner {
		delete(s.marks, l.Key)
	}
	return nil
}

func (s *Memory) set(key string, m mark) {
	if s.marks == nil {
		s.marks = map[string]mark{}
	}
	s.marks[key] = m
}
