package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/scenarios"
)

func newVerify(common *cli.Flags) *cobra.Command {
	var protected bool
	var services []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Hold an environment against what the local one answers",
		Long: `Hold an environment against what the local one answers.

It plays the scenarios that the local environment is tested by: small calls of
the services, of queues, rules, secrets, tables and so on that it makes and
removes again. What is answered otherwise than locally is a difference, and
printed. Then it publishes the sample of every event type that a function
subscribes to, and waits for each function's outcome: the functions do with
samples what they do with any event.

The caller needs an administrator's permissions; the policy for operators does
not do. On AWS a stack of its own is deployed for it, and deleted at the end. A
run takes a few minutes and costs some cents.

An environment that is protected from removal or termination is refused without
--protected. The exit status is 1 if anything differs.`,
		Example: "  penstock verify --env dev\n  penstock verify --env dev --service sqs,events",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			target, err := common.Target(cmd.Context())
			if err != nil {
				return err
			}
			v := &verification{Target: target, notes: cmd.ErrOrStderr()}
			if v.scenarios, err = chooseScenarios(services); err != nil {
				return err
			}
			if (target.Env.RemovalProtection || target.Env.TerminationProtection) && !protected {
				return cli.Refusedf("environment %q is protected: events would be published there, and functions handle them: --protected goes on", target.Env.Name)
			}
			if err := target.Guard(cmd.Context()); err != nil {
				return err
			}
			verdict, err := v.run(cmd.Context(), len(services) == 0)
			if err != nil {
				return target.Explain(err)
			}
			if common.JSON() {
				err = cli.JSON(cmd.OutOrStdout(), verdict)
			} else {
				err = verdict.print(cmd.OutOrStdout())
			}
			if err == nil && len(verdict.Differences) > 0 {
				err = cli.ErrTold
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&protected, "protected", false, "go on in an environment that is protected")
	cmd.Flags().StringSliceVar(&services, "service", nil, "play the scenarios of these `services` alone, and publish nothing")
	return cmd
}

// chooseScenarios returns those of the services; all for none.
func chooseScenarios(services []string) ([]scenarios.Scenario, error) {
	all := scenarios.All()
	if len(services) == 0 {
		return all, nil
	}
	var known []string
	for _, s := range all {
		known = append(known, s.Service)
	}
	known = slices.Compact(slices.Sorted(slices.Values(known)))
	for _, service := range services {
		if !slices.Contains(known, service) {
			return nil, cli.Unknown("service", service, known)
		}
	}
	return slices.DeleteFunc(all, func(s scenarios.Scenario) bool { return !slices.Contains(services, s.Service) }), nil
}

// A verdict is what a verification came to.
type verdict struct {
	Same        int                    `json:"same"`      // scenarios and subscriptions without a difference
	NotPlayed   int                    `json:"notPlayed"` // scenarios that need a stack, in an environment on this machine
	Differences []verificationMismatch `json:"differences"`
}

