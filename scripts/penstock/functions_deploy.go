package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/subscriptions"
)

func newFunctionsDeploy(common *cli.Flags) *cobra.Command {
	apply := application{deploy: true}
	cmd := &cobra.Command{
		Use:   "deploy NAME",
		Short: "Deploy one function's stack: show what would change, ask, and do it",
		Long: `Deploy the stack of one function, and no other: its program, role, log group and
subscriptions. It shows what the CDK would change, and asks; what is deployed is
what was shown. The shared stacks must be there already: ` + "`" + cdkcli.Package + ` deploy --all` + "`" + `
makes them. It needs Node; the CDK's command is PENSTOCK_CDK, cdk on the PATH, or
what npx downloads.

In the environment on this machine, ` + "`penstock dev`" + ` applies what is saved: there the
command waits until it has.`,
		Example:           "  penstock functions deploy withdrawal-fee --env dev\n  penstock functions deploy withdrawal-fee --env prod -y",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, f, err := openFunction(ctx, common, args[0])
			if err != nil {
				return err
			}
			apply.deploy = s.Env.Name != localEnv
			if err := apply.prepare(cmd, s.Target, f.Name); err != nil {
				return err
			}
			switch {
			case apply.deploy:
				_, err = apply.deployStack(ctx)
			case apply.byDev:
				file := path.Join(f.Dir, manifest.FileName)
				var text []byte
				if text, err = os.ReadFile(filepath.Join(s.Root, filepath.FromSlash(file))); err == nil {
					err = apply.await(ctx, file, text)
				}
			default:
				err = fmt.Errorf("no `penstock dev` applies it. It is there after:\n  %s", apply.later)
			}
			if err != nil {
				return s.Explain(err)
			}
			deployed, err := s.describe(ctx, f)
			if err != nil {
				return s.Explain(err)
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), deployed)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deployed %s in environment %s\n", f.Name, s.Env.Name)
			fmt.Fprintf(cmd.ErrOrStderr(), "next: penstock functions logs %s --follow%s\n", f.Name, envFlag(s.Env.Name))
			return nil
		},
	}
	cmd.Flags().BoolVarP(&apply.yes, "yes", "y", false, "do not ask")
	return cmd
}

// environmentOf is an environment in which a function is changed.
type environmentOf struct{ *subscriptions.Environment }

func openFunction(ctx context.Context, common *cli.Flags, name string) (*environmentOf, *manifest.Function, error) {
	s, err := openSubscriptions(ctx, common)
	if err != nil {
		return nil, nil, err
	}
	if found, err := findFunction(s.Root, name); err == nil && found.Dir == "" {
		return nil, nil, cli.Misusef("%s is a program of Penstock's own, in a shared stack: `%s deploy --all -c env=%s` deploys it", name, cdkcli.Package, s.Env.Name)
	}
	f, err := s.Function(name)
	return &environmentOf{s}, f, err
}

// describe is the function as it is deployed.
func (e *environmentOf) describe(ctx context.Context, f *manifest.Function) (listedFunction, error) {
	return listFunction(ctx, lambda.NewFromConfig(e.AWS), e.Names, *f)
}

// envFlag is what a command needs to work on an environment, to be told to people.
func envFlag(env string) string {
	if env == cli.DefaultEnv {
		return ""
	}
	return " --env " + env
}

// removal moves a function's folder out of the project, to where it can be had from
// again.
type removal struct{ from, to string }

func (r removal) Write() error {
	if err := os.MkdirAll(filepath.Dir(r.to), 0o755); err != nil {
		return err
	}
	return os.Rename(r.from, r.to)
}

func (r removal) Undo() error { return os.Rename(r.to, r.from) }

