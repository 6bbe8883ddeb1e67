package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// Result is what became of a replay's events.
type Result struct {
	Name      string  `json:"name"`
	State     string  `json:"state"`
	Forwarded *int    `json:"forwarded,omitempty"` // by this process; nil of a replay that EventBridge does alone
	LeftOut   *int    `json:"leftOut,omitempty"`   // that did not match the pattern
	Status    *Status `json:"-"`
}

// spec is the tap of a replay: the events of the replay that the subscription's rule
// matches, in the form in which it would deliver them.
func (c *Client) spec(ctx context.Context, name string, p Plan) (tap.Spec, error) {
	rule, target, err := c.rule(ctx, p)
	if err != nil {
		return tap.Spec{}, err
	}
	if p.Pattern != "" && transforms(target) {
		return tap.Spec{}, cli.Refusedf("rule %s transforms its events, so that they cannot be picked by a pattern any more: leave out --pattern", p.Subscription.Rule)
	}
	text, err := restricted(aws.ToString(rule.EventPattern), name)
	return tap.Spec{Pattern: text, Retention: keeps, Form: target, Tags: p.tags()}, err
}

// transforms reports whether what a target is given is not the event as it is.
func transforms(t *types.Target) bool {
	return t.Input != nil || t.InputPath != nil || t.InputTransformer != nil
}

// restricted is an event pattern that matches of what the given one does the events
// of one replay: EventBridge adds the name to those ("Archiving and replaying events
// in Amazon EventBridge").
func restricted(eventPattern, replay string) (string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(eventPattern), &members); err != nil {
		return "", fmt.Errorf("the rule's event pattern: %w", err)
	}
	only, err := json.Marshal([]string{replay})
	if err != nil {
		return "", err
	}
	members["replay-name"] = only
	text, err := json.Marshal(members)
	return string(text), err
}

// rule is the deployed rule of a subscription, and its target that is the queue.
func (c *Client) rule(ctx context.Context, p Plan) (*types.Rule, *types.Target, error) {
	bus, name := c.target.Names.Bus(), p.Subscription.Rule
	out, err := c.taps.Events.ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &bus, NamePrefix: &name})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range out.Rules {
		if aws.ToString(r.Name) != name {
			continue
		}
		targets, err := c.taps.Events.ListTargetsByRule(ctx, &eventbridge.ListTargetsByRuleInput{EventBusName: &bus, Rule: &name})
		if err != nil {
			return nil, nil, err
		}
		queue := c.taps.Account.ARN("sqs", p.Subscription.Queue)
		for _, t := range targets.Targets {
			if aws.ToString(t.Arn) == queue {
				return &r, &t, nil
			}
		}
		return nil, nil, fmt.Errorf("rule %s has no target that is the queue %s", name, p.Subscription.Queue)
	}
	return nil, nil, fmt.Errorf("subscription %s has no rule %s on bus %s: it is not deployed", p.Subscription, name, bus)
}

// Follow waits until a replay has ended, and does what is left to be done for it, at
// whatever step it was; progress is told of what happens. If ctx ends before, it
// returns why, and what it has done so far.
func (c *Client) Follow(ctx context.Context, name string, progress func(*Status, Result)) (Result, error) {
	t, err := c.findTap(ctx, name)
	if err != nil {
		return Result{}, err
	}
	if t == nil {
		return c.wait(ctx, name, progress)
	}
	if err := t.Adopt(ctx); err != nil {
		return Result{}, err
	}
	p, err := c.readPlan(ctx, t.Tags)
	if err != nil {
		return Result{}, fmt.Errorf("replay %s: %w", name, err)
	}
	s, err := c.describe(ctx, name)
	if err != nil {
		return Result{}, err
	}
	if s == nil {
		if err := c.begin(ctx, t, p); err != nil {
			return Result{Name: name, State: NotStarted, Forwarded: new(int)}, err
		}
	}
	return c.forward(ctx, t, p, progress)
}

// begin makes a tap, which may be there in part, and starts its replay.
func (c *Client) begin(ctx context.Context, t *tap.Tap, p Plan) error {
	spec, err := c.spec(ctx, t.Name, p)
	if err != nil {
		return err
	}
	if err := t.Make(ctx, spec); err != nil {
		return err
	}
	if c.times.rule > 0 {
		c.note("replay %s begins in %s: by then its temporary rule works everywhere", t.Name, c.times.rule)
	}
	if err := pause(ctx, c.times.rule); err != nil {
		return err
	}
	return c.start(ctx, t.Name, p, t.RuleARN())
}

// wait waits for a replay that EventBridge does alone.
func (c *Client) wait(ctx context.Context, name string, progress func(*Status, Result)) (Result, error) {
	for {
		s, err := c.describe(ctx, name)
		if err != nil {
			return Result{}, err
		}
		if s == nil {
			return Result{}, c.unknown(ctx, name)
		}
		r := Result{Name: name, State: s.State, Status: s}
		progress(s, r)
		if s.ended() {
			return r, nil
		}
		if err := pause(ctx, c.times.poll); err != nil {
			return r, err
		}
	}
}

