package dlq

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events/pattern"
)

// Filter picks messages. The zero value picks all; of what it names, a message
// must meet everything.
type Filter struct {
	// Types are event types, "source/NAME" or "NAME", of which a message's must be
	// one.
	Types []string
	// Reason is what its reason must hold: a text that is a part of it, or, with *
	// for any text, the whole of it. A message whose reason is not known has none.
	Reason string
	// Before and After bound when it was sent, see [Message.SentAt]; zero is no
	// bound.
	Before, After time.Time
	// Pattern is an event pattern that its body must match; nil is none.
	Pattern *pattern.Pattern
	// IDs are ids of events or of messages, of which it must have one.
	IDs []string
}

// All reports whether the filter picks every message.
func (f *Filter) All() bool {
	return len(f.Types) == 0 && f.Reason == "" && f.Before.IsZero() && f.After.IsZero() && f.Pattern == nil && len(f.IDs) == 0
}

// Match reports whether the filter picks a message, whose reason is given.
func (f *Filter) Match(m *Message, reason string) bool {
	switch {
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, m.ID) && (m.Metadata.ID == "" || !slices.Contains(f.IDs, m.Metadata.ID)):
		return false
	case len(f.Types) > 0 && !slices.Contains(f.Types, m.TypeName()) && !slices.Contains(f.Types, m.Type.Name):
		return false
	case !f.Before.IsZero() && !m.SentAt.Before(f.Before), !f.After.IsZero() && !m.SentAt.After(f.After):
		return false
	case f.Reason != "" && !matchReason(f.Reason, reason):
		return false
	case f.Pattern != nil:
		matched, err := f.Pattern.Match([]byte(m.Body))
		return err == nil && matched
	}
	return true
}

// Picker picks messages of a subscription.
type Picker struct {
	Filter Filter
	// History tells the reasons that messages do not say themselves. Needed for a
	// filter that asks for reasons.
	History *History
	// Note is told of what was left aside though it may have been meant, and why;
	// nil is nobody.
	Note func(format string, args ...any)
	// Unpicked counts the messages that were not picked.
	Unpicked int
}

// Pick returns those of the messages that the filter picks.
func (p *Picker) Pick(ctx context.Context, batch []*Message) (picked []*Message, err error) {
	if p.Filter.Reason != "" {
		if err := p.History.Read(ctx, batch); errors.Is(err, ErrLongLog) {
			p.note("%v", err)
		} else if err != nil {
			return nil, err
		}
	}
	for _, m := range batch {
		if p.Filter.Match(m, p.reason(m)) {
			picked = append(picked, m)
		} else {
			p.Unpicked++
		}
	}
	return picked, nil
}

func (p *Picker) reason(m *Message) string {
	if m.By() != BySQS {
		return m.Reason()
	}
	known, _ := p.History.of(m)
	return known.reason
}

// summaries describe messages without their attributes and bodies.
func (p *Picker) summaries(messages []*Message) []Failure {
	out := make([]Failure, len(messages))
	for i, m := range messages {
		out[i] = Describe(m, p.History)
		out[i].Body, out[i].Attributes = nil, nil
	}
	return out
}

func (p *Picker) note(format string, args ...any) {
	if p.Note != nil {
		p.Note(format, args...)
	}
}

// matchReason reports whether a reason holds a text, or is what a text with * says.
func matchReason(wanted, reason string) bool {
	if reason == "" {
		return false
	}
	if strings.Contains(reason, wanted) {
		return true
	}
	parts := strings.Split(wanted, "*")
	if len(parts) == 1 {
		return false
	}
	rest, ok := strings.CutPrefix(reason, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, last)
}
