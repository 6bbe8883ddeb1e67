package handlertest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Result is what became of an invocation.
type Result struct {
	// Outcomes are those of the messages, in the order of the payload.
	Outcomes []Outcome
	// Failed are the ids of the messages that Lambda does not delete: what the
	// function answered.
	Failed []string
	// Queue has what the function did to its queue.
	Queue *Queue

	t   testing.TB
	log *logbook
}

// Outcome is what became of one event, as its outcome record says.
type Outcome struct {
	MessageID string
	ID        string // the event's
	Type      string
	Outcome   string // handled, failed, permanent or duplicate
	Reason    string // why it failed
	Attempt   int
	// ComesBack is when a failed event is received again, at most: 0 for one that
	// goes to the DLQ.
	ComesBack time.Duration
}

func newResult(t testing.TB, messages []message, failed []string, log *logbook, q *Queue) *Result {
	t.Helper()
	r := &Result{Failed: failed, Queue: q, t: t, log: log}
	records := map[string]Outcome{}
	for _, o := range Logged[Outcome](r, "outcome") {
		records[o.MessageID] = o
	}
	for _, m := range messages {
		o := records[m.MessageID]
		o.MessageID, o.ComesBack = m.MessageID, q.Delays[strings.TrimPrefix(m.ReceiptHandle, receiptPrefix)]
		r.Outcomes = append(r.Outcomes, o)
	}
	return r
}

// RequireHandled ends the test if any event has another outcome than handled.
func (r *Result) RequireHandled() {
	r.t.Helper()
	r.RequireOutcomes(slices.Repeat([]string{"handled"}, len(r.Outcomes))...)
}

// RequireOutcomes ends the test if the outcomes are others than these, one for
// each event in the order in which they were sent.
func (r *Result) RequireOutcomes(want ...string) {
	r.t.Helper()
	var got []string
	for _, o := range r.Outcomes {
		got = append(got, o.Outcome)
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("handlertest: the outcomes are %s, want %s:\n%s", strings.Join(got, ", "), strings.Join(want, ", "), r.describe())
	}
}

// RequireReason ends the test if the reason of the event at an index, from 0,
// does not hold text.
func (r *Result) RequireReason(index int, text string) {
	r.t.Helper()
	if index >= len(r.Outcomes) || !strings.Contains(r.Outcomes[index].Reason, text) {
		r.t.Fatalf("handlertest: event %d did not fail for %q:\n%s", index, text, r.describe())
	}
}

func (r *Result) describe() string {
	var b strings.Builder
	for i, o := range r.Outcomes {
		b.WriteString(strings.TrimRight(strings.Join([]string{"  event", string(marshal(r.t, i)), o.Type, o.ID, o.Outcome, o.Reason}, " "), " ") + "\n")
	}
	return b.String()
}

// Logged returns the lines that were logged with a message, each as a T: a
// struct with some of the line's attributes, or a map[string]any of all. They
// include what the level of a deployed function would leave out.
func Logged[T any](r *Result, message string) []T {
	r.t.Helper()
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var lines []T
	for text := range bytes.Lines(r.log.out.Bytes()) {
		var (
			head struct{ Msg string }
			line T
		)
		err := json.Unmarshal(text, &head)
		if err == nil && head.Msg == message {
			err = json.Unmarshal(text, &line)
			lines = append(lines, line)
		}
		if err != nil {
			r.t.Fatalf("handlertest: log line %q: %v", text, err)
		}
	}
	return lines
}

// logbook keeps what was logged.
type logbook struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}
