package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newSubscriptions(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "Which subscriptions receive, which are stopped and why; stop and resume one",
		Long: `Which subscriptions receive, which are stopped and why; stop and resume one.

A subscription is stopped by the breaker, when too many of its events fail, or
by a person. Its events wait in its queue, for up to 4 days, and are delivered
once it is enabled.

A NAME is function/subscription, such as withdrawal-fee/withdrawals.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSubscriptionsList(common), newSubscriptionsGet(common), newSubscriptionsEnable(common), newSubscriptionsDisable(common))
	return cmd
}

// subscriptions are those of an environment, as the commands see them.
type subscriptions struct {
	*cli.Target
	functions []manifest.Function
	lambda    *lambda.Client
	stops     *stops.Switch
}

func openSubscriptions(ctx context.Context, common *cli.Flags) (*subscriptions, error) {
	target, err := common.Target(ctx)
	if err != nil {
		return nil, err
	}
	functions, err := manifest.Load(os.DirFS(target.Root))
	if err != nil {
		return nil, err
	}
	client := lambda.NewFromConfig(target.AWS)
	return &subscriptions{target, functions, client, &stops.Switch{
		Mappings: client, Items: dynamodb.NewFromConfig(target.AWS), Alarms: cloudwatch.NewFromConfig(target.AWS), Table: target.Names.Table(names.StateTable),
	}}, nil
}

// find finds a subscription by its NAME.
func (s *subscriptions) find(name string) (f manifest.Function, sub manifest.Subscription, err error) {
	var known []string
	for _, f := range s.functions {
		for _, sub := range f.Subscriptions {
			if f.Name+"/"+sub.Name == name {
				return f, sub, nil
			}
			known = append(known, f.Name+"/"+sub.Name)
		}
	}
	return f, sub, cli.Unknown("subscription", name, known)
}

// shownSubscription is a subscription as `subscriptions list` and `get` print it.
type shownSubscription struct {
	Name  string `json:"name"` // function/subscription
	Event string `json:"event"`
	// State is the mapping's, such as enabled; stopped if a record says so; or
	// "not deployed".
	State  string    `json:"state"`
	Since  time.Time `json:"since,omitzero"` // of what follows: when it was stopped
	By     string    `json:"by,omitempty"`   // breaker, or a person's AWS identity
	Reason string    `json:"reason,omitempty"`
	// ProbeAt is when the breaker tries it again.
	ProbeAt time.Time `json:"probeAt,omitzero"`
}

const stopped = "stopped"

// show reads the state of functions' subscriptions.
func (s *subscriptions) show(ctx context.Context, functions []manifest.Function) ([]shownSubscription, error) {
	records, err := s.stops.All(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]stops.Record{}
	for _, r := range records {
		byName[r.String()] = r
	}
	all := []shownSubscription{}
	for _, f := range functions {
		listed, err := listFunction(ctx, s.lambda, s.Names, f)
		if err != nil {
			return nil, err
		}
		for i, sub := range f.Subscriptions {
			shown := shownSubscription{Name: f.Name + "/" + sub.Name, Event: sub.Event, State: listed.Receives[i].State}
			if r := byName[shown.Name]; r.Stopped && shown.State != notDeployed {
				shown.State, shown.Since, shown.Reason, shown.ProbeAt = stopped, r.Since, r.Reason, r.ProbeAt
				shown.By = r.Person
				if r.By == penstock.ActorBreaker {
					shown.By = names.Breaker
				}
			}
			all = append(all, shown)
		}
	}
	return all, nil
}

func newSubscriptionsList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the subscriptions, which are stopped, since when and why",
		Long: `List the subscriptions as they are in the environment: enabled, disabled, or
stopped by the breaker or a person, since when and why.`,
		Example: "  penstock subscriptions list\n  penstock subscriptions list --env prod --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openSubscriptions(cmd.Context(), common)
			if err != nil {
				return err
			}
			all, err := s.show(cmd.Context(), s.functions)
			if err != nil {
				return s.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, sub := range all {
				since := "-"
				if !sub.Since.IsZero() {
					since = sub.Since.Format(time.RFC3339)
				}
				rows = append(rows, []string{sub.Name, sub.Event, sub.State, since, cmp.Or(sub.Reason, "-")})
			}
			return cli.Table(cmd.OutOrStdout(), []string{"SUBSCRIPTION", "EVENT", "STATE", "SINCE", "REASON"}, rows)
		},
	}
}

func newSubscriptionsGet(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:               "get NAME",
		Short:             "Show whether a subscription receives; if not, who stopped it, when and why",
		Example:           "  penstock subscriptions get withdrawal-fee/withdrawals",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSubscriptions(cmd.Context(), common)
			if err != nil {
				return err
			}
			f, sub, err := s.find(args[0])
			if err != nil {
				return err
			}
			f.Subscriptions = []manifest.Subscription{sub}
			all, err := s.show(cmd.Context(), []manifest.Function{f})
			if err != nil {
				return s.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), all[0])
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "%s receives %s: %s\n", all[0].Name, all[0].Event, all[0].State)
			if all[0].State == stopped {
				fmt.Fprintf(out, "since   %s\nby      %s\nreason  %s\n", all[0].Since.Format(time.RFC3339), all[0].By, all[0].Reason)
			}
			if !all[0].ProbeAt.IsZero() {
				fmt.Fprintf(out, "tried again at %s\n", all[0].ProbeAt.Format(time.RFC3339))
			}
			return nil
		},
	}
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
	f, sub, err := s.find(name)
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
	cause := stops.Cause{By: penstock.ActorPerson, Person: aws.ToString(who.Arn), Reason: reason}
	record, err := to(s.stops, ctx, s.subscription(f, sub, aws.ToString(who.Arn)), cause)
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
	return nil
}

// subscription is what package stops knows of a subscription. The caller's ARN
// says which partition and account it is in.
func (s *subscriptions) subscription(f manifest.Function, sub manifest.Subscription, caller string) stops.Subscription {
	n, identity := s.Names, strings.Split(caller, ":")
	out := stops.Subscription{
		Function: f.Name, Name: sub.Name, Event: sub.Event, Lambda: n.Function(f.Name),
		Queue: fmt.Sprintf("arn:%s:sqs:%s:%s:%s", identity[1], s.AWS.Region, identity[4], n.Queue(f.Name, sub.Name)),
		Alarm: n.Alarm(f.Name, sub.Name, names.BreakerAlarm), ProbeAfter: time.Duration(sub.Breaker.ProbeAfterMinutes) * time.Minute,
	}
	if sub.Breaker.Off {
		out.Alarm = ""
	}
	return out
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
