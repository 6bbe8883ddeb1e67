package localcrash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// nothing is the state of a thing that is not there.
const nothing = ""

// thing is something with a state that one client at a time changes and reads.
type thing struct {
	name string
	// is what was acknowledged or found last; possible is what it may have
	// become since, by changes that a kill has cut off.
	is       string
	possible []string
}

// verdict is what a look at a thing finds.
type verdict int

const (
	right verdict = iota
	missing
	reappeared
	half
)

// halved begins a state that is only part of what was done as a whole.
const halved = "half: "

// look compares what is found with what may be.
func (t *thing) look(found string) verdict {
	switch {
	case t.is == found || slices.Contains(t.possible, found):
		return right
	case strings.HasPrefix(found, halved):
		return half
	case t.is == nothing:
		return reappeared
	}
	return missing
}

// things are those of one kind of one client.
type things struct {
	kind   string
	load   *load
	things []*thing

	// read returns the state of a thing.
	read func(ctx context.Context, name string) (string, error)
	// change changes things, of which pick gives the next, with present states.
	// It calls try with each of them and the state that it will have, before it
	// asks for the change.
	change func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error
	// fades, if set, tells of which states a thing may come to nothing by itself.
	fades func(state string) bool
}

// step changes one thing or some.
func (s *things) step(ctx context.Context, random *rand.Rand) error {
	type attempt struct {
		thing *thing
		state string
	}
	var attempts []attempt
	pick := func() (*thing, error) {
		for {
			t := s.things[random.IntN(len(s.things))]
			if !slices.ContainsFunc(attempts, func(a attempt) bool { return a.thing == t }) {
				return t, s.look(ctx, t)
			}
		}
	}
	err := s.change(ctx, random, pick, func(t *thing, state string) {
		t.possible = append(t.possible, state)
		attempts = append(attempts, attempt{t, state})
	})
	for _, a := range attempts {
		switch {
		case err == nil:
			s.settle(a.thing, a.state)
			s.load.report.count(s.kind, func(c *Counts) { c.Acknowledged++ })
		case refused(err): // nothing has happened
			s.settle(a.thing, a.thing.is)
		default:
			s.load.report.count(s.kind, func(c *Counts) { c.CutOff++ })
		}
	}
	return err
}

// look reads a thing and counts what it finds.
func (s *things) look(ctx context.Context, t *thing) error {
	found, err := s.read(ctx, t.name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", t.name, err)
	}
	was, possible := t.is, t.possible
	v := t.look(found)
	s.settle(t, found)
	if v != right {
		s.load.report.example("%s: it is %q, and was %q or one of %q", t.name, found, was, possible)
	}
	s.load.report.count(s.kind, func(c *Counts) {
		switch v {
		case right:
			c.Found++
		case missing:
			c.Missing++
		case reappeared:
			c.Reappeared++
		case half:
			c.Half++
		}
	})
	return nil
}

// settle says what state a thing is known to be in.
func (s *things) settle(t *thing, state string) {
	t.is, t.possible = state, nil
	if s.fades != nil && s.fades(state) {
		t.possible = []string{nothing}
	}
}

// verify looks at everything.
func (s *things) verify(ctx context.Context) error {
	for _, t := range s.things {
		if err := insist(ctx, func() error { return s.look(ctx, t) }); err != nil {
			return err
		}
	}
	return nil
}
