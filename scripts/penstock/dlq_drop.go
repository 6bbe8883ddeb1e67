package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

type dropFlags struct {
	pickFlags
	common *cli.Flags
	all    bool
	yes    bool
	keep   string
}

func newDLQDrop(common *cli.Flags) *cobra.Command {
	f := dropFlags{common: common}
	cmd := &cobra.Command{
		Use:   "drop NAME",
		Short: "Remove events from the DLQs of a subscription, and keep them in a file",
		Long: `Remove events from the DLQs of a subscription: one (--id), some (by the other
flags), or --all. It says how many and why they are there, and asks.

What is dropped is kept in a file, one JSON object a line, from which ` + "`penstock dlq\nredrive NAME --from FILE`" + ` brings it back. An event is on disk there before it is
deleted. The file holds the events' data, and is readable by its owner alone.`,
		Example: `  penstock dlq drop withdrawal-fee/withdrawals --reason 'the amount must be positive'
  penstock dlq drop withdrawal-fee/withdrawals --older-than 240h -y
  penstock dlq drop withdrawal-fee/withdrawals --all --keep dropped.jsonl`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.add(cmd, 0)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "everything in the DLQs")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.StringVar(&f.keep, "keep", "", "the new `file` to keep them in; one under .penstock/dropped if not given")
	return cmd
}

func (f *dropFlags) run(cmd *cobra.Command, name string) error {
	ctx := cmd.Context()
	filter, kinds, err := f.filter(cmd)
	switch {
	case err != nil:
		return err
	case f.all && !filter.All():
		return cli.Misusef("--all is everything: it goes with no flag that picks events")
	case !f.all && filter.All():
		return cli.Misusef("say which events to drop: --id, --type, --reason, --older-than, --newer-than or --pattern, or --all")
	}
	d, err := openDLQs(ctx, f.common)
	if err != nil {
		return err
	}
	owner, err := d.Find(ctx, name)
	if err != nil {
		return err
	}
	path := cmp.Or(f.keep, filepath.Join(d.Root, ".penstock", "dropped", fmt.Sprintf("%s-%s.jsonl", owner.Queue, time.Now().UTC().Format("20060102T150405Z"))))
	keep, err := dlq.NewKeepFile(path)
	if err != nil {
		return cli.Misuse{Err: fmt.Errorf("--keep: %w", err)}
	}
	if err := d.Guard(ctx); err != nil {
		return err
	}
	queues, err := d.open(ctx, owner, kinds)
	if err != nil {
		return err
	}
	note := noter(cmd)
	drop := dlq.Drop{Picker: dlq.Picker{Filter: filter, History: d.history(owner), Note: note}, DryRun: true}
	walk := dlq.Walk{Limit: f.limit, Chunk: 100, Note: note}
	if !f.yes {
		for _, q := range queues {
			if _, err := q.Walk(ctx, walk, drop.Visit); err != nil {
				return d.Explain(err)
			}
		}
		if err := confirmDrop(cmd, owner, drop); err != nil {
			return err
		}
	}
	drop.DryRun, drop.Keep, walk.Patient = false, keep, true
	incomplete, dropped := false, 0
	for _, q := range queues {
		seen, walkErr := q.Walk(ctx, walk, drop.Visit)
		tellUnseen(note, q, seen)
		dropped += seen.Deleted
		incomplete = incomplete || seen.Stopped != "" && f.limit == 0
		if err = walkErr; err != nil {
			break
		}
	}
	err = errors.Join(err, keep.Close())
	if printErr := f.print(cmd, owner, dropped, path); err == nil {
		err = printErr
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return errors.New("interrupted: the other events are still in the DLQ")
	case err != nil:
		return d.Explain(err)
	case dropped == 0 && len(filter.IDs) > 0:
		return fmt.Errorf("nothing with the id %s is in the DLQs of %s", strings.Join(filter.IDs, " or "), owner)
	case incomplete:
		return cli.ErrTold
	}
	return nil
}

// confirmDrop says what would be dropped, and asks.
func confirmDrop(cmd *cobra.Command, owner subscriptions.Subscription, would dlq.Drop) error {
	n := len(would.Would)
	if n == 0 {
		return fmt.Errorf("nothing of it is in the DLQs of %s", owner)
	}
	if err := cli.Table(cmd.ErrOrStderr(), groupHeader, groupRows(owner.String(), dlq.Groups(would.Would))); err != nil {
		return err
	}
	return cli.Confirm(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), false, fmt.Sprintf("Drop %s of %s?", plural(n, "event"), owner))
}

func (f *dropFlags) print(cmd *cobra.Command, owner subscriptions.Subscription, dropped int, path string) error {
	if dropped == 0 {
		path = ""
	}
	if f.common.JSON() {
		return cli.JSON(cmd.OutOrStdout(), struct {
			Subscription string `json:"subscription"`
			Dropped      int    `json:"dropped"`
			Kept         string `json:"kept,omitempty"` // the file
		}{owner.String(), dropped, path})
	}
	if dropped == 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "nothing of it is in the DLQs of %s\n", owner)
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "dropped of %s: %s\nkept in %s\n(penstock dlq redrive %s --from FILE brings them back)\n", owner, plural(dropped, "event"), path, owner)
	return err
}
