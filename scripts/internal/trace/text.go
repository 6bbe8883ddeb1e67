package trace

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Print writes a trace for people: a tree of events, the subscriptions that received
// each, and the events that were made there. With logs, the functions' own lines too.
func Print(out io.Writer, e *Event, logs bool) {
	p := &printer{out: out, logs: logs}
	p.event(e, "")
	for _, unknown := range e.Unknown {
		fmt.Fprintln(out, "not known: "+unknown)
	}
}

type printer struct {
	out  io.Writer
	logs bool
}

// clock is how times within a trace are printed.
const clock = "15:04:05.000"

func (p *printer) event(e *Event, indent string) {
	name := e.Type
	if name == "" {
		name = "an event of unknown type"
	}
	fmt.Fprintf(p.out, "%s  %s\n", name, e.ID)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(p.out, "%s%-12s %s\n", indent, name, value)
		}
	}
	when := e.MadeAt.Format("2006-01-02T15:04:05.000Z")
	if e.CausationID != "" && e.body == nil {
		when += ", or later: its id has the time of its cause"
	}
	line("made", when)
	line("published", e.Published)
	if e.CausationID != "" && indent == "" {
		line("cause", e.CausationID)
	}
	if e.CorrelationID != e.ID && indent == "" {
		line("correlation", e.CorrelationID)
	}
	if indent != "" {
		for _, unknown := range e.Unknown {
			line("not known:", unknown)
		}
	}
	if len(e.Subscriptions) == 0 && e.Type != "" {
		line("received", "by nobody: no subscription is of this type")
	}
	var branches []func(last bool)
	placed := map[*Event]bool{} // under the subscription that made it
	for _, r := range e.Subscriptions {
		var made []*Event
		for _, child := range e.Caused {
			if child.MadeBy == r.Subscription {
				made, placed[child] = append(made, child), true
			}
		}
		branches = append(branches, func(last bool) { p.reception(e, r, made, indent, last) })
	}
	for _, child := range e.Caused {
		if !placed[child] {
			branches = append(branches, func(last bool) { p.branch(indent, last, func(inner string) { p.event(child, inner) }) })
		}
	}
	for i, branch := range branches {
		branch(i == len(branches)-1)
	}
}

// branch draws a branch of the tree.
func (p *printer) branch(indent string, last bool, content func(indent string)) {
	mark, rest := "├─ ", "│  "
	if last {
		mark, rest = "└─ ", "   "
	}
	fmt.Fprint(p.out, indent+mark)
	content(indent + rest)
}

func (p *printer) reception(e *Event, r *Reception, children []*Event, indent string, last bool) {
	p.branch(indent, last, func(indent string) {
		fmt.Fprintf(p.out, "%s  %s\n", r.Subscription, r.summary(e.MadeAt))
		if r.Note != "" {
			fmt.Fprintf(p.out, "%s%s\n", indent, r.Note)
		}
		if len(r.Attempts) > 1 || len(r.Attempts) == 1 && r.Attempts[0].Reason != "" {
			for _, a := range r.Attempts {
				fmt.Fprintf(p.out, "%s%s  attempt %d  %s  %v ms%s%s\n", indent, a.At.Format(clock), a.Attempt, a.Outcome, a.DurationMs, after("  ", a.Reason), after("  replay ", a.Replay))
			}
		}
		if d := r.InDLQ; d != nil {
			fmt.Fprintf(p.out, "%sin %s as message %s%s\n", indent, d.Queue, d.MessageID, after(": ", d.Reason))
		}
		if p.logs {
			for _, l := range r.Logs {
				fmt.Fprintf(p.out, "%s%s\n", indent, l.Text)
			}
		}
		for i, child := range children {
			p.branch(indent, i == len(children)-1, func(inner string) { p.event(child, inner) })
		}
	})
}

// summary is what became of an event at a subscription, in one line.
func (r *Reception) summary(made time.Time) string {
	n := len(r.Attempts)
	if n == 0 {
		return r.State
	}
	last := r.Attempts[n-1]
	parts := []string{fmt.Sprintf("%s %s after it was made", r.State, last.At.Sub(made).Round(time.Millisecond))}
	if n == 1 {
		parts = append(parts, fmt.Sprintf("attempt %d, %v ms", last.Attempt, last.DurationMs))
	} else {
		parts = append(parts, fmt.Sprintf("%d outcomes", n))
	}
	if len(r.Logs) > 0 {
		parts = append(parts, fmt.Sprintf("%d log lines", len(r.Logs)))
	}
	return strings.Join(parts, ", ")
}

func after(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}
