package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

type redriveFlags struct {
	pickFlags
	common      *cli.Flags
	edit        editFlags
	all         bool
	rate        float64
	maxRedrives int
	dryRun      bool
	from        string
}

func newDLQRedrive(common *cli.Flags) *cobra.Command {
	f := redriveFlags{common: common}
	cmd := &cobra.Command{
		Use:   "redrive NAME",
		Short: "Bring events back from the DLQs to their subscription",
		Long: `Bring events back from the DLQs of a subscription to its own queue: one (--id), some
(by the other flags), or --all. An event keeps its id. No other subscription
receives it, and its age in the queue begins anew.

It may be interrupted, or killed: what was not moved is still in the DLQ, and the
same command goes on. What was sent and not deleted yet is then only deleted. An
event that was being sent just then may come twice, with the same id, so that a
function which handles an event once handles it once.

What fails again comes back to the DLQ, and says how often it was brought back:
after --max-redrives times it stays.

--set, --data and --edit change an event before it is moved. What its schema does
not allow stays in the DLQ as it was.`,
		Example: `  penstock dlq redrive withdrawal-fee/withdrawals --all --dry-run
  penstock dlq redrive withdrawal-fee/withdrawals --all --rate 50
  penstock dlq redrive withdrawal-fee/withdrawals --reason 'core banking is down' --newer-than 2h
  penstock dlq redrive withdrawal-fee/withdrawals --id 01976e5a-8c00-7000-8000-000000000001 --set currency=EUR
  penstock dlq redrive withdrawal-fee/withdrawals --id 01976e5a-8c00-7000-8000-000000000001 --edit
  penstock dlq redrive withdrawal-fee/withdrawals --from .penstock/dropped/penstock-local-withdrawal-fee-withdrawals-20260302T090000Z.jsonl`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd, 0)
	f.edit.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "everything in the DLQs")
	flags.Float64Var(&f.rate, "rate", 0, "so many `events` a second at most; 0 is as fast as it goes")
	flags.IntVar(&f.maxRedrives, "max-redrives", dlq.MaxRedrives, "leave what was brought back this many `times` before")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be moved, and move nothing")
	flags.StringVar(&f.from, "from", "", "bring back what dlq drop has kept in this `file`, not what is in the DLQs")
	return cmd
}

// check reads the flags. Each error is a misuse.
func (f *redriveFlags) check(cmd *cobra.Command) (filter dlq.Filter, kinds []dlq.Kind, err error) {
	if filter, kinds, err = f.filter(cmd); err != nil {
		return filter, nil, err
	}
	switch {
	case f.all && !filter.All():
		return filter, nil, cli.Misusef("--all is everything: it goes with no flag that picks events")
	case !f.all && filter.All() && f.from == "":
		return filter, nil, cli.Misusef("say which events to move: --id, --type, --reason, --older-than, --newer-than or --pattern, or --all")
	case !(f.rate >= 0 && f.rate <= maxRate):
		return filter, nil, cli.Misusef("--rate %v: want 0 to %d events per second", f.rate, maxRate)
	case f.maxRedrives < 1:
		return filter, nil, cli.Misusef("--max-redrives %d: want at least 1", f.maxRedrives)
	case f.from != "" && (f.limit != 0 || f.all):
		return filter, nil, cli.Misusef("--from is a whole file: it goes with neither --all nor --limit")
	}
	return filter, kinds, f.edit.check(filter)
}

