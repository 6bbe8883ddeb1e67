package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

// whichFlags say which subscription a command is about, besides its NAME.
type whichFlags struct{ function, directory, name string }

func (w *whichFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&w.function, "function", "", "`name` of the function")
	flags.StringVarP(&w.directory, "directory", "d", "", "the function's `folder`, instead of --function; with neither, the working directory")
	flags.StringVar(&w.name, "name", "", "the subscription's own `name`")
	_ = cmd.RegisterFlagCompletionFunc("function", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeFunctions(nil, nil, "")
	})
	_ = cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions)
	_ = cmd.MarkFlagDirname("directory")
}

// find returns the function and the subscription that a command line means: by its
// NAME, function/subscription, or by the flags.
func (w *whichFlags) find(root string, args []string) (function, name string, err error) {
	if len(args) == 1 {
		if w.function != "" || w.directory != "" || w.name != "" {
			return "", "", cli.Misusef("%s is the function and the subscription already: leave --function, --directory and --name out", args[0])
		}
		function, name, ok := strings.Cut(args[0], "/")
		if !ok || function == "" || name == "" {
			return "", "", cli.Misusef("%q is no subscription's NAME: want function/subscription, as `penstock subscriptions list` prints it", args[0])
		}
		return function, name, nil
	}
	switch {
	case w.name == "":
		return "", "", cli.Misusef("which subscription? Give its NAME, function/subscription, or --name with --function or --directory")
	case w.function != "" && w.directory != "":
		return "", "", cli.Misusef("--function and --directory both say which function: give one")
	case w.function != "":
		return w.function, w.name, nil
	}
	function, err = functionOf(root, w.directory)
	return function, w.name, err
}