// verificationMismatch is what differs in one place.
type verificationMismatch struct {
	What string `json:"what"` // a scenario, as "sqs: a queue is made", or a subscription
	Path string `json:"path,omitempty"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

func (v *verdict) print(out io.Writer) error {
	last := ""
	for _, d := range v.Differences {
		if d.What != last {
			fmt.Fprintf(out, "%s\n", d.What)
		}
		last = d.What
		fmt.Fprintf(out, "  %s: want %q, got %q\n", cmp.Or(d.Path, "outcome"), d.Want, d.Got)
	}
	_, err := fmt.Fprintf(out, "%d the same, %d differences", v.Same, len(v.Differences))
	if v.NotPlayed > 0 {
		fmt.Fprintf(out, "; %d not played, since they need a stack of their own, which only AWS deploys", v.NotPlayed)
	}
	fmt.Fprintln(out)
	return err
}

// verification verifies one environment.
type verification struct {
	*cli.Target
	scenarios []scenarios.Scenario
	notes     io.Writer // progress
}

// atOnce is how many scenarios are played at a time: they wait more than they
// work, and share the quotas of an account with everything else there.
const atOnce = 8

func (v *verification) run(ctx context.Context, publish bool) (_ *verdict, err error) {
	prefix := "pv-" + strings.ToLower(rand.Text()[:8])
	place := scenarios.Target{Config: v.AWS, Prefix: prefix, Stack: v.Names.Stack(prefix)}
	out := &verdict{Differences: []verificationMismatch{}}
	playable := v.scenarios
	if slices.ContainsFunc(playable, scenarios.Scenario.NeedsStack) {
		if v.Env.Endpoint != "" {
			playable = slices.DeleteFunc(slices.Clone(playable), scenarios.Scenario.NeedsStack)
			out.NotPlayed = len(v.scenarios) - len(playable)
		} else {
			var remove func() error
			remove, err = v.deploy(ctx, place.Stack)
			defer func() { err = errors.Join(err, remove()) }()
			if err != nil {
				return nil, err
			}
		}
	}
	found := make([][]verificationMismatch, len(playable))
	played := make(chan struct{}, len(playable))
	var group errgroup.Group
	group.SetLimit(atOnce)
	go v.progress(ctx, played, len(playable))
	for i, s := range playable {
		group.Go(func() error {
			found[i] = play(ctx, s, place)
			played <- struct{}{}
			return nil
		})
	}
	_ = group.Wait()
	close(played)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("interrupted; what was made is removed: %w", err)
	}
	if publish {
		outcomes, err := v.publishSamples(ctx)
		if err != nil {
			return nil, err
		}
		found = append(found, outcomes...)
	}
	for _, differences := range found {
		if len(differences) == 0 {
			out.Same++
		}
		out.Differences = append(out.Differences, differences...)
	}
	return out, nil
}

func (v *verification) progress(ctx context.Context, played <-chan struct{}, all int) {
	ticker := time.NewTicker(progressAfter)
	defer ticker.Stop()
	for n := 0; ; {
		select {
		case _, more := <-played:
			if !more {
				return
			}
			n++
		case <-ticker.C:
			fmt.Fprintf(v.notes, "%d of %d scenarios\n", n, all)
		case <-ctx.Done():
			return
		}
	}
}

// play plays a scenario, and returns where it differs from what is kept.
func play(ctx context.Context, s scenarios.Scenario, place scenarios.Target) (out []verificationMismatch) {
	what := s.Service + ": " + s.Name
	want, err := s.Kept()
	if err != nil {
		return []verificationMismatch{{What: what, Got: err.Error()}}
	}
	got, err := s.Run(ctx, place)
	if err != nil {
		return []verificationMismatch{{What: what, Want: "played to its end", Got: err.Error()}}
	}
	for _, d := range scenarios.Compare(want, got) {
		out = append(out, verificationMismatch{What: what, Path: d.Path, Want: d.One, Got: d.Other})
	}
	return out
}

// outcomeTimeout is how long an event may take from the bus to its outcome: a
// batch's window, what Lambda's pollers take at low traffic, a cold start, and
// the way of its log lines.
const outcomeTimeout = 2 * time.Minute

// publishSamples publishes the sample of each type that is subscribed to, and
// waits for what became of it at each subscription whose filter it passes.
func (v *verification) publishSamples(ctx context.Context) ([][]verificationMismatch, error) {
	functions, err := manifest.Load(os.DirFS(v.Root))
	if err != nil {
		return nil, err
	}
	publisher := eventbus.New(eventbridge.NewFromConfig(v.AWS), v.Names.Bus())
	ids := map[string]string{} // of the event that was published, by type
	var found [][]verificationMismatch
	for _, f := range functions {
		for _, s := range f.Subscriptions {
			t, err := findType(s.Event)
			if err != nil {
				return nil, err
			}
			event := eventtypes.Raw{Type: t.Type, Code: t.code, Data: t.sample}
			entries, err := events.StampAll(ctx, []events.Event{event})
			if err != nil {
				return nil, err
			}
			if s.Filter != nil {
				filter, err := pattern.Parse(s.Filter)
				if err != nil {
					return nil, err
				}
				if passes, err := filter.Match(entries[0].Detail); err != nil {
					return nil, err
				} else if !passes {
					continue // the function never receives the sample
				}
			}
			if ids[s.Event] == "" {
				fmt.Fprintf(v.notes, "publishing the sample of %s\n", s.Event)
				if err := publisher.PutEntries(ctx, entries); err != nil {
					return nil, fmt.Errorf("publishing %s: %w", s.Event, err)
				}
				ids[s.Event] = entries[0].ID
			}
			outcome, err := v.outcome(ctx, f.Name, ids[s.Event])
			if err != nil {
				return nil, err
			}
			var differences []verificationMismatch
			if outcome != handled {
				differences = []verificationMismatch{{What: "the sample of " + s.Event + " at " + f.Name + "/" + s.Name, Want: handled, Got: outcome}}
			}
			found = append(found, differences)
		}
	}
	return found, nil
}

var (
	errNoOutcome = errors.New("no outcome")
	errFound     = errors.New("found")
)

// handled is the outcome of an event that a function has done its work for.
const handled = "handled"

// outcome waits for the outcome record of an event in a function's log.
func (v *verification) outcome(ctx context.Context, function, id string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, outcomeTimeout, errNoOutcome)
	defer cancel()
	filter := logsFlags{eventID: id}
	reader := logReader{client: cloudwatchlogs.NewFromConfig(v.AWS), group: v.Names.LogGroup(function), pattern: filter.pattern(), late: lateness(v.Target), from: time.Now().Add(-time.Minute)}
	found := ""
	err := reader.follow(ctx, func(e types.FilteredLogEvent) error {
		var record struct{ Outcome, Reason string }
		if json.Unmarshal([]byte(aws.ToString(e.Message)), &record) != nil || record.Outcome == "" {
			return nil // another line about the event
		}
		if found = record.Outcome; record.Reason != "" {
			found += ": " + record.Reason
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return found, nil
	case context.Cause(ctx) == errNoOutcome:
		return fmt.Sprintf("no outcome within %s", outcomeTimeout), nil
	}
	return "", err
}
