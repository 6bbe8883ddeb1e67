package tail

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tap"
)

// Sweep removes what tails of the environment have left, and nothing else.
func (t *Tail) Sweep(ctx context.Context) error {
	taps, err := tap.NewClient(ctx, t.AWS)
	if err != nil {
		return err
	}
	return t.sweep(ctx, taps)
}

// sweep removes what tails have left. It is an error if the bus does not exist;
// what cannot be looked at or removed is noted, and left for the next start.
func (t *Tail) sweep(ctx context.Context, taps *tap.Client) error {
	left := map[string]*tap.Tap{}
	for _, bus := range slices.Compact(slices.Sorted(slices.Values([]string{t.Bus, t.Names.Bus(), tap.DefaultBus}))) {
		err := taps.FindRules(ctx, bus, t.Names.TailPrefix(), left)
		var noBus *eventbridgetypes.ResourceNotFoundException
		switch {
		case errors.As(err, &noBus) && bus == t.Bus:
			return t.unknownBus(ctx, taps)
		case errors.As(err, &noBus): // not deployed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			t.note("what tails have left on bus %s cannot be listed: %s", bus, cli.Brief(err))
		}
	}
	if err := taps.FindQueues(ctx, t.Names.TailPrefix(), left, t.note); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.note("the queues that tails have left cannot be listed: %s", cli.Brief(err))
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		p := left[name]
		reason, due := p.Label.Due()
		if !due {
			continue
		}
		if err := p.Remove(ctx); err != nil {
			t.note("%s, left by %s (%s), cannot be removed: %s", name, p.Label.Owner, reason, cli.Brief(err))
			continue
		}
		t.note("removed %s, left by %s (%s)", name, p.Label.Owner, reason)
	}
	return nil
}

// unknownBus is the error of a bus that does not exist, with the names of those
// that do.
func (t *Tail) unknownBus(ctx context.Context, taps *tap.Client) error {
	var known []string
	in := &eventbridge.ListEventBusesInput{}
	for {
		page, err := taps.Events.ListEventBuses(ctx, in)
		if err != nil {
			return cli.Misusef("there is no bus %q", t.Bus)
		}
		for _, b := range page.EventBuses {
			known = append(known, aws.ToString(b.Name))
		}
		if page.NextToken == nil {
			return cli.Unknown("bus", t.Bus, known)
		}
		in.NextToken = page.NextToken
	}
}
