package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

func newSubscriptions(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "Which subscriptions receive, what waits, which are stopped and why; make, change, stop them",
		Long: `The project's subscriptions: which receive and what waits for them, which are
stopped and why; creating, changing and deleting them, stopping and resuming.

A subscription is stopped by the breaker, when too many of its events fail, or
disabled by a person. Its events wait in its queue, for up to 4 days, and are
delivered once it is enabled.

A NAME is function/subscription, such as withdrawal-fee/withdrawals.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSubscriptionsList(common), newSubscriptionsGet(common), newSubscriptionsCreate(common), newSubscriptionsUpdate(common),
		newSubscriptionsDelete(common), newSubscriptionsEnable(common), newSubscriptionsDisable(common))
	return cmd
}

// openSubscriptions opens the subscriptions of the environment that the flags
// name.
func openSubscriptions(ctx context.Context, common *cli.Flags) (*subscriptions.Environment, error) {
	target, err := common.Target(ctx)
	if err != nil {
		return nil, err
	}
	return subscriptions.Open(target)
}

func newSubscriptionsEnable(common *cli.Flags) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "enable NAME",
		Short: "Have a stopped subscription receive again, what has waited first",
		Long: `Have a stopped subscription receive again, what has waited first. Its breaker
begins anew: it looks at what fails from now on.`,
		Example:           "  penstock subscriptions enable withdrawal-fee/withdrawals --reason 'core banking is back'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return switchSubscription(cmd, common, args[0], cmp.Or(reason, "a person has enabled it"), (*stops.Switch).Resume, "enabled")
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a `sentence` for others")
	return cmd
}

func newSubscriptionsDisable(common *cli.Flags) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "disable NAME --reason WHY",
		Short: "Stop a subscription: its events wait, for up to 4 days",
		Long: `Stop a subscription: its events wait in its queue, for up to 4 days, until it is
enabled. A deployment does not undo it.`,
		Example:           "  penstock subscriptions disable withdrawal-fee/withdrawals --reason 'core banking is down until noon'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return cli.Misusef("--reason is required: whoever looks at it tonight wants to know why it is stopped")
			}
			return switchSubscription(cmd, common, args[0], reason, (*stops.Switch).Stop, "disabled")
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a `sentence` for others")
	return cmd
}

// switchSubscription stops or resumes a subscription in the name of the caller.
func switchSubscription(cmd *cobra.Command, common *cli.Flags, name, reason string,
	to func(*stops.Switch, context.Context, stops.Subscription, stops.Cause) (stops.Record, error), done string,
) error {
	ctx := cmd.Context()
	s, err := openSubscriptions(ctx, common)
	if err != nil {
		return err
	}
	sub, err := s.Find(ctx, name)
	if err != nil {
		return err
	}
	if err := s.Guard(ctx); err != nil {
		return err
	}
	who, err := sts.NewFromConfig(s.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return s.Explain(err)
	}
	if sub.Deleted() {
		return cli.Misusef("subscription %s was deleted on %s: `penstock subscriptions create %s --event %s` restores it", sub, sub.DeletedAt.UTC().Format(time.RFC3339), sub, sub.Event())
	}
	backlog, err := s.Backlog(ctx, sub)
	if err != nil {
		return s.Explain(err)
	}
	cause := stops.Cause{By: penstock.ActorPerson, Person: aws.ToString(who.Arn), Reason: reason}
	record, err := to(s.Switch(), ctx, s.Stoppable(sub, aws.ToString(who.Arn)), cause)
	if errors.Is(err, stops.ErrNotDeployed) {
		return fmt.Errorf("subscription %s: %w: deploy its function first", name, err)
	}
	if err != nil {
		return s.Explain(err)
	}
	if record.Stopped && (record.Person != cause.Person || record.Reason != reason) {
		fmt.Fprintf(cmd.ErrOrStderr(), "already stopped: %s, since %s by %s: %s\n", name, record.Since.Format(time.RFC3339), record.Person, record.Reason)
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", done, name)
	if !record.Stopped {
		tellDelivered(cmd.ErrOrStderr(), backlog)
	}
	return nil
}

// tellDelivered says what becomes of the events that have waited.
func tellDelivered(out io.Writer, waited int) {
	switch {
	case waited == 1:
		fmt.Fprintln(out, "1 event waited: it is delivered now")
	case waited > 1:
		fmt.Fprintf(out, "%d events waited: they are delivered now\n", waited)
	}
}

// completeSubscriptions completes a command's one argument with the project's
// subscriptions.
func completeSubscriptions(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	root, err := project.Root()
	if len(args) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	functions, err := manifest.Load(os.DirFS(root))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, f := range functions {
		for _, sub := range f.Subscriptions {
			out = append(out, cobra.CompletionWithDesc(f.Name+"/"+sub.Name, sub.Event))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
