package outboxcrash

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/penstock-dev/penstock/events/outbox"
)

// Report counts what a campaign saw.
type Report struct {
	Backend string         `json:"backend"`
	Seed    uint64         `json:"seed"`
	Kills   map[string]int `json:"kills"`  // by target
	Faults  map[string]int `json:"faults"` // of the bus, by name

	Committed  int `json:"transactionsCommitted"`
	RolledBack int `json:"transactionsRolledBack"` // failed, panicked or repeated
	// Uncertain are those of which the writer got an error, such as a broken
	// connection: their rows tell whether they committed. Those that a kill of
	// the writer has cut off are not counted.
	Uncertain int `json:"transactionsUncertain"`

	Events     int `json:"eventsCommitted"`
	Received   int `json:"eventsReceived"` // different ones
	Duplicates int `json:"duplicates"`     // more receipts of the same id
	SetAside   int `json:"eventsSetAside"` // that the bus refused for good

	// Lost are committed, and neither received nor, for the bus would not take
	// them, set aside.
	Lost int `json:"lost"`
	// Phantom were sent, and are of no transaction that committed.
	Phantom int `json:"phantom"`
	// Altered came with a detail that is not the committed one.
	Altered int `json:"altered"`
	// Vanished transactions had been acknowledged to the writer, and have no
	// row.
	Vanished int `json:"vanished"`
	// Examples are some ids of what should not be.
	Examples []string `json:"examples,omitempty"`

	Seconds float64 `json:"seconds"`
}

// Err is the campaign's verdict.
func (r Report) Err() error {
	if r.Lost+r.Phantom+r.Altered+r.Vanished == 0 {
		return nil
	}
	return fmt.Errorf("lost %d, phantom %d, altered %d events, and %d acknowledged transactions vanished: %q (seed %d)",
		r.Lost, r.Phantom, r.Altered, r.Vanished, r.Examples, r.Seed)
}

// Rows is the report as a table, for people.
func (r Report) Rows() [][]string {
	rows := [][]string{{"backend", r.Backend}, {"seed", fmt.Sprint(r.Seed)}}
	counts := func(what string, of map[string]int) {
		total := 0
		for _, n := range of {
			total += n
		}
		rows = append(rows, []string{what, strconv.Itoa(total)})
		for _, name := range slices.Sorted(maps.Keys(of)) {
			rows = append(rows, []string{"  " + name, strconv.Itoa(of[name])})
		}
	}
	counts("kills", r.Kills)
	counts("faults of the bus", r.Faults)
	for _, c := range []struct {
		what string
		n    int
	}{
		{"transactions committed", r.Committed},
		{"transactions rolled back", r.RolledBack},
		{"transactions uncertain", r.Uncertain},
		{"events committed", r.Events},
		{"events received", r.Received},
		{"duplicates", r.Duplicates},
		{"set aside", r.SetAside},
		{"altered", r.Altered},
		{"vanished transactions", r.Vanished},
		{"lost", r.Lost},
		{"phantom", r.Phantom},
	} {
		rows = append(rows, []string{c.what, strconv.Itoa(c.n)})
	}
	return append(rows, []string{"seconds", strconv.FormatFloat(r.Seconds, 'f', 1, 64)})
}

// findings is what a campaign has found in the end.
type findings struct {
	rows         map[string][]writtenEvent // by transaction: what is committed
	acknowledged map[string][]writtenEvent // and what the writer was told is
	receipts     map[string]receipt        // by event
	aside        []outbox.SetAside
}

// reconcile compares what was committed with what the bus got.
func (r *Report) reconcile(f findings) {
	expected := map[string]string{} // the sum of each committed event's detail
	for _, written := range f.rows {
		for _, e := range written {
			expected[e.ID] = e.Sum
		}
	}
	r.Committed = len(f.rows)
	for id, written := range f.acknowledged {
		if _, ok := f.rows[id]; ok {
			continue
		}
		r.Vanished++
		r.example("transaction %s vanished", id)
		for _, e := range written {
			expected[e.ID] = e.Sum
		}
	}
	aside := map[string]bool{}
	for _, a := range f.aside {
		for _, e := range a.Entries {
			aside[e.ID] = true
		}
	}
	r.Events = len(expected)
	for id, sum := range expected {
		got := f.receipts[id]
		switch {
		case got.accepted > 0:
			r.Received++
			r.Duplicates += got.accepted - 1
		case aside[id] && got.refused:
			r.SetAside++
		default:
			r.Lost++
			r.example("event %s lost", id)
		}
		if got.sum != "" && (got.differs || got.sum != sum) {
			r.Altered++
			r.example("event %s altered", id)
		}
	}
	for id := range f.receipts {
		if _, ok := expected[id]; !ok {
			r.Phantom++
			r.example("event %s is a phantom", id)
		}
	}
}

// example keeps the first few.
func (r *Report) example(format string, id string) {
	if len(r.Examples) < 10 {
		r.Examples = append(r.Examples, fmt.Sprintf(format, id))
	}
}
