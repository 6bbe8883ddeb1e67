package tail

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Sweep removes what tails of the environment have left, and nothing else.
func (t *Tail) Sweep(ctx context.Context) error {
	account, err := callerAccount(ctx, t.AWS)
	if err != nil {
		return err
	}
	return t.sweep(ctx, newTools(t.AWS, account), self())
}

// sweep removes what tails have left. It is an error if the bus does not exist;
// what cannot be looked at or removed is noted, and left for the next start.
func (t *Tail) sweep(ctx context.Context, tools *tools, me identity) error {
	pipes := map[string]*pipe{}
	for _, bus := range slices.Compact(slices.Sorted(slices.Values([]string{t.Bus, t.Names.Bus(), defaultBus}))) {
		err := tools.findRules(ctx, bus, t.Names.TailPrefix(), pipes)
		var noBus *eventbridgetypes.ResourceNotFoundException
		switch {
		case errors.As(err, &noBus) && bus == t.Bus:
			return t.unknownBus(ctx, tools)
		case errors.As(err, &noBus): // not deployed
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			t.note("what tails have left on bus %s cannot be listed: %s", bus, brief(err))
		}
	}
	if err := tools.findQueues(ctx, t.Names.TailPrefix(), pipes, t.note); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.note("the queues that tails have left cannot be listed: %s", brief(err))
	}
	now := time.Now()
	for _, name := range slices.Sorted(maps.Keys(pipes)) {
		p := pipes[name]
		reason, due := p.label.due(me, now, alive)
		if !due {
			continue
		}
		if err := p.remove(ctx); err != nil {
			t.note("%s, left by %s (%s), cannot be removed: %s", name, p.label.owner, reason, brief(err))
			continue
		}
		t.note("removed %s, left by %s (%s)", name, p.label.owner, reason)
	}
	return nil
}

// due reports whether what bears the label is to be removed, and why.
func (l label) due(me identity, now time.Time, alive func(process string) bool) (reason string, due bool) {
	switch {
	case now.After(l.expires):
		return "expired", true
	case l.owner == me.owner && !alive(l.process):
		return "its process is gone", true
	}
	return "", false
}

// findRules adds the pipes of which there is a rule on the bus.
func (t *tools) findRules(ctx context.Context, bus, prefix string, pipes map[string]*pipe) error {
	in := &eventbridge.ListRulesInput{EventBusName: &bus, NamePrefix: &prefix}
	for {
		page, err := t.events.ListRules(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range page.Rules {
			if l, ok := readDescription(aws.ToString(r.Description)); ok && l.bus == bus {
				pipes[aws.ToString(r.Name)] = t.pipe(l, aws.ToString(r.Name))
			}
		}
		if page.NextToken == nil {
			return nil
		}
		in.NextToken = page.NextToken
	}
}

// findQueues adds the pipes of which there is a queue, on whatever bus.
func (t *tools) findQueues(ctx context.Context, prefix string, pipes map[string]*pipe, note func(string, ...any)) error {
	pages := sqs.NewListQueuesPaginator(t.queues, &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(1000)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, url := range page.QueueUrls {
			name := queueName(url)
			if p, ok := pipes[name]; ok {
				p.url = url
				continue
			}
			var gone *sqstypes.QueueDoesNotExist
			out, err := t.queues.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &url})
			if errors.As(err, &gone) {
				continue // another tail has ended, or swept, meanwhile
			}
			if err != nil {
				note("whose queue %s is cannot be told: %s", name, brief(err))
				continue
			}
			if l, ok := readTags(out.Tags); ok {
				p := t.pipe(l, name)
				p.url = url
				pipes[name] = p
			}
		}
	}
	return nil
}

// unknownBus is the error of a bus that does not exist, with the names of those
// that do.
func (t *Tail) unknownBus(ctx context.Context, tools *tools) error {
	var known []string
	in := &eventbridge.ListEventBusesInput{}
	for {
		page, err := tools.events.ListEventBuses(ctx, in)
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
