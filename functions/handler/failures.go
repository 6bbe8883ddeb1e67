package handler

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Item is what can fail: a *[Message] or a *[Record].
type Item interface {
	itemID() string // the id of the SQS message
}

// Failures collects the messages of a batch that failed, and why. The zero
// value is empty and ready; it is safe for concurrent use. A function of
// [Batch] that returns one fails those messages alone:
//
//	var failed handler.Failures
//	for _, m := range messages {
//		failed.Add(m, process(m))
//	}
//	return failed.Err()
type Failures struct {
	mu   sync.Mutex
	errs map[string]error // by message id
}

// Add fails m. A nil err adds nothing. The first error of an item stands.
func (f *Failures) Add(m Item, err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(m.itemID(), err)
}

func (f *Failures) add(id string, err error) {
	if f.errs == nil {
		f.errs = map[string]error{}
	}
	if f.errs[id] == nil {
		f.errs[id] = err
	}
}

// remove takes m out again.
func (f *Failures) remove(m Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.errs, m.itemID())
}

// Of returns why m failed, nil if it has not. It may be called on nil.
func (f *Failures) Of(m Item) error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.errs[m.itemID()]
}

// Err returns f, or nil if nothing failed. It may be called on nil.
func (f *Failures) Err() error {
	if f.len() == 0 {
		return nil
	}
	return f
}

// Error names up to five of the failed messages.
func (f *Failures) Error() string {
	const shown = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages failed", f.len())
	if f.len() == 0 {
		return b.String()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, id := range slices.Sorted(maps.Keys(f.errs)) {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(f.errs)-shown)
			break
		}
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %v", sep, id, f.errs[id])
	}
	return b.String()
}

func (f *Failures) len() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.errs)
}

// merge adds the failures of other, which is no longer in use; it may be nil.
func (f *Failures) merge(other *Failures) {
	if other.len() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, err := range other.errs {
		f.add(id, err)
	}
}

// failAll fails every record for the same reason.
func failAll(records []*Record, err error) *Failures {
	failed := new(Failures)
	for _, r := range records {
		failed.Add(r, err)
	}
	return failed
}
