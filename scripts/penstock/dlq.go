package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

func newDLQ(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Events that were given up: why, and back to their subscription, or away",
		Long: `Events that were given up: why, and back to their subscription, or away.

A subscription has two DLQs. In the one of its queue (dlq) are events that its
function can never handle, and events that failed maxReceiveCount times; in the
one of its rule (rule-dlq) those that EventBridge could not put into the queue.
They stay for 14 days.

To see a message of a DLQ is to receive it, which hides it from others for a
while. Every command gives back at once what it does not move or drop, however it
ends; only after a kill -9 the messages come back by themselves, within a
minute. Looking pushes nothing on: a DLQ has no redrive policy, and one that has
is refused.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQList(common), newDLQShow(common), newDLQRedrive(common), newDLQDrop(common))
	return cmd
}

// dlqs are the DLQs of an environment, as the commands see them.
type dlqs struct {
	*subscriptions.Environment
	sqs  *sqs.Client
	logs *cloudwatchlogs.Client
}

func openDLQs(ctx context.Context, common *cli.Flags) (*dlqs, error) {
	target, err := common.Target(ctx)
	if err != nil {
		return nil, err
	}
	environment, err := subscriptions.Open(target)
	if err != nil {
		return nil, err
	}
	return &dlqs{environment, sqs.NewFromConfig(target.AWS), cloudwatchlogs.NewFromConfig(target.AWS)}, nil
}

// dlqName is the name of one of a subscription's DLQs.
func dlqName(s subscriptions.Subscription, kind dlq.Kind) string {
	if kind == dlq.Undelivered {
		return s.RuleDLQ
	}
	return s.DLQ
}

// open opens the DLQs of a subscription that are asked for.
func (d *dlqs) open(ctx context.Context, s subscriptions.Subscription, kinds []dlq.Kind) ([]*dlq.Queue, error) {
	var queues []*dlq.Queue
	for _, kind := range kinds {
		q, err := dlq.Open(ctx, d.sqs, kind, dlqName(s, kind))
		switch {
		case errors.Is(err, dlq.ErrNoQueue):
			return nil, fmt.Errorf("subscription %s is not deployed in environment %q: %w", s, d.Env.Name, err)
		case errors.Is(err, dlq.ErrRedrivePolicy):
			return nil, cli.Refused{Err: err}
		case err != nil:
			return nil, d.Explain(err)
		}
		queues = append(queues, q)
	}
	return queues, nil
}

// history is what the log of a subscription's function says.
func (d *dlqs) history(s subscriptions.Subscription) *dlq.History {
	return dlq.NewHistory(d.logs, d.Names.LogGroup(s.Function), s.Name)
}

// pickFlags say which messages are meant.
type pickFlags struct {
	types        []string
	reason       string
	older, newer string
	pattern      string
	ids          []string
	queue        string
	limit        int
}

func (f *pickFlags) add(cmd *cobra.Command, limit int) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.types, "type", nil, "only events of this `type`, source/NAME or NAME (may be repeated)")
	flags.StringVar(&f.reason, "reason", "", "only those whose reason holds this `text`, or is it, with * for any text")
	flags.StringVar(&f.older, "older-than", "", "only those sent before: a `duration` ago, such as 2h or 7d, or a time such as 2026-03-02T09:00:00Z")
	flags.StringVar(&f.newer, "newer-than", "", "only those sent after: a `duration` ago, or a time")
	flags.StringVar(&f.pattern, "pattern", "", "only events that match this event `pattern`: its JSON, @FILE, or - for standard input")
	flags.StringArrayVar(&f.ids, "id", nil, "only the event, or the message, with this `id` (may be repeated)")
	flags.StringVar(&f.queue, "queue", "", "only one of the DLQs, `dlq` or rule-dlq")
	usage := "look at this many messages of each DLQ, at the most"
	if limit == 0 {
		usage += "; 0 is all"
	}
	flags.IntVar(&f.limit, "limit", limit, usage)
	_ = cmd.RegisterFlagCompletionFunc("type", func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(cmd, nil, toComplete)
	})
	_ = cmd.RegisterFlagCompletionFunc("queue", cobra.FixedCompletions([]string{string(dlq.Failed), string(dlq.Undelivered)}, cobra.ShellCompDirectiveNoFileComp))
}

// filter reads the flags. Each error is a misuse.
func (f *pickFlags) filter(cmd *cobra.Command) (filter dlq.Filter, kinds []dlq.Kind, err error) {
	switch dlq.Kind(f.queue) {
	case "":
		kinds = []dlq.Kind{dlq.Failed, dlq.Undelivered}
	case dlq.Failed, dlq.Undelivered:
		kinds = []dlq.Kind{dlq.Kind(f.queue)}
	default:
		return filter, nil, cli.Misusef("--queue %q: want %s or %s", f.queue, dlq.Failed, dlq.Undelivered)
	}
	if f.limit < 0 || f.limit > dlq.MaxHeld || f.limit == 0 && cmd.Flag("limit").DefValue != "0" {
		return filter, nil, cli.Misusef("--limit %d: want 1 to %d, since SQS lets no more be looked at together", f.limit, dlq.MaxHeld)
	}
	filter = dlq.Filter{Types: f.types, Reason: f.reason, IDs: f.ids}
	for _, name := range f.types {
		if source, bare, qualified := strings.Cut(name, "/"); source == "" || qualified && bare == "" {
			return filter, nil, cli.Misusef("--type %q: want NAME or source/NAME", name)
		}
	}
	now := time.Now()
	for _, bound := range []struct {
		flag, value string
		at          *time.Time
	}{{"older-than", f.older, &filter.Before}, {"newer-than", f.newer, &filter.After}} {
		if bound.value == "" {
			continue
		}
		if *bound.at, err = cli.ParseTime("--"+bound.flag, bound.value, now); err != nil {
			return filter, nil, err
		}
	}
	if !filter.Before.IsZero() && !filter.After.Before(filter.Before) {
		return filter, nil, cli.Misusef("nothing is both older than %s and newer than %s", f.older, f.newer)
	}
	if f.pattern != "" {
		text, err := tail.Filter{Pattern: f.pattern}.EventPattern(cmd.InOrStdin())
		if err != nil {
			return filter, nil, err
		}
		if filter.Pattern, err = pattern.Parse([]byte(text)); err != nil {
			return filter, nil, cli.Misuse{Err: err}
		}
	}
	return filter, kinds, nil
}

// noter prints notes for people, each once.
func noter(cmd *cobra.Command) func(format string, args ...any) {
	told := map[string]bool{}
	return func(format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if !told[text] {
			told[text] = true
			fmt.Fprintln(cmd.ErrOrStderr(), text)
		}
	}
}

// tellUnseen tells what of a DLQ was not looked at, and of what could not be given
// back.
func tellUnseen(note func(string, ...any), q *dlq.Queue, seen dlq.Seen) {
	switch {
	case seen.Stopped != "":
		note("%s: %s; not looked at: about %d", q.Name, seen.Stopped, seen.Unseen)
	case seen.Hidden > 0:
		note("%s: not looked at, since somebody else does: about %d", q.Name, seen.Hidden)
	}
	if seen.Newer > 0 {
		note("%s: came meanwhile, and stay: %d", q.Name, seen.Newer)
	}
	if seen.Lost > 0 {
		note("%s: could not be given back, and come back by themselves within a minute: %d", q.Name, seen.Lost)
	}
}

// brief is a text on one line, and not too long a one.
func brief(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
