package devtest

import (
	"strings"
	"sync"
)

// Tail keeps the end of what is written to it, some kilobytes. The zero value is
// empty.
type Tail struct {
	mu   sync.Mutex
	text string
}

// Write implements [io.Writer].
func (t *Tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text += string(text)
	if n := len(t.text); n > 8<<10 {
		t.text = t.text[n-4<<10:]
	}
	return len(text), nil
}

// String is what it keeps, without space around it.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text)
}
