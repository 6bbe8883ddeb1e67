package dlq

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Group is the messages of one DLQ, type and reason.
type Group struct {
	Queue Kind   `json:"queue"`
	Type  string `json:"type"` // source/NAME; empty for what is no event
	// Reason is what the messages' reasons have in common: * stands for what each has
	// of its own, so that [Filter.Reason] takes it as it is. Empty: not known.
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	Oldest time.Time `json:"oldest"` // of when they were sent, see [Message.SentAt]
	Newest time.Time `json:"newest"`
	// Redriven is how many of them were brought back before, and failed again.
	Redriven int `json:"redriven"`
}

// Groups gathers failures into groups, the largest first.
func Groups(failures []Failure) []Group {
	type key struct {
		queue          Kind
		name, likeness string
	}
	byKey := map[key]*Group{}
	for _, f := range failures {
		k := key{f.Queue, f.Type, likeness(f.Reason)}
		g := byKey[k]
		if g == nil {
			g = &Group{Queue: f.Queue, Type: f.Type, Reason: f.Reason, Oldest: f.SentAt, Newest: f.SentAt}
			byKey[k] = g
		}
		if g.Reason != f.Reason {
			g.Reason = k.likeness
		}
		g.Count++
		if f.Redrives > 0 {
			g.Redriven++
		}
		if f.SentAt.Before(g.Oldest) {
			g.Oldest = f.SentAt
		}
		if f.SentAt.After(g.Newest) {
			g.Newest = f.SentAt
		}
	}
	groups := []Group{}
	for _, g := range byKey {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Queue, b.Queue), cmp.Compare(b.Count, a.Count), strings.Compare(a.Type, b.Type), strings.Compare(a.Reason, b.Reason))
	})
	return groups
}

// own is what tells the reasons of one kind apart: a quoted text, and a word of
// four characters or more that has a digit, such as an id or an amount. Shorter
// ones, such as the status 503, tell kinds apart.
var own = regexp.MustCompile(`"[^"]*"|'[^']*'|[\pL\pN_-]+(?:[.:][\pL\pN_-]+)*`)

// likeness is a reason with * for what may be its own.
func likeness(reason string) string {
	return own.ReplaceAllStringFunc(reason, func(word string) string {
		switch {
		case strings.ContainsAny(word[:1], `"'`):
			return word[:1] + "*" + word[:1]
		case len(word) >= 4 && strings.ContainsAny(word, "0123456789"):
			return "*"
		}
		return word
	})
}
