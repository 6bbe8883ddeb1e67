package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/replay"
	"github.com/penstock-dev/penstock/scripts/internal/trace"
)

func newTrace(common *cli.Flags) *cobra.Command {
	var within time.Duration
	var archive, logs, yes bool
	cmd := &cobra.Command{
		Use:   "trace EVENT_ID",
		Short: "Follow one event: who received it, what became of it, what it caused",
		Long: `Follow one event: when it was made and by what, which subscriptions received it,
what became of it there, in which DLQ it lies, and the events that it caused, as a
tree. EVENT_ID is metadata.id, which ` + "`events publish`" + ` prints and every log line
about an event has.

AWS keeps no record of an event's way. The outcome records in the functions' logs
tell most of it, for as long as the logs are kept; up to 1000 messages of the DLQs
are looked at, and the outbox. What could not be found is said.

An event that nobody received has left no record. --archive looks for it, and for
all that has its correlation id, among the events of the bus: by a replay to a
queue of its own, which takes some minutes on AWS, where EventBridge bills every
event of the time that is looked at.

The exit status is 1 if nothing was found.`,
		Example: `  penstock trace 01976e5a-8c00-7000-8000-000000000001
  penstock trace 01976e5a-8c00-7000-8000-000000000001 --logs --within 96h
  penstock trace 01976e5a-8c00-7000-8000-000000000001 --archive --within 10m
  penstock trace 01976e5a-8c00-7000-8000-000000000001 --output json | jq '.caused[].id'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, notes := cmd.Context(), cmd.ErrOrStderr()
			if within <= 0 {
				return cli.Misusef("--within %s: want more than 0", within)
			}
			subs, err := openSubscriptions(ctx, common)
			if err != nil {
				return err
			}
			// It changes nothing that lasts, but it receives from DLQs.
			if err := subs.Guard(ctx); err != nil {
				return err
			}
			replays, err := replay.Open(ctx, subs, notes)
			if err != nil {
				return err
			}
			if archive && subs.Env.Endpoint == "" {
				question := fmt.Sprintf("EventBridge bills every event of the bus within %s after event %s was made. Look through them?", within, args[0])
				if err := cli.Confirm(ctx, cmd.InOrStdin(), notes, yes, question); err != nil {
					return err
				}
			}
			if archive {
				if err := replays.Sweep(ctx); err != nil {
					return subs.Explain(err)
				}
			}
			e, err := trace.Open(subs, replays).Trace(ctx, args[0], trace.Options{
				Within: within, Archive: archive, Notes: func(format string, args ...any) { fmt.Fprintf(notes, format+"\n", args...) },
			})
			var nothing *trace.NothingError
			if err != nil && !errors.As(err, &nothing) {
				return subs.Explain(err)
			}
			if common.JSON() {
				if printed := cli.JSON(cmd.OutOrStdout(), e); printed != nil {
					return printed
				}
			} else {
				trace.Print(cmd.OutOrStdout(), e, logs)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&within, "within", time.Hour, "look at what happened within this `duration` after the event was made")
	flags.BoolVar(&archive, "archive", false, "look in the archive, too")
	flags.BoolVar(&logs, "logs", false, "print what the functions logged about the event")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
