// Package subscriptions knows the subscriptions of an environment: what each is
// called and made of, how it is deployed, what waits in its queues, and in what it
// differs from its manifest.
//
// A subscription has one NAME wherever the command takes or prints one:
// function/subscription, such as withdrawal-fee/withdrawals. [Open] reads the
// project's manifests, [Environment.Find] finds one by its name, and then
//
//   - [Subscription] has the names of its resources: rule, queue, DLQs, function;
//   - [Environment.Get] asks AWS for all there is to know of one, to the moment;
//   - [Environment.List] does so for all of them, in a number of calls that grows
//     with the pages of the answers, by the hundred, and not with each.
package subscriptions

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Subscription is one function receiving one event type in an environment.
type Subscription struct {
	Function string // the function's short name
	Name     string // the subscription's own

	// Manifest is what the function's manifest says of it, or did before it was
	// deleted. Nil of one that is deployed and in no manifest.
	Manifest *manifest.Subscription
	// MaxConcurrency is what the function's manifest says.
	MaxConcurrency int
	// DeletedAt is when it was deleted: its tombstone is in the manifest, and its
	// rule goes on filling its queue until Ends. Zero of one that is not deleted.
	DeletedAt time.Time

	// The names of what it is made of.
	Lambda  string // the function on Lambda
	Rule    string // on the environment's bus
	Queue   string
	DLQ     string // what the function failed to handle
	RuleDLQ string // what EventBridge could not put into the queue
}

// String is its NAME, function/subscription.
func (s Subscription) String() string { return s.Function + "/" + s.Name }

// Event is the type received, as source/NAME; empty if no manifest tells it.
func (s Subscription) Event() string {
	if s.Manifest == nil {
		return ""
	}
	return s.Manifest.Event
}

// Deleted reports whether it is one whose tombstone is in the manifest.
func (s Subscription) Deleted() bool { return !s.DeletedAt.IsZero() }

// Ends is when a deleted subscription's queue may go.
func (s Subscription) Ends() time.Time {
	t := manifest.Tombstone{DeletedAt: s.DeletedAt}
	return t.Ends()
}

func name(n names.Names, fn, sub string) Subscription {
	return Subscription{
		Function: fn, Name: sub,
		Lambda: n.Function(fn), Rule: n.Rule(fn, sub), Queue: n.Queue(fn, sub), DLQ: n.DLQ(fn, sub), RuleDLQ: n.RuleDLQ(fn, sub),
	}
}

// Of returns the subscriptions of functions, in the order of their manifests:
// each function's own, then those of its tombstones that were not created again.
func Of(functions []manifest.Function, n names.Names) []Subscription {
	var all []Subscription
	for i := range functions {
		f := &functions[i]
		add := func(m *manifest.Subscription, deleted time.Time) {
			s := name(n, f.Name, m.Name)
			s.Manifest, s.MaxConcurrency, s.DeletedAt = m, f.MaxConcurrency, deleted
			all = append(all, s)
		}
		for j := range f.Subscriptions {
			add(&f.Subscriptions[j], time.Time{})
		}
		for j := range f.Tombstones {
			if t := &f.Tombstones[j]; f.Subscription(t.Name) == nil {
				add(&t.Subscription, t.DeletedAt)
			}
		}
	}
	return all
}

// Find finds one of all by its NAME. The error is a [cli.Misuse] that offers the
// nearest.
func Find(all []Subscription, name string) (Subscription, error) {
	var known []string
	for _, s := range all {
		if s.String() == name {
			return s, nil
		}
		known = append(known, s.String())
	}
	// Its own name alone is enough to tell which was meant, not to act on it.
	if !strings.Contains(name, "/") {
		if i := slices.IndexFunc(all, func(s Subscription) bool { return s.Name == name }); i >= 0 {
			return Subscription{}, cli.Misusef("no subscription %q: did you mean %s? (a NAME is function/subscription)", name, all[i])
		}
	}
	return Subscription{}, cli.Unknown("subscription", name, known)
}

// Environment is an environment's subscriptions. It is safe for concurrent use.
type Environment struct {
	*cli.Target
	Functions []manifest.Function // the project's manifests
	// Declared are the subscriptions of the manifests, deleted ones included, and
	// those of Penstock's own programs; see Of.
	Declared []Subscription

	clients clients
}

// Open reads the manifests of a target's project. It makes no call to AWS.
func Open(target *cli.Target) (*Environment, error) {
	functions, err := manifest.Load(os.DirFS(target.Root))
	if err != nil {
		return nil, err
	}
	return newEnvironment(target, functions), nil
}

func newEnvironment(target *cli.Target, functions []manifest.Function) *Environment {
	all := slices.Concat(functions, manifest.System(functions))
	return &Environment{Target: target, Functions: functions, Declared: Of(all, target.Names), clients: newClients(target.AWS)}
}

// Find finds a subscription by its NAME: in the manifests, or else one that is
// deployed and in none. The error about an unknown one is a [cli.Misuse] that
// offers the nearest.
func (e *Environment) Find(ctx context.Context, name string) (Subscription, error) {
	s, unknown := Find(e.Declared, name)
	if unknown == nil {
		return s, nil
	}
	mappings, err := e.mappings(ctx, "")
	if err != nil {
		return s, unknown // what is deployed cannot be asked: the manifests' answer stands
	}
	return Find(slices.Concat(e.Declared, e.orphans(mappings)), name)
}

// Switch stops and resumes subscriptions of the environment.
func (e *Environment) Switch() *stops.Switch {
	return &stops.Switch{Mappings: e.clients.lambda, Items: e.clients.dynamodb, Alarms: e.clients.cloudwatch, Table: e.Names.Table(names.StateTable)}
}

// Stoppable is what package stops knows of a subscription. The caller's ARN says
// which partition and account it is in.
func (e *Environment) Stoppable(s Subscription, caller string) stops.Subscription {
	identity := strings.Split(caller, ":")
	out := stops.Subscription{
		Function: s.Function, Name: s.Name, Event: s.Event(), Lambda: s.Lambda,
		Queue: fmt.Sprintf("arn:%s:sqs:%s:%s:%s", identity[1], e.AWS.Region, identity[4], s.Queue),
	}
	if m := s.Manifest; m != nil && !m.Breaker.Off {
		out.Alarm = e.Names.Alarm(s.Function, s.Name, names.BreakerAlarm)
		out.ProbeAfter = time.Duration(m.Breaker.ProbeAfterMinutes) * time.Minute
	}
	return out
}
