package dlq

import (
	"context"
	"sync"
	"time"
)

const (
	// firstHide is for how long a receive hides a message: what a kill leaves behind
	// just then is visible again after that.
	firstHide = 10 * time.Second
	// moreHide is for how long a message that is held on is hidden again, some time
	// before it would become visible.
	moreHide  = time.Minute
	keepEvery = 2 * time.Second

	// MaxHeld is how many messages a walk holds: SQS takes 120,000 in flight of a
	// queue ("Amazon SQS message quotas"), which others share.
	MaxHeld = 100_000
)

// held are the messages that a walk has received and not deleted. It keeps them
// hidden. It is safe for concurrent use.
type held struct {
	queue *Queue

	mu  sync.Mutex
	all map[string]hiding // by the message's id
}

type hiding struct {
	handle string
	renew  time.Time // when to hide it again
}

func newHeld(q *Queue) *held { return &held{queue: q, all: map[string]hiding{}} }

// add adds a message that was received at a time. It reports false for one that
// is held already, whose handle is another now.
func (h *held) add(m *Message, received time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, again := h.all[m.ID]
	h.all[m.ID] = hiding{m.handle, received.Add(firstHide / 2)}
	return !again
}

func (h *held) forget(m *Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, m.ID)
}

func (h *held) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// keep keeps the messages hidden until ctx ends. What could not be is seen by
// others, too, and comes again.
func (h *held) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var ids, handles []string
		now := time.Now()
		h.mu.Lock()
		for id, one := range h.all {
			if !one.renew.After(now) {
				ids, handles = append(ids, id), append(handles, one.handle)
			}
		}
		h.mu.Unlock()
		for i, err := range h.queue.hide(ctx, handles, moreHide) {
			h.mu.Lock()
			if one, still := h.all[ids[i]]; still && err == nil && one.handle == handles[i] {
				h.all[ids[i]] = hiding{one.handle, now.Add(moreHide / 2)}
			}
			h.mu.Unlock()
		}
	}
}

// giveBack makes all messages visible, and returns how many it could not.
func (h *held) giveBack(ctx context.Context) (lost int) {
	h.mu.Lock()
	var handles []string
	for _, one := range h.all {
		handles = append(handles, one.handle)
	}
	h.all = map[string]hiding{}
	h.mu.Unlock()
	for _, err := range h.queue.hide(ctx, handles, 0) {
		if err != nil {
			lost++
		}
	}
	return lost
}
