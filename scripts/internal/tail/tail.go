// Package tail shows the events that pass on a bus, live.
//
// A bus can only be listened to by a rule, so a tail makes one, with an SQS
// queue as its target, and removes both at its end. The life of a tail:
//
//  1. It removes what earlier tails have left: those that are past their
//     expiry, whoever started them, and those of the same user on the same
//     machine whose process is gone (a SIGKILL leaves no time to clean up).
//  2. It makes the queue first, then the rule, then the rule's target, all
//     under one name, so that whatever is left of a tail is found by the name
//     of its queue. Queue and rule say who made them, and when they expire.
//  3. It receives in parallel, shows each event once, and deletes it from the
//     queue. A lost connection is waited for; a queue that somebody has removed
//     is made again.
//  4. Whatever ends it, it removes the target and the rule, and the queue last.
//
// A tail lasts 12 hours at most: the expiry is written once and never moved,
// so that nothing has to be refreshed, and what is past it is nobody's.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// retention is how long an event waits to be shown. Nobody comes back for what
// was not.
const retention = time.Hour

// MaxAge is how long a tail lasts at most.
const MaxAge = 12 * time.Hour

// Tail says what to show, and how.
type Tail struct {
	AWS   aws.Config
	Names names.Names // of the environment, for the names of what is made
	// Bus is the name of the bus to listen to.
	Bus string
	// Pattern picks the events: an event pattern, as [Filter] makes one.
	Pattern string
	// Count ends the tail after so many events; 0 means no end.
	Count int
	// Timeout ends the tail this long after it began to listen; 0 means
	// [MaxAge].
	Timeout time.Duration
	// Show is called for each event, by one goroutine. A pipe that nobody reads
	// any more (EPIPE) ends the tail without an error.
	Show func(Event) error
	// Notes is told of what happens besides.
	Notes io.Writer
}

// Why a tail ended by itself.
var (
	errTimeout = errors.New("timeout")
	errExpired = errors.New("expired")
)

// Run shows events until ctx ends, or Count, Timeout or MaxAge is reached. It
// is an error if Timeout passed and nothing came, or if fewer than Count came.
// When it returns, or panics, what it made is removed; an error says so by name
// if that could not be done.
func (t *Tail) Run(ctx context.Context) error {
	taps, err := tap.NewClient(ctx, t.AWS)
	if err != nil {
		return err
	}
	if err := t.sweep(ctx, taps); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, MaxAge, errExpired)
	defer cancel()
	shown := &shown{tail: t}
	for {
		ended, left := t.session(ctx, taps, tap.NewLabel(t.Bus, MaxAge), shown)
		if left != nil || !errors.Is(ended, errGone) {
			return errors.Join(t.ending(ended, shown.count), left)
		}
		t.note("somebody removed the queue: making another")
	}
}

// errLeft says that removing failed; what is left has been noted.
var errLeft = errors.New("not all that it made could be removed")

// session makes a rule and a queue, shows what comes, and removes them. It
// returns what ended it, and errLeft or nil.
func (t *Tail) session(ctx context.Context, taps *tap.Client, l tap.Label, shown *shown) (ended, left error) {
	p := newPipe(t.AWS, taps.Tap(l, tap.NewName(t.Names.TailPrefix(), l.Owner)))
	// Removing comes before any error and any panic, and needs a context of its
	// own: ctx may have ended.
	defer func() {
		if err := p.Remove(context.WithoutCancel(ctx)); err != nil {
			t.note("rule %s on bus %s and queue %s could not be removed: %s", p.Name, l.Bus, p.Name, cli.Brief(err))
			t.note("the next tail of this environment on this machine removes them, and so does `penstock tail --env %s --sweep`", t.Names.Env)
			left = errLeft
		}
	}()
	if err := p.Make(ctx, tap.Spec{Pattern: t.Pattern, Retention: retention}); err != nil {
		return err, nil
	}
	t.note("listening to bus %s by rule and queue %s (Ctrl-C ends it)", t.Bus, p.Name)
	if t.Timeout > 0 {
		if shown.until.IsZero() {
			shown.until = time.Now().Add(t.Timeout)
		}
		bounded, cancel := context.WithDeadlineCause(ctx, shown.until, errTimeout)
		defer cancel()
		return t.watch(bounded, p, shown), nil
	}
	return t.watch(ctx, p, shown), nil
}

// errEnough ends a tail that has shown as many events as it should.
var errEnough = errors.New("enough")

// ending makes of the cause of the end what Run returns.
func (t *Tail) ending(cause error, count int) error {
	switch {
	case errors.Is(cause, errEnough), errors.Is(cause, syscall.EPIPE):
		return nil
	case errors.Is(cause, errTimeout) && count == 0:
		return fmt.Errorf("nothing came on bus %s within %s that matches %s", t.Bus, t.Timeout, t.Pattern)
	case errors.Is(cause, errTimeout), errors.Is(cause, errExpired), errors.Is(cause, context.Canceled):
		if t.Count > 0 {
			return fmt.Errorf("%d of %d events came", count, t.Count)
		}
		if errors.Is(cause, errExpired) {
			t.note("ended: a tail lasts %s at most", MaxAge)
		}
		return nil
	}
	return cause
}

// shown is what the tail has shown so far.
type shown struct {
	tail  *Tail
	count int
	seen  seen
	until time.Time // the end by Timeout, once it listens
}

// show shows an event unless it was shown before.
func (s *shown) show(e Event) error {
	if s.seen.before(e.key()) {
		return nil
	}
	if err := s.tail.Show(e); err != nil {
		return err
	}
	s.count++
	if s.count == s.tail.Count {
		return errEnough
	}
	return nil
}

// seen remembers keys, the last maxSeen of them at least and twice as many at
// most: a redelivery comes within seconds or minutes.
type seen struct{ recent, older map[string]struct{} }

const maxSeen = 50_000

// before reports whether a key was given before, and remembers it.
func (s *seen) before(key string) bool {
	if _, ok := s.recent[key]; ok {
		return true
	}
	if _, ok := s.older[key]; ok {
		return true
	}
	if s.recent == nil || len(s.recent) >= maxSeen {
		s.older, s.recent = s.recent, map[string]struct{}{}
	}
	s.recent[key] = struct{}{}
	return false
}

func (t *Tail) note(format string, args ...any) {
	fmt.Fprintf(t.Notes, "tail: "+format+"\n", args...)
}
