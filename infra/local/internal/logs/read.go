package logs

import "slices"

// The most that one page of events holds ("FilterLogEvents", "GetLogEvents").
const (
	maxPageEvents = 10_000
	maxPageBytes  = 1 << 20
)

// event is one line as it is read back.
type event struct {
	position int64
	next     int64
	ms       int64
	stream   string
	message  string
}

// query says which lines to read.
type query struct {
	from, to int64 // ms, both included
	limit    int   // lines a page
	stream   func(name []byte) bool
	match    matcher
}

func (q *query) takes(r record) bool {
	return r.ms >= q.from && q.stream(r.stream) && (q.match == nil || q.match(r.message))
}

// page collects events up to a page's limits.
type page struct {
	events []event
	bytes  int
	names  interned
}

func (p *page) add(r record) {
	p.events = append(p.events, event{r.position, r.next, r.ms, p.names.string(r.stream), string(r.message)})
	p.bytes += len(r.message)
}

// readForward reads a page from a position on. next is where to go on; more
// tells that the page is full, so that there may be more now.
func (v view) readForward(position int64, q *query) (events []event, next int64, more bool, err error) {
	var p page
	next = v.end
	err = v.forward(max(position, v.from(q.from)), func(r record) bool {
		switch {
		case r.ms > q.to:
			next = r.position
			return false
		case !q.takes(r):
			return true
		case len(p.events) > 0 && p.bytes+len(r.message) > maxPageBytes:
			next, more = r.position, true
			return false
		}
		p.add(r)
		if len(p.events) < q.limit {
			return true
		}
		next, more = r.next, r.next < v.end
		return false
	})
	return p.events, next, more, err
}

// readBackward reads the last page before a position, in ascending order.
func (v view) readBackward(position int64, q *query) ([]event, error) {
	var out []event
	size := 0
	for i := len(v.segments) - 1; i >= 0; i-- {
		if v.segments[i].start >= position {
			continue
		}
		var p page
		_, err := v.each(i, 0, func(r record) bool {
			if r.position >= position || r.ms > q.to {
				return false
			}
			if q.takes(r) {
				p.add(r)
			}
			return true
		})
		if err != nil {
			return nil, err
		}
		keep := len(p.events)
		for keep > 0 && len(out)+len(p.events)-keep < q.limit {
			size += len(p.events[keep-1].message)
			if size > maxPageBytes && len(out)+len(p.events)-keep > 0 {
				break
			}
			keep--
		}
		out = slices.Concat(p.events[keep:], out)
		if keep > 0 || v.segments[i].firstMS < q.from {
			break
		}
	}
	return out, nil
}