// functionOf is the short name of the function whose manifest is in a folder; empty:
// the working directory.
func functionOf(root, directory string) (string, error) {
	dir, err := filepath.Abs(directory)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(filepath.Join(dir, manifest.FileName))
	switch {
	case errors.Is(err, os.ErrNotExist) && directory == "":
		return "", cli.Misusef("which function? There is no %s in the working directory: give --function or --directory", manifest.FileName)
	case errors.Is(err, os.ErrNotExist):
		return "", cli.Misusef("--directory %s: there is no %s", directory, manifest.FileName)
	case err != nil:
		return "", err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	if filepath.Dir(dir) != filepath.Join(root, manifest.FunctionsDir) {
		return "", cli.Misusef("%s is no function of the project: its functions are the folders of %s", dir, filepath.Join(root, manifest.FunctionsDir))
	}
	return filepath.Base(dir), nil
}

// settingFlags are what a person may set of a subscription.
type settingFlags struct {
	batchSize, batchWindow, maxReceives, retryBase, retryCap, probeAfter int
	filter, receive, breaker                                             string
}

func (s *settingFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntVar(&s.batchSize, "batch-size", 500, "the most `events` of a batch, 1 to 10,000")
	flags.IntVar(&s.batchWindow, "batch-window", 1, "`seconds` to wait for a batch to fill, 0 to 300; more than 10 events need 1")
	flags.StringVar(&s.filter, "filter", "", "event `pattern` over metadata and data: its JSON, or @FILE; empty: every event of the type")
	flags.StringVar(&s.receive, "receive", string(manifest.Events), "what the function is `given`: events, or the notifications that its templates make of them")
	flags.IntVar(&s.maxReceives, "max-receives", 5, "`times` that an event is received before it goes to the DLQ, 1 to 1000")
	flags.IntVar(&s.retryBase, "retry-base", 30, "`seconds` up to which the first retry waits, doubled at each")
	flags.IntVar(&s.retryCap, "retry-cap", 900, "`seconds` up to which any retry waits")
	flags.StringVar(&s.breaker, "breaker", "on", "on, or off: never stop it because it fails")
	flags.IntVar(&s.probeAfter, "probe-after", 0, "`minutes` after which the breaker tries what it has stopped, up to 1440; 0: a person resumes it")
	for flag, values := range map[string][]string{"receive": {"events", "notifications"}, "breaker": {"on", "off"}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// settings are those that the command line says.
func (s *settingFlags) settings(cmd *cobra.Command) ([]subscriptions.Setting, error) {
	var out []subscriptions.Setting
	set := func(flag, path string, value any) {
		if cmd.Flags().Changed(flag) {
			out = append(out, subscriptions.Setting{Path: path, Value: value})
		}
	}
	filter, err := s.pattern()
	if err != nil {
		return nil, err
	}
	if s.breaker != "on" && s.breaker != "off" {
		return nil, cli.Misusef("--breaker %q: want on or off", s.breaker)
	}
	var off any
	if s.breaker == "off" {
		off = true
	}
	set("filter", "filter", filter)
	set("receive", "receive", s.receive)
	set("batch-size", "batchSize", s.batchSize)
	set("batch-window", "batchWindowSeconds", s.batchWindow)
	set("max-receives", "maxReceiveCount", s.maxReceives)
	set("retry-base", "retry/baseSeconds", s.retryBase)
	set("retry-cap", "retry/capSeconds", s.retryCap)
	set("breaker", "breaker/off", off)
	set("probe-after", "breaker/probeAfterMinutes", s.probeAfter)
	return out, nil
}

// pattern is the filter as the manifest has it; nil: none.
func (s *settingFlags) pattern() (any, error) {
	text, err := input(nil, "--filter", s.filter)
	if err != nil || strings.TrimSpace(text) == "" {
		return nil, err
	}
	value := jsontext.Value(text)
	if !value.IsValid() {
		return nil, cli.Misusef("--filter %s is not JSON", text)
	}
	return json.RawMessage(value), nil
}

func newSubscriptionsCreate(common *cli.Flags) *cobra.Command {
	var which whichFlags
	var settings settingFlags
	var apply application
	var event string
	cmd := &cobra.Command{
		Use:   "create [NAME] --event TYPE",
		Short: "Have a function receive an event type",
		Long: `Have a function receive an event type: the subscription is added to its
function.json, and all else in that file stays as it is written.

In the environment on this machine, ` + "`penstock dev`" + ` applies it at once, which needs
Node. For another it is saved, and the command says what deploys it; with --deploy
it shows what the CDK would change, asks, and deploys that function's stack.

One that was deleted less than 4 days ago is restored under its name: with the
settings that it had, but for those given, and with all that its queue has
collected since. What no flag here sets is in function.json.`,
		Example: `  penstock subscriptions create fee-mails/charged --event savings/FEE_CHARGED
  penstock subscriptions create --function withdrawal-fee --name large --event SAVINGS_WITHDRAWAL \
      --filter '{"data": {"amount": [{"numeric": [">", 10000]}]}}' --batch-size 10 --batch-window 0
  penstock subscriptions create fee-mails/charged --event FEE_CHARGED --env prod --deploy`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, err := openSubscriptions(ctx, common)
			if err != nil {
				return err
			}
			function, name, err := which.find(s.Root, args)
			if err != nil {
				return err
			}
			if event == "" {
				return cli.Misusef("--event is required: the type to receive, such as savings/SAVINGS_WITHDRAWAL (`penstock events list` has them)")
			}
			types, err := eventtypes.Load(os.DirFS(s.Root))
			if err != nil {
				return err
			}
			event, err := types.Find(event)
			if err != nil {
				return err
			}
			set, err := settings.settings(cmd)
			if err != nil {
				return err
			}
			change, err := s.Create(function, name, event.String(), set)
			if err != nil {
				return err
			}
			if err := apply.prepare(cmd, s.Target, function); err != nil {
				return err
			}
			waited := 0
			if change.Restored != nil && apply.live() {
				if waited, err = s.Backlog(ctx, change.Subscription); err != nil {
					return s.Explain(err)
				}
			}
			if err := apply.run(ctx, change, change.File, change.After); err != nil {
				return s.Explain(err)
			}
			did := "created"
			if change.Restored != nil {
				did = "restored"
				fmt.Fprintf(cmd.ErrOrStderr(), "it was deleted on %s: it has the settings that it had then, but for those given now\n", change.Restored.DeletedAt.UTC().Format(time.RFC3339))
			}
			tellDelivered(cmd.ErrOrStderr(), waited)
			next := fmt.Sprintf("its function needs a route for %s, if it has none; then try it: penstock events publish %s", event, event.Name)
			return showChanged(cmd, common, s, &apply, change, did, next)
		},
	}
	which.add(cmd)
	cmd.Flags().StringVar(&event, "event", "", "event `type` to receive, source/NAME or NAME (required)")
	_ = cmd.RegisterFlagCompletionFunc("event", func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(nil, nil, toComplete)
	})
	settings.add(cmd)
	apply.addFlags(cmd)
	return cmd
}

func newSubscriptionsUpdate(common *cli.Flags) *cobra.Command {
	var which whichFlags
	var settings settingFlags
	var apply application
	var event string
	cmd := &cobra.Command{
		Use:   "update [NAME]",
		Short: "Change a subscription's batches, filter, retries or breaker",
		Long: `Change a subscription's batches, filter, retries or breaker, in its function.json,
where all else stays as it is written. What no flag sets stays as it is; the
defaults below are those of a new one.

The event type cannot change: delete the subscription, and create one.

It comes to the environment as by ` + "`create`.",
		Example: `  penstock subscriptions update withdrawal-fee/withdrawals --batch-size 100 --batch-window 5
  penstock subscriptions update withdrawal-fee/withdrawals --filter ''`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, sub, err := which.open(ctx, common, args)
			if err != nil {
				return err
			}
			if event != "" && sub.Event() != event && !strings.HasSuffix(sub.Event(), "/"+event) {
				return cli.Misusef("subscription %s receives %s, and its event type cannot change: its queue may hold events of it. Delete it with `penstock subscriptions delete %s`, and create one of another name with `penstock subscriptions create --event %s`",
					sub, sub.Event(), sub, event)
			}
			set, err := settings.settings(cmd)
			if err != nil {
				return err
			}
			if len(set) == 0 {
				return cli.Misusef("what is to change? Say so by --batch-size, --batch-window, --filter or another flag (see `%s --help`)", cmd.CommandPath())
			}
			change, err := s.Update(sub, set)
			if err != nil {
				return err
			}
			if change.None() {
				fmt.Fprintf(cmd.ErrOrStderr(), "nothing to change: %s says so already\n", change.File)
				return nil
			}
			if err := apply.prepare(cmd, s.Target, sub.Function); err != nil {
				return err
			}
			if err := apply.run(ctx, change, change.File, change.After); err != nil {
				return s.Explain(err)
			}
			return showChanged(cmd, common, s, &apply, change, "updated", "penstock functions logs "+sub.Function+" --follow")
		},
	}
	which.add(cmd)
	cmd.Flags().StringVar(&event, "event", "", "cannot change")
	_ = cmd.Flags().MarkHidden("event")
	settings.add(cmd)
	apply.addFlags(cmd)
	return cmd
}