// forward forwards the events of a tap until its replay has ended and nothing is
// left, and removes it.
func (c *Client) forward(ctx context.Context, t *tap.Tap, p Plan, progress func(*Status, Result)) (Result, error) {
	f, err := c.forwarder(ctx, t, p)
	if err != nil {
		return Result{}, err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	group, working := errgroup.WithContext(working)
	for range f.workers() {
		group.Go(func() error { return f.work(working) })
	}
	var last *Status
	group.Go(func() error {
		defer stop() // the workers have nothing to do any more
		return c.untilEmpty(working, t, func(s *Status) {
			last = s
			progress(s, f.result(s))
		})
	})
	err = group.Wait()
	if ctx.Err() != nil {
		return f.result(last), context.Cause(ctx)
	}
	if err != nil {
		return f.result(last), err
	}
	if err := t.Remove(context.WithoutCancel(ctx)); err != nil {
		return f.result(last), fmt.Errorf("all is forwarded, but rule and queue %s could not be removed (the next replay removes them): %w", t.Name, err)
	}
	return f.result(last), nil
}

// untilEmpty returns when the replay of a tap has ended and nothing is left in its
// queue.
func (c *Client) untilEmpty(ctx context.Context, t *tap.Tap, progress func(*Status)) error {
	var empty time.Time // since when
	for {
		s, err := c.describe(ctx, t.Name)
		if err != nil {
			return err
		}
		if s == nil {
			return fmt.Errorf("EventBridge does not know the replay %s any more", t.Name)
		}
		n, err := c.waiting(ctx, t.URL)
		if err != nil {
			return err
		}
		s.Waiting = &n
		progress(s)
		switch {
		case !s.ended() || n > 0:
			empty = time.Time{}
		case empty.IsZero():
			empty = time.Now()
		}
		if !empty.IsZero() && time.Since(empty) >= c.times.quiet {
			return nil
		}
		if err := pause(ctx, c.times.poll); err != nil {
			return err
		}
	}
}

// Cancel ends a replay, and removes its temporary queue with what waits in it.
func (c *Client) Cancel(ctx context.Context, s *Status) error {
	if s.State != NotStarted && s.EndedAt.IsZero() {
		_, err := c.taps.Events.CancelReplay(ctx, &eventbridge.CancelReplayInput{ReplayName: &s.Name})
		var over *types.IllegalStatusException
		if err != nil && !errors.As(err, &over) {
			return err
		}
	}
	if s.tap == nil {
		return nil
	}
	return s.tap.Remove(ctx)
}

// Sweep removes what earlier replays have left and nobody needs: temporary queues
// that are past their time, of traces whose process is gone, and of replays that have
// ended with nothing left to forward. It tells of those that can be resumed.
func (c *Client) Sweep(ctx context.Context) error {
	taps, err := c.left(ctx)
	if err != nil {
		return err
	}
	for name, t := range taps {
		reason, due := t.Label.Due()
		if !due {
			continue
		}
		s, err := c.describe(ctx, name)
		if err == nil {
			s, err = c.withTap(ctx, s, t)
		}
		if err != nil {
			c.note("what is left of replay %s cannot be told: %s", name, cli.Brief(err))
			continue
		}
		_, planned := t.Tags[tagPlan+"0"]
		settled := !s.EndedAt.IsZero() && time.Since(s.EndedAt) > 2*c.times.quiet // the count of what waits is right
		if planned && !t.Label.Expired(time.Now()) && (*s.Waiting > 0 || !settled) {
			c.note("replay %s to %s was interrupted: go on with `penstock replay resume %s`, or `penstock replay cancel %s`", name, s.Subscription, name, name)
			continue
		}
		if err := t.Remove(ctx); err != nil {
			c.note("what is left of replay %s cannot be removed: %s", name, cli.Brief(err))
			continue
		}
		c.note("removed what was left of replay %s (%s)", name, reason)
	}
	return nil
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// forwarder makes what forwards the events of a tap.
func (c *Client) forwarder(ctx context.Context, t *tap.Tap, p Plan) (*forwarder, error) {
	to, err := c.taps.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &p.Subscription.Queue})
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", p.Subscription.Queue, err)
	}
	_, target, err := c.rule(ctx, p)
	if err != nil {
		return nil, err
	}
	f := newForwarder(c.taps.Queues, t.URL, aws.ToString(to.QueueUrl), p.Rate)
	if target.SqsParameters != nil {
		f.group = target.SqsParameters.MessageGroupId
	}
	if p.Pattern != "" {
		if f.matches, err = pattern.Parse([]byte(p.Pattern)); err != nil {
			return nil, err
		}
	}
	return f, nil
}
