package localcrash

import (
	"sync"
	"time"
)

// mailbox is what is known of the messages of a queue, by a name of each. It
// may be used by many goroutines at once.
type mailbox struct {
	mu    sync.Mutex
	known map[string]*message
}

type message struct {
	acknowledged bool      // that it was sent
	received     int       // times
	hiddenUntil  time.Time // at least; zero: nobody knows
	triedDelete  bool
	deleted      time.Time // when that was acknowledged; zero: it was not
}

func newMailbox() *mailbox { return &mailbox{known: map[string]*message{}} }

// with calls do with what is known of a message.
func (b *mailbox) with(name string, do func(*message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[name] == nil {
		b.known[name] = &message{}
	}
	do(b.known[name])
}

// all calls do with each message.
func (b *mailbox) all(do func(name string, m *message)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, m := range b.known {
		do(name, m)
	}
}

// receive notes that a message came, with an answer at now to a request of
// asked, and says what is wrong with that; empty: nothing.
func (m *message) receive(asked, now time.Time) (wrong string) {
	switch {
	case !m.deleted.IsZero() && asked.After(m.deleted):
		wrong = "came back after it was deleted"
	case now.Before(m.hiddenUntil):
		wrong = "came back before its visibility timeout"
	}
	m.received++
	m.hiddenUntil = asked.Add(hidden * time.Second)
	return wrong
}
