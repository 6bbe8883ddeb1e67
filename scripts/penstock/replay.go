package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/replay"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

type replayFlags struct {
	common       *cli.Flags
	subscription string
	from, to     string
	pattern      string
	rate         float64
	reprocess    bool
	noWait, yes  bool
}

func newReplay(common *cli.Flags) *cobra.Command {
	f := replayFlags{common: common}
	cmd := &cobra.Command{
		Use:   "replay --subscription NAME --from TIME",
		Short: "Send events of the archive to one subscription again",
		Long: `Send events of the archive to one subscription again, and to no other: those that
its rule matches, of the time between --from and --to.

A handler that deduplicates skips what it has handled before. With --reprocess it
does not: the replay is then part of the event key.

--pattern picks events, and --rate sends so many a second. EventBridge can do
neither, so the events wait in a temporary queue, and this command forwards them.
Interrupted or killed, it loses nothing: they wait for up to 14 days, and
` + "`penstock replay resume`" + ` goes on. Without the two, EventBridge needs nobody to wait.

A TIME is a duration back from now (30m, 2h, 7d), a time (2026-03-02T09:00:00Z) or a
date in UTC. It is the time at which the bus took an event, to the second.

An event is in the archive up to 10 minutes after it was published. Replayed events
come in no order. EventBridge bills each as a custom event.`,
		Example: `  penstock replay --subscription withdrawal-fee/withdrawals --from 2h
  penstock replay --subscription withdrawal-fee/withdrawals --from 2026-03-02 --to 2026-03-03 --rate 50
  penstock replay --subscription withdrawal-fee/withdrawals --from 7d --reprocess \
    --pattern '{"detail": {"data": {"accountId": ["ACC-1001"]}}}'
  penstock replay resume penstock-prod-replay-k3x9aq`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.subscription, "subscription", "", "`NAME` of the subscription, function/subscription")
	flags.StringVar(&f.from, "from", "", "`TIME` of the first event")
	flags.StringVar(&f.to, "to", "0s", "`TIME` before which the last one was")
	flags.StringVar(&f.pattern, "pattern", "", "only events that match this event `pattern`: its JSON, @FILE, or - for standard input")
	flags.Float64Var(&f.rate, "rate", 0, fmt.Sprintf("so many `events` a second at most, %v to %v; 0 means as fast as it goes", replay.MinRate, replay.MaxRate))
	flags.BoolVar(&f.reprocess, "reprocess", false, "have handlers that deduplicate handle the events anew")
	flags.BoolVar(&f.noWait, "no-wait", false, "do not wait for the end (not with --pattern or --rate)")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	_ = cmd.RegisterFlagCompletionFunc("subscription", func(cmd *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
		return completeSubscriptions(cmd, nil, text)
	})
	cmd.AddCommand(newReplayList(common), newReplayStatus(common), newReplayResume(common), newReplayCancel(common))
	return cmd
}

// plan reads the flags.
func (f *replayFlags) plan(in io.Reader, now time.Time) (replay.Plan, error) {
	p := replay.Plan{Rate: f.rate, Reprocess: f.reprocess}
	if f.subscription == "" || f.from == "" {
		return p, cli.Misusef("--subscription and --from are required")
	}
	var err error
	if p.From, err = cli.ParseTime("--from", f.from, now); err != nil {
		return p, err
	}
	if p.To, err = cli.ParseTime("--to", f.to, now); err != nil {
		return p, err
	}
	switch {
	case !p.From.Before(p.To):
		return p, cli.Misusef("--from %s is not before --to %s", p.From.UTC().Format(time.RFC3339), p.To.UTC().Format(time.RFC3339))
	case f.rate != 0 && !(f.rate >= replay.MinRate && f.rate <= replay.MaxRate):
		return p, cli.Misusef("--rate %v: want %v to %v events a second, or 0 for as fast as it goes", f.rate, replay.MinRate, replay.MaxRate)
	case f.noWait && (f.rate != 0 || f.pattern != ""):
		return p, cli.Misusef("--no-wait: with --pattern or --rate it is this command that forwards the events, so it must go on")
	}
	if f.pattern != "" {
		if p.Pattern, err = (tail.Filter{Pattern: f.pattern}).EventPattern(in); err != nil {
			return p, err
		}
		if n := len(p.Pattern); n > replay.MaxPattern {
			return p, cli.Misusef("--pattern has %d bytes, and a replay takes %d: match less closely", n, replay.MaxPattern)
		}
	}
	return p, nil
}

