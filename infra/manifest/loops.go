package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// CheckLoops returns an error for each loop of events among functions, joined:
// functions that publish what the next of them receives, and so on back to the
// first. What sets it off once may go round for ever, and cost without end.
//
// A loop is allowed if one of its functions says "allowLoop": true, which it
// does when it knows an end. Filters are not looked into: that an event does not
// come round by its contents is for people to say. Package handler caps how often
// any event comes round.
func CheckLoops(functions []Function) error {
	receivers := map[string][]*Function{} // by event
	for i := range functions {
		f := &functions[i]
		if f.AllowLoop {
			continue
		}
		for _, s := range f.Subscriptions {
			if !slices.Contains(receivers[s.Event], f) {
				receivers[s.Event] = append(receivers[s.Event], f)
			}
		}
	}
	var faults []error
	const (
		unseen = iota
		open
		done
	)
	state := map[*Function]int{}
	type hop struct {
		from  *Function
		event string
	}
	var way []hop
	var visit func(f *Function)
	visit = func(f *Function) {
		state[f] = open
		for _, event := range f.Publishes {
			for _, next := range receivers[event] {
				way = append(way, hop{f, event})
				switch state[next] {
				case unseen:
					visit(next)
				case open:
					start := slices.IndexFunc(way, func(h hop) bool { return h.from == next })
					var text strings.Builder
					for _, h := range way[start:] {
						fmt.Fprintf(&text, "%s → %s → ", h.from.Name, h.event)
					}
					faults = append(faults, fmt.Errorf(`events would go round in a loop: %s%s: break it, or, if it has an end, say "allowLoop": true in %s`,
						text.String(), next.Name, path.Join(FunctionsDir, next.Name, FileName)))
				}
				way = way[:len(way)-1]
			}
		}
		state[f] = done
	}
	for i := range functions {
		if f := &functions[i]; !f.AllowLoop && state[f] == unseen {
			visit(f)
		}
	}
	return errors.Join(faults...)
}
