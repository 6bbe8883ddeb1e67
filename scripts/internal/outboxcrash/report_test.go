package outboxcrash

import (
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

func TestAReportTellsWhatBecameOfEachEvent(t *testing.T) {
	aside := func(ids ...string) outbox.SetAside {
		var a outbox.SetAside
		for _, id := range ids {
			a.Entries = append(a.Entries, events.Entry{ID: id})
		}
		return a
	}
	one := map[string][]writtenEvent{"t": {{"e", "s"}}}
	for what, c := range map[string]struct {
		found findings
		want  Report
		fails string // what its error says; empty if all is well
	}{
		"received":                        {findings{rows: one, receipts: map[string]receipt{"e": {accepted: 1, sum: "s"}}}, Report{Committed: 1, Events: 1, Received: 1}, ""},
		"received twice":                  {findings{rows: one, receipts: map[string]receipt{"e": {accepted: 3, sum: "s"}}}, Report{Committed: 1, Events: 1, Received: 1, Duplicates: 2}, ""},
		"never sent":                      {findings{rows: one}, Report{Committed: 1, Events: 1, Lost: 1}, "event e lost"},
		"sent, never accepted":            {findings{rows: one, receipts: map[string]receipt{"e": {sum: "s"}}}, Report{Committed: 1, Events: 1, Lost: 1}, "event e lost"},
		"refused and set aside":           {findings{rows: one, receipts: map[string]receipt{"e": {sum: "s", refused: true}}, aside: []outbox.SetAside{aside("e")}}, Report{Committed: 1, Events: 1, SetAside: 1}, ""},
		"refused and dropped":             {findings{rows: one, receipts: map[string]receipt{"e": {sum: "s", refused: true}}}, Report{Committed: 1, Events: 1, Lost: 1}, "event e lost"},
		"set aside though not refused":    {findings{rows: one, receipts: map[string]receipt{"e": {sum: "s"}}, aside: []outbox.SetAside{aside("e")}}, Report{Committed: 1, Events: 1, Lost: 1}, "event e lost"},
		"accepted, set aside with others": {findings{rows: one, receipts: map[string]receipt{"e": {accepted: 1, sum: "s"}}, aside: []outbox.SetAside{aside("e")}}, Report{Committed: 1, Events: 1, Received: 1}, ""},
		"sent though rolled back":         {findings{receipts: map[string]receipt{"e": {sum: "s"}}}, Report{Phantom: 1}, "event e is a phantom"},
		"sent with another detail":        {findings{rows: one, receipts: map[string]receipt{"e": {accepted: 1, sum: "x"}}}, Report{Committed: 1, Events: 1, Received: 1, Altered: 1}, "event e altered"},
		"sent with two details":           {findings{rows: one, receipts: map[string]receipt{"e": {accepted: 2, sum: "s", differs: true}}}, Report{Committed: 1, Events: 1, Received: 1, Duplicates: 1, Altered: 1}, "event e altered"},
		"acknowledged, and the row is gone": {findings{acknowledged: one, receipts: map[string]receipt{"e": {accepted: 1, sum: "s"}}},
			Report{Events: 1, Received: 1, Vanished: 1}, "transaction t vanished"},
	} {
		var got Report
		got.reconcile(c.found)
		err := got.Err()
		switch {
		case c.fails == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)):
			t.Errorf("%s: %v, want an error that says %s", what, err, c.fails)
		}
		got.Examples = nil
		if a, b := strings.Join(cells(got), " "), strings.Join(cells(c.want), " "); a != b {
			t.Errorf("%s:\ngot  %s\nwant %s", what, a, b)
		}
	}
}

func cells(r Report) (out []string) {
	for _, row := range r.Rows() {
		out = append(out, strings.Join(row, "="))
	}
	return out
}