func newSubscriptionsDelete(common *cli.Flags) *cobra.Command {
	var which whichFlags
	var apply application
	cmd := &cobra.Command{
		Use:   "delete [NAME]",
		Short: "Delete a subscription; for 4 days it can be created again and misses nothing",
		Long: `Delete a subscription: its function receives no more of its events. In its
function.json it becomes a tombstone with a date, and for 4 days its rule goes on
filling its queue: created again under the same name within that time, it resumes
where it stopped. The first deployment after that removes rule, queue and DLQs.

It comes to the environment as by ` + "`create`.",
		Example:           "  penstock subscriptions delete fee-mails/charged\n  penstock subscriptions delete fee-mails/charged --env prod --deploy",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSubscriptions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, sub, err := which.open(ctx, common, args)
			if err != nil {
				return err
			}
			change, err := s.Delete(sub, time.Now())
			if err != nil {
				return err
			}
			question := fmt.Sprintf("Delete subscription %s?", sub)
			if err := apply.canAskAbout(cmd, question); err != nil {
				return err
			}
			if err := apply.prepare(cmd, s.Target, sub.Function); err != nil {
				return err
			}
			if apply.live() {
				if live, err := s.Get(ctx, sub); err == nil {
					question = fmt.Sprintf("Delete subscription %s of environment %s, with %s in its queue and %d in its DLQs?",
						sub, s.Env.Name, countEvents(live.Figures.Backlog+live.Figures.InFlight), live.Figures.DLQ+live.Figures.RuleDLQ)
				}
			}
			if !apply.deploy { // a deployment asks once it has shown what it does
				if err := cli.Confirm(ctx, cmd.InOrStdin(), cmd.ErrOrStderr(), apply.yes, question); err != nil {
					return err
				}
			}
			if err := apply.run(ctx, change, change.File, change.After); err != nil {
				return s.Explain(err)
			}
			next := fmt.Sprintf("until %s this restores it: penstock subscriptions create %s --event %s", change.Subscription.Ends().UTC().Format(time.RFC3339), sub, sub.Event())
			return showChanged(cmd, common, s, &apply, change, "deleted", next)
		},
	}
	which.add(cmd)
	apply.addFlags(cmd)
	return cmd
}