func newFunctionsDelete(common *cli.Flags) *cobra.Command {
	var apply application
	var folder, discard bool
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a function with its queues: says what goes, asks, and refuses while events wait",
		Long: `Delete a function from an environment: its stack, which has its program, role, log
group, and of each subscription the rule, queue and DLQs. It says what goes, and
asks. While events wait in a queue or lie in a DLQ it refuses; --discard-events goes
on all the same, and they are lost.

The function's folder stays, and with it the next deployment of all makes the
function again: --remove-folder moves it to .penstock/removed, out of the project.
The environment on this machine is what the project's folders say, so that there it
goes with the folder alone.`,
		Example:           "  penstock functions delete deposit-fee --remove-folder\n  penstock functions delete deposit-fee --env dev",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			s, f, err := openFunction(ctx, common, args[0])
			if err != nil {
				return err
			}
			local := s.Env.Name == localEnv
			if local && !folder {
				return cli.Misusef("environment %q is what the project's folders say: --remove-folder moves %s out of it, and the function goes", localEnv, f.Dir)
			}
			apply.deploy = !local
			if err := apply.canAskAbout(cmd, fmt.Sprintf("Delete function %s of environment %s?", f.Name, s.Env.Name)); err != nil {
				return err
			}
			if err := apply.prepare(cmd, s.Target, f.Name); err != nil {
				return err
			}
			if !apply.live() {
				return fmt.Errorf("no `penstock dev` applies it: start it, and try again")
			}
			goes, waiting, err := s.goesWith(ctx, f)
			if err != nil {
				return s.Explain(err)
			}
			if waiting > 0 && !discard {
				return cli.Refusedf("function %s has %s in its queues: %s. Let them be handled; --discard-events deletes them with it", f.Name, countEvents(waiting), goes)
			}
			if err := cli.Confirm(ctx, cmd.InOrStdin(), cmd.ErrOrStderr(), apply.yes, fmt.Sprintf("Delete function %s of environment %s, with its program, role and log, and %s?", f.Name, s.Env.Name, goes)); err != nil {
				return err
			}
			moved := removal{
				from: filepath.Join(s.Root, filepath.FromSlash(f.Dir)),
				to:   filepath.Join(s.Root, ".penstock", "removed", f.Name+"-"+time.Now().UTC().Format("20060102T150405Z")),
			}
			if local {
				err = apply.run(ctx, moved, path.Join(f.Dir, manifest.FileName), nil)
			} else {
				err = apply.destroyStack(ctx)
			}
			if err != nil {
				return s.Explain(err)
			}
			if !local && folder {
				if err := moved.Write(); err != nil {
					return err
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deleted function %s of environment %s\n", f.Name, s.Env.Name)
			if folder {
				fmt.Fprintf(cmd.ErrOrStderr(), "its folder is %s\nnext: %s, which takes it out of the snapshots\n", moved.to, snapshots.Command)
			} else {
				fmt.Fprintf(cmd.ErrOrStderr(), "next: remove %s and run %s, or the next deployment of all makes it again\n", f.Dir, snapshots.Command)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&folder, "remove-folder", false, "move the function's folder out of the project")
	cmd.Flags().BoolVar(&discard, "discard-events", false, "go on while events wait in its queues: they are lost")
	cmd.Flags().BoolVarP(&apply.yes, "yes", "y", false, "do not ask")
	return cmd
}

// goesWith says what goes with a function's subscriptions, and how many events are
// in their queues.
func (e *environmentOf) goesWith(ctx context.Context, f *manifest.Function) (what string, waiting int, err error) {
	var each []string
	for _, sub := range e.Declared {
		if sub.Function != f.Name {
			continue
		}
		live, err := e.Get(ctx, sub)
		if err != nil {
			return "", 0, err
		}
		n := live.Figures
		waiting += n.Backlog + n.InFlight + n.DLQ + n.RuleDLQ
		each = append(each, fmt.Sprintf("subscription %s (%d in its queue, %d in its DLQ, %d in its rule's DLQ)", sub.Name, n.Backlog+n.InFlight, n.DLQ, n.RuleDLQ))
	}
	if len(each) == 0 {
		return "no subscription", 0, nil
	}
	return strings.Join(each, ", "), waiting, nil
}

// destroyStack deletes the function's stack.
func (a *application) destroyStack(ctx context.Context) error {
	stack, err := a.stack(ctx, false)
	if err != nil {
		return err
	}
	return errors.Join(stack.Destroy(ctx), stack.Close())
}