func (f *redriveFlags) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	filter, kinds, err := f.check(cmd)
	if err != nil {
		return err
	}
	d, err := openDLQs(ctx, f.common)
	if err != nil {
		return err
	}
	owner, err := d.Find(ctx, name)
	if err != nil {
		return err
	}
	if err := d.Guard(ctx); err != nil {
		return err
	}
	to, err := dlq.URL(ctx, d.sqs, owner.Queue)
	if errors.Is(err, dlq.ErrNoQueue) {
		return fmt.Errorf("subscription %s is not deployed in environment %q: %w", owner, d.Env.Name, err)
	}
	if err != nil {
		return d.Explain(err)
	}
	note := noter(cmd)
	history := d.history(owner)
	r := redriving{dlqs: d, owner: owner, notes: cmd.ErrOrStderr(), note: note, limit: f.limit}
	r.Redrive = dlq.Redrive{
		API: d.sqs, To: to, MaxRedrives: f.maxRedrives, Rate: f.rate, DryRun: f.dryRun,
		Picker: dlq.Picker{Filter: filter, History: history, Note: note},
	}
	if r.Change, err = f.edit.changer(cmd); err != nil {
		return err
	}
	if !f.dryRun {
		d.tellStopped(ctx, owner, note)
	}
	if f.from != "" {
		err = r.restore(ctx, f.from, f.dryRun)
	} else {
		err = r.redrive(ctx, kinds)
	}
	if printErr := r.print(cmd, f.common); err == nil {
		err = printErr
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return errors.New("interrupted: what was not moved is still there, and the same command goes on")
	case err != nil:
		return d.Explain(err)
	case r.Unchanged > 0 && r.Change != nil:
		return cli.Misusef("%s left as it was in the DLQ, since it could not be changed so", plural(r.Unchanged, "event"))
	case len(filter.IDs) > 0 && r.touched()+r.before == 0:
		return fmt.Errorf("nothing with the id %s was there to be moved", strings.Join(filter.IDs, " or "))
	case r.incomplete, r.Refused > 0:
		return cli.ErrTold
	}
	return nil
}

// tellStopped tells that a subscription does not receive what is moved to it now.
func (d *dlqs) tellStopped(ctx context.Context, s subscriptions.Subscription, note func(string, ...any)) {
	live, err := d.Get(ctx, s)
	switch {
	case err != nil: // the events can be moved all the same
		note("whether %s receives is not known: %v", s, err)
	case live.State != subscriptions.Enabled:
		note("%s is %s: what is moved waits in its queue, for up to %d days", s, live.State, manifest.TombstoneDays)
	}
}

// redriving is a redrive under way.
type redriving struct {
	dlq.Redrive
	*dlqs
	owner subscriptions.Subscription
	notes io.Writer
	note  func(string, ...any)
	limit int

	before     int       // moved by a redrive that was interrupted
	began      time.Time // when it began
	incomplete bool      // not all was looked at
}

// touched counts the messages that were picked, whatever became of them.
func (r *redriving) touched() int {
	return r.Moved + r.Cleared + r.TooOften + r.Unchanged + r.Refused + len(r.Would)
}

// redrive moves what is in DLQs.
func (r *redriving) redrive(ctx context.Context, kinds []dlq.Kind) error {
	queues, err := r.open(ctx, r.owner, kinds)
	if err != nil {
		return err
	}
	total := 0
	for _, q := range queues {
		total += q.Depth.Total()
	}
	visit := r.telling(r.Visit, total)
	for _, q := range queues {
		if err := r.redriveOne(ctx, q, visit); err != nil {
			return err
		}
	}
	return nil
}

func (r *redriving) redriveOne(ctx context.Context, q *dlq.Queue, visit dlq.Visit) (err error) {
	walk := dlq.Walk{Limit: r.limit, Chunk: r.Chunk(), Patient: !r.DryRun, Note: r.note}
	done := false
	if !r.DryRun {
		if r.Journal, err = dlq.OpenJournal(filepath.Join(r.Root, ".penstock", "redrive"), q.Name); err != nil {
			return err
		}
		if began, moved := r.Journal.Interrupted(); !began.IsZero() {
			r.before += moved
			if r.began.IsZero() || began.Before(r.began) {
				r.began = began
			}
			r.note("going on with the redrive that began at %s and was interrupted: it had moved %d", began.Format(time.RFC3339), moved)
		}
		defer func() {
			if closeErr := r.Journal.Close(done); err == nil {
				err = closeErr
			}
			r.Journal = nil
		}()
	}
	seen, err := q.Walk(ctx, walk, visit)
	tellUnseen(r.note, q, seen)
	if seen.Stopped != "" && seen.Unseen > 0 {
		r.incomplete = r.limit == 0
	}
	done = err == nil && seen.Stopped == ""
	return err
}