// canAskAbout refuses where a question could not be answered, before anything is
// looked at.
func (a *application) canAskAbout(cmd *cobra.Command, question string) error {
	a.in = cmd.InOrStdin()
	return a.canAsk(question)
}

func countEvents(n int) string {
	if n == 1 {
		return "1 event"
	}
	return fmt.Sprintf("%d events", n)
}

// open opens the environment, and finds the subscription that a command line means.
func (w *whichFlags) open(ctx context.Context, common *cli.Flags, args []string) (*subscriptions.Environment, subscriptions.Subscription, error) {
	s, err := openSubscriptions(ctx, common)
	if err != nil {
		return nil, subscriptions.Subscription{}, err
	}
	function, name, err := w.find(s.Root, args)
	if err != nil {
		return nil, subscriptions.Subscription{}, err
	}
	if _, err := s.Function(function); err != nil && len(args) == 0 {
		return nil, subscriptions.Subscription{}, err
	}
	sub, err := s.Find(ctx, function+"/"+name)
	return s, sub, err
}

// settles is how long a mapping takes to be as it was told, and then some: on AWS up
// to a minute.
const settles = 2 * time.Minute

// showChanged prints what a subscription now is, and what to do next.
func showChanged(cmd *cobra.Command, common *cli.Flags, s *subscriptions.Environment, apply *application, change *subscriptions.Change, did, next string) error {
	sub, out := change.Subscription, cmd.OutOrStdout()
	live := subscriptions.Live{Subscription: sub, State: subscriptions.NotDeployed}
	if apply.live() {
		var err error
		if live, err = settled(cmd.Context(), s, sub); err != nil {
			return s.Explain(err)
		}
	}
	if common.JSON() {
		return cli.JSON(out, showSubscription(live))
	}
	if apply.live() {
		fmt.Fprintf(out, "%s %s in environment %s\n", did, sub, s.Env.Name)
		if err := getSubscription(out, live); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%s %s in %s\n", did, sub, change.File)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "next: %s\n", next)
	return nil
}

// settled waits until a subscription is what its manifest says, for up to settles,
// and returns what it is.
func settled(ctx context.Context, s *subscriptions.Environment, sub subscriptions.Subscription) (subscriptions.Live, error) {
	settles, cancel := context.WithTimeout(ctx, settles)
	defer cancel()
	changing := []string{"creating", "enabling", "disabling", "updating", "deleting"}
	for {
		live, err := s.Get(ctx, sub)
		if err != nil || len(live.Drift) == 0 && !slices.Contains(changing, live.State) {
			return live, err
		}
		select {
		case <-settles.Done():
			return live, ctx.Err()
		case <-time.After(time.Second / 2):
		}
	}
}