func (f *replayFlags) run(cmd *cobra.Command) error {
	ctx, notes, now := cmd.Context(), cmd.ErrOrStderr(), time.Now()
	p, err := f.plan(cmd.InOrStdin(), now)
	if err != nil {
		return err
	}
	subs, c, err := openReplays(ctx, f.common, notes)
	if err != nil {
		return err
	}
	if p.Subscription, err = subs.Find(ctx, f.subscription); err != nil {
		return err
	}
	live, err := subs.Get(ctx, p.Subscription)
	if err != nil {
		return subs.Explain(err)
	}
	if live.State == subscriptions.NotDeployed {
		return fmt.Errorf("subscription %s is not deployed in environment %q", p.Subscription, subs.Env.Name)
	}
	archive, err := c.Archive(ctx)
	if err != nil {
		return err
	}
	tell := func(format string, args ...any) { fmt.Fprintf(notes, "note: "+format+"\n", args...) }
	oldest := aws.ToTime(archive.CreationTime)
	if days := int(aws.ToInt32(archive.RetentionDays)); days > 0 && now.AddDate(0, 0, -days).After(oldest) {
		oldest = now.AddDate(0, 0, -days)
	}
	switch {
	case !oldest.Before(p.To):
		return cli.Misusef("the archive of environment %q has nothing from before %s", subs.Env.Name, oldest.UTC().Format(time.RFC3339))
	case p.From.Before(oldest):
		tell("the archive has nothing from before %s", oldest.UTC().Format(time.RFC3339))
	}
	if subs.Env.Endpoint == "" && now.Sub(p.To) < replay.Lag {
		tell("an event may take %s to the archive: of the last ones, some may be missing", strings.TrimSuffix(replay.Lag.String(), "0s"))
	}
	if live.State != subscriptions.Enabled {
		tell("%s is %s: its events wait in its queue, for up to 4 days", p.Subscription, live.State)
	}
	if err := c.Sweep(ctx); err != nil {
		return subs.Explain(err)
	}
	if err := cli.Confirm(ctx, cmd.InOrStdin(), notes, f.yes, question(p, subs.Env.Name)); err != nil {
		return err
	}
	name, err := c.Start(ctx, p)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintf(notes, "interrupted before it began: `penstock replay resume %s` begins it, `penstock replay cancel %s` drops it\n", name, name)
		return cli.ErrTold
	case err != nil:
		return subs.Explain(err)
	}
	if f.noWait {
		fmt.Fprintf(notes, "started: `penstock replay status %s` says how far it is\n", name)
		return printResult(cmd.OutOrStdout(), f.common, replay.Result{Name: name, State: replay.Starting})
	}
	return followReplay(cmd, f.common, subs, c, name)
}

// question is what a plan will do.
func question(p replay.Plan, env string) string {
	which := ""
	if p.Pattern != "" {
		which = " that match the pattern"
	}
	if p.Rate > 0 {
		which += fmt.Sprintf(" at %v a second", p.Rate)
	}
	again := "What it has handled before, an idempotent function skips."
	if p.Reprocess {
		again = "They are handled anew, whether they were handled before or not."
	}
	return fmt.Sprintf("Replay the events%s from %s to %s to %s in environment %q? %s", which, p.From.UTC().Format(time.RFC3339), p.To.UTC().Format(time.RFC3339), p.Subscription, env, again)
}

// openReplays opens the replays of the environment that the flags name, for a verb
// that changes something.
func openReplays(ctx context.Context, common *cli.Flags, notes io.Writer) (*subscriptions.Environment, *replay.Client, error) {
	subs, err := openSubscriptions(ctx, common)
	if err != nil {
		return nil, nil, err
	}
	if err := subs.Guard(ctx); err != nil {
		return nil, nil, err
	}
	c, err := replay.Open(ctx, subs, notes)
	return subs, c, err
}

