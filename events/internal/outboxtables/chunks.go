package outboxtables

import (
	"iter"

	"github.com/penstock-dev/penstock/events"
)

// A statement inserts at most so many events, and bytes of them unless one event
// alone is more.
const (
	maxRows  = 1000
	maxBytes = 8 << 20
)

// Chunks splits entries into statements.
func Chunks(entries []events.Entry) iter.Seq[[]events.Entry] {
	return func(yield func([]events.Entry) bool) {
		start, bytes := 0, 0
		for i, e := range entries {
			if i > start && (i-start == maxRows || bytes+len(e.Detail) > maxBytes) {
				if !yield(entries[start:i]) {
					return
				}
				start, bytes = i, 0
			}
			bytes += len(e.Detail)
		}
		if start < len(entries) {
			yield(entries[start:])
		}
	}
}

// Columns returns the ids, types and details of entries.
func Columns(entries []events.Entry) (ids, types, details []string) {
	ids = make([]string, len(entries))
	types = make([]string, len(entries))
	details = make([]string, len(entries))
	for i, e := range entries {
		ids[i], types[i], details[i] = e.ID, e.Type.String(), string(e.Detail)
	}
	return ids, types, details
}