// restore moves what was dropped.
func (r *redriving) restore(ctx context.Context, path string, dryRun bool) (err error) {
	file, err := dlq.OpenRestoring(path, dryRun, r.owner.DLQ, r.owner.RuleDLQ)
	if err != nil {
		return cli.Misuse{Err: fmt.Errorf("--from: %w", err)}
	}
	defer func() {
		r.before = file.Before
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	visit := r.telling(r.Visit, 0)
	for {
		batch, err := file.Next(r.Chunk())
		if err != nil {
			return cli.Misuse{Err: err}
		}
		if len(batch) == 0 {
			return nil
		}
		moved, err := visit(ctx, batch)
		if len(moved) > 0 {
			err = errors.Join(file.Done(moved), err)
		}
		if err != nil {
			return err
		}
	}
}

// telling has a visit tell of its progress.
func (r *redriving) telling(visit dlq.Visit, total int) dlq.Visit {
	began, told := time.Now(), time.Now()
	return func(ctx context.Context, batch []*dlq.Message) ([]*dlq.Message, error) {
		done, err := visit(ctx, batch)
		if time.Since(told) >= progressAfter {
			told = time.Now()
			of := ""
			if total > 0 {
				of = fmt.Sprintf(" of about %d", total)
			}
			fmt.Fprintf(r.notes, "%d%s events, %.0f a second\n", r.Moved+r.Cleared, of, float64(r.Moved+r.Cleared)/time.Since(began).Seconds())
		}
		return done, err
	}
}

// print prints what was done, or would be.
func (r *redriving) print(cmd *cobra.Command, common *cli.Flags) error {
	out := cmd.OutOrStdout()
	groups := dlq.Groups(r.Would)
	if common.JSON() {
		return cli.JSON(out, struct {
			Subscription string `json:"subscription"`
			DryRun       bool   `json:"dryRun"`
			dlq.Result
			MovedBefore int         `json:"movedBefore"` // by a redrive that was interrupted
			Unpicked    int         `json:"unpicked"`    // that the flags did not mean
			Would       []dlq.Group `json:"would,omitempty"`
		}{r.owner.String(), r.DryRun, r.Result, r.before, r.Unpicked, groups})
	}
	if r.DryRun {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s would be moved to %s\n", plural(len(r.Would), "event"), r.owner)
		if len(r.Would) > 0 {
			if err := cli.Table(out, groupHeader, groupRows(r.owner.String(), groups)); err != nil {
				return err
			}
		}
	} else {
		fmt.Fprintf(out, "moved to %s: %s\n", r.owner, plural(r.Moved, "event"))
	}
	for _, line := range []struct {
		n    int
		text string
	}{
		{r.before, "moved before: %d" + r.beforeBy()},
		{r.Cleared, "of these were still in the DLQ, and only deleted: %d"},
		{r.MovedTwice, "perhaps moved twice, with the same id, since the interruption came as they were sent: %d"},
		{r.TooOften, fmt.Sprintf("left, since they were brought back often enough (--max-redrives %d): %%d", r.MaxRedrives)},
		{r.Unchanged, "left as they were: %d"},
		{r.Refused, "left, since SQS did not take them: %d"},
	} {
		if line.n > 0 {
			fmt.Fprintf(out, line.text+"\n", line.n)
		}
	}
	return nil
}

func (r *redriving) beforeBy() string {
	if r.began.IsZero() {
		return ""
	}
	return ", by the redrive that began at " + r.began.Format(time.RFC3339) + " and was interrupted"
}