// followReplay waits for a replay and forwards what it must. Ctrl-C says what goes
// on without it.
func followReplay(cmd *cobra.Command, common *cli.Flags, subs *subscriptions.Environment, c *replay.Client, name string) error {
	notes := cmd.ErrOrStderr()
	show := &replayProgress{out: notes, terminal: cli.IsTerminal(notes)}
	r, err := c.Follow(cmd.Context(), name, show.tell)
	show.end()
	switch {
	case cmd.Context().Err() != nil && r.Forwarded == nil:
		fmt.Fprintf(notes, "%s goes on without this command: `penstock replay status %s` says how far it is, `penstock replay cancel %s` ends it\n", name, name, name)
		return cli.ErrTold
	case cmd.Context().Err() != nil:
		fmt.Fprintf(notes, "interrupted after %s: nothing is lost, the others wait for up to 14 days: `penstock replay resume %s` goes on, `penstock replay cancel %s` drops them\n", plural(*r.Forwarded, "event"), name, name)
		return cli.ErrTold
	case err != nil:
		return fmt.Errorf("replay %s: %w", name, subs.Explain(err))
	}
	if err := printResult(cmd.OutOrStdout(), common, r); err != nil {
		return err
	}
	if r.State != replay.Completed {
		return fmt.Errorf("replay %s is %s: %s", name, r.State, cmp.Or(r.Status.Reason, "EventBridge says no reason"))
	}
	return nil
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func printResult(out io.Writer, common *cli.Flags, r replay.Result) error {
	if common.JSON() {
		return cli.JSON(out, r)
	}
	line := r.Name + " " + r.State
	if r.Forwarded != nil {
		line += fmt.Sprintf(": %s forwarded", plural(*r.Forwarded, "event"))
	}
	if r.LeftOut != nil {
		line += fmt.Sprintf(", %d did not match", *r.LeftOut)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// replayProgress tells how far a replay is: on a terminal in one line, elsewhere
// whenever its state changes.
type replayProgress struct {
	out      io.Writer
	terminal bool
	said     string
	wide     int
}

func (p *replayProgress) tell(s *replay.Status, r replay.Result) {
	line := fmt.Sprintf("%s %s", s.Name, s.State)
	if !p.terminal {
		if line != p.said {
			p.said = line
			fmt.Fprintln(p.out, line)
		}
		return
	}
	line += fmt.Sprintf(", %.0f %% of the time", 100*s.Progress())
	if r.Forwarded != nil {
		line += fmt.Sprintf(", %s forwarded", plural(*r.Forwarded, "event"))
	}
	if s.Waiting != nil {
		line += fmt.Sprintf(", %d waiting", *s.Waiting)
	}
	fmt.Fprintf(p.out, "\r%-*s", p.wide, line)
	p.wide = len(line)
}

func (p *replayProgress) end() {
	if p.wide > 0 {
		fmt.Fprintln(p.out)
	}
}

func newReplayResume(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "resume REPLAY",
		Short: "Go on with a replay that was interrupted",
		Long: `Go on with a replay that was interrupted: forward what waits, at its rate, until
all of it is. Of one that EventBridge does alone, wait for the end.`,
		Example:           "  penstock replay resume penstock-prod-replay-k3x9aq",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeReplays(common),
		RunE: func(cmd *cobra.Command, args []string) error {
			subs, c, err := openReplays(cmd.Context(), common, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return followReplay(cmd, common, subs, c, args[0])
		},
	}
}

func newReplayCancel(common *cli.Flags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "cancel REPLAY",
		Short: "End a replay, and drop what it has not sent yet",
		Long: `End a replay, and drop what it has not sent yet. The events stay in the archive;
those that were sent are not called back.`,
		Example:           "  penstock replay cancel penstock-prod-replay-k3x9aq",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeReplays(common),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			subs, c, err := openReplays(ctx, common, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			s, err := c.Status(ctx, args[0])
			if err != nil {
				return subs.Explain(err)
			}
			if s.Waiting == nil && !s.EndedAt.IsZero() {
				return cli.Misusef("replay %s has ended: it is %s", s.Name, s.State)
			}
			waiting := ""
			if s.Waiting != nil {
				waiting = fmt.Sprintf(" About %s to be forwarded are dropped; they stay in the archive.", plural(*s.Waiting, "event"))
			}
			if err := cli.Confirm(ctx, cmd.InOrStdin(), cmd.ErrOrStderr(), yes, fmt.Sprintf("Cancel replay %s to %s?%s", s.Name, s.Subscription, waiting)); err != nil {
				return err
			}
			if err := c.Cancel(ctx, s); err != nil {
				return subs.Explain(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "cancelled: %s\n", s.Name)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func newReplayStatus(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "status REPLAY",
		Short: "How far a replay is",
		Long: `How far a replay is: its state, the time of the events that it sends, and, if this
command forwards them, how many wait.`,
		Example:           "  penstock replay status penstock-prod-replay-k3x9aq",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeReplays(common),
		RunE: func(cmd *cobra.Command, args []string) error {
			subs, c, err := readReplays(cmd.Context(), common, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context(), args[0])
			if err != nil {
				return subs.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
}

// readReplays opens the replays of the environment that the flags name, for a verb
// that only reads.
func readReplays(ctx context.Context, common *cli.Flags, notes io.Writer) (*subscriptions.Environment, *replay.Client, error) {
	subs, err := openSubscriptions(ctx, common)
	if err != nil {
		return nil, nil, err
	}
	c, err := replay.Open(ctx, subs, notes)
	return subs, c, err
}

func printStatus(out io.Writer, s *replay.Status) error {
	fmt.Fprintf(out, "%s to %s: %s\n", s.Name, s.Subscription, s.State)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%-9s %s\n", name, value)
		}
	}
	line("reason", s.Reason)
	line("events", s.From.Format(time.RFC3339)+" to "+s.To.Format(time.RFC3339))
	line("started", moment(s.StartedAt))
	line("ended", moment(s.EndedAt))
	line("progress", fmt.Sprintf("%.0f %% of the time", 100*s.Progress()))
	if s.Rate > 0 {
		line("rate", fmt.Sprintf("%v events a second", s.Rate))
	}
	if s.Waiting != nil {
		line("waiting", fmt.Sprintf("about %s to be forwarded", plural(*s.Waiting, "event")))
	}
	if s.State == replay.Interrupted {
		line("go on", "penstock replay resume "+s.Name)
	}
	return nil
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// shownReplays is how many replays `replay list` looks at: each is a call.
const shownReplays = 20

func newReplayList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "The replays of this environment, the newest first",
		Long: fmt.Sprintf(`The replays of this environment, the newest first: the last %d, and all that still
have events to forward. EventBridge knows a replay for 90 days.`, shownReplays),
		Example: `  penstock replay list
  penstock replay list --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			subs, c, err := readReplays(cmd.Context(), common, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			all, err := c.List(cmd.Context(), shownReplays)
			if err != nil {
				return subs.Explain(err)
			}
			if common.JSON() {
				if all == nil {
					all = []*replay.Status{}
				}
				return cli.JSON(cmd.OutOrStdout(), all)
			}
			rows := make([][]string, len(all))
			for i, s := range all {
				waiting := "-"
				if s.Waiting != nil {
					waiting = fmt.Sprint(*s.Waiting)
				}
				to := s.Subscription
				if s.Trace != "" {
					to = "a trace"
				}
				rows[i] = []string{s.Name, cmp.Or(to, "-"), s.State, s.From.Format(time.RFC3339), s.To.Format(time.RFC3339), cmp.Or(moment(s.StartedAt), "-"), waiting}
			}
			return cli.Table(cmd.OutOrStdout(), []string{"REPLAY", "SUBSCRIPTION", "STATE", "FROM", "TO", "STARTED", "WAITING"}, rows)
		},
	}
}

// completeReplays completes a command's one argument with the environment's replays.
func completeReplays(common *cli.Flags) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_, c, err := readReplays(ctx, common, io.Discard)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		all, err := c.List(ctx, shownReplays)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, cobra.ShellCompDirectiveError
		}
		var out []string
		for _, s := range all {
			out = append(out, cobra.CompletionWithDesc(s.Name, s.Subscription))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
