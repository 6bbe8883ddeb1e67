package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/devstate"
	"github.com/penstock-dev/penstock/scripts/internal/synth"
)

// application is how an edit of a manifest comes to an environment:
//
//   - on this machine by the `penstock dev` that runs there, which follows what is
//     saved; the command waits until it has;
//   - elsewhere, with --deploy, by the CDK's command, which shows what would change;
//     the command asks, and deploys the function's stack alone;
//   - otherwise it is saved, and the command says what brings it there.
//
// What an application needs is looked for before anything is written.
type application struct {
	deploy bool // --deploy
	yes    bool // -y

	target   *cli.Target
	function string // short name
	in       io.Reader
	progress io.Writer

	byDev bool
	cdk   []string // how the CDK's command is run, with --deploy
	later string   // what brings it to the environment, where neither does
}

func (a *application) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.deploy, "deploy", false, "show what the CDK would change, ask, and deploy the function's stack; the environment on this machine needs no such thing")
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
}

// edited is an edit of a file of the project that can be written and undone.
type edited interface {
	Write() error
	Undo() error
}

// prepare finds out how an edit of a function comes to the environment. It changes
// nothing.
func (a *application) prepare(cmd *cobra.Command, target *cli.Target, function string) error {
	a.target, a.function, a.in, a.progress = target, function, cmd.InOrStdin(), cmd.ErrOrStderr()
	ctx := cmd.Context()
	if target.Env.Name == localEnv {
		if a.deploy {
			return cli.Misusef("--deploy: environment %q is on this machine, and `penstock dev` applies what is saved: leave it out", localEnv)
		}
		return a.prepareDev(ctx)
	}
	if !a.deploy {
		a.later = fmt.Sprintf("penstock functions deploy %s --env %s", function, target.Env.Name)
		return nil
	}
	var err error
	if a.cdk, err = cdkcli.Find(); err != nil {
		return fmt.Errorf("%w; nothing was changed", err)
	}
	if err := a.canAsk(fmt.Sprintf("Deploy stack %s?", target.Names.Stack(function))); err != nil {
		return err
	}
	return target.Guard(ctx)
}

// canAsk refuses where a question could not be answered.
func (a *application) canAsk(question string) error {
	if a.yes || cli.IsTerminal(a.in) {
		return nil
	}
	return cli.Refusedf("%s There is no terminal to ask at: say -y to go on", question)
}

func (a *application) prepareDev(ctx context.Context) error {
	endpoint := aws.ToString(a.target.AWS.BaseEndpoint)
	state, err := devstate.Ask(ctx, endpoint)
	_, noNode := exec.LookPath("node")
	switch {
	case errors.Is(err, devstate.ErrNone):
		a.later = fmt.Sprintf("%s && penstock dev", snapshots.Command)
	case err != nil:
		return err
	case !state.Runs(a.target.Root):
		return cli.Refusedf("the `penstock dev` at %s runs the project %s, and this is %s: stop it, or name another endpoint by AWS_ENDPOINT_URL", endpoint, state.Root, a.target.Root)
	case !state.Watching:
		a.later = snapshots.Command + ", and then another start of `penstock dev`, which was started with --watch=false and goes on as it is"
	case !state.Node:
		return fmt.Errorf("%s, says `penstock dev`: start it where there is one; nothing was changed", synth.Needs)
	default:
		a.byDev = true
		return a.target.Guard(ctx)
	}
	if noNode != nil {
		return fmt.Errorf("%s; nothing was changed", synth.Needs)
	}
	return nil
}

// live reports whether run brings an edit to the environment, rather than saying
// what will.
func (a *application) live() bool { return a.byDev || a.deploy }

// run writes an edit of a file, and brings it to the environment as prepare found.
// What the environment does not take is undone.
func (a *application) run(ctx context.Context, change edited, file string, after []byte) error {
	if err := change.Write(); err != nil {
		return err
	}
	switch {
	case a.byDev:
		err := a.await(ctx, file, after)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w\n%s is as it was", err, undone(change, file))
		}
		return err
	case a.deploy:
		deployed, err := a.deployStack(ctx)
		if err != nil && !deployed {
			return fmt.Errorf("%w; %s is as it was", err, undone(change, file))
		}
		return err
	}
	fmt.Fprintf(a.progress, "saved in %s. Environment %s has it after:\n  %s\n", file, a.target.Env.Name, a.later)
	return nil
}

// undone undoes an edit, and returns the file's name, or why that failed.
func undone(change edited, file string) string {
	if err := change.Undo(); err != nil {
		return fmt.Sprintf("%s could not be undone (%v), so that none of it", file, err)
	}
	return file
}

// await waits until the `penstock dev` at the environment's endpoint runs what was
// saved in a file; nil: without the file.
func (a *application) await(ctx context.Context, file string, after []byte) error {
	hash := ""
	if after != nil {
		sum := sha256.Sum256(after)
		hash = hex.EncodeToString(sum[:])
	}
	began := time.Now()
	fmt.Fprintf(a.progress, "saved in %s: `penstock dev` synthesizes and applies it\n", file)
	err := devstate.Await(ctx, aws.ToString(a.target.AWS.BaseEndpoint), file, hash, func(since time.Duration) {
		fmt.Fprintf(a.progress, "waiting for `penstock dev`, %s\n", since)
	})
	if err == nil {
		fmt.Fprintf(a.progress, "applied after %.1f s\n", time.Since(began).Seconds())
	}
	return err
}

// deployStack shows what the function's stack would change, asks, and deploys it.
// begun reports whether it came to deploying.
func (a *application) deployStack(ctx context.Context) (begun bool, err error) {
	stack, err := a.stack(ctx, true)
	if err != nil {
		return false, err
	}
	defer stack.Close()
	if err := stack.Diff(ctx); err != nil {
		return false, err
	}
	if err := cli.Confirm(ctx, a.in, a.progress, a.yes, fmt.Sprintf("Deploy stack %s to environment %s?", stack.Name, a.target.Env.Name)); err != nil {
		return false, err
	}
	return true, stack.Deploy(ctx)
}

// stack is the function's stack, synthesized, with its program or a stand-in for it.
func (a *application) stack(ctx context.Context, program bool) (*cdkcli.Stack, error) {
	t := a.target
	s := &cdkcli.Stack{Command: a.cdk, Root: t.Root, Env: t.Env.Name, Name: t.Names.Stack(a.function), Out: a.progress, WithoutPrograms: !program}
	if t.Env.Endpoint != "" { // what stands in for AWS
		s.Direct = true
		s.Environ = []string{
			"AWS_ENDPOINT_URL=" + aws.ToString(t.AWS.BaseEndpoint), "AWS_REGION=" + t.AWS.Region, "AWS_DEFAULT_REGION=" + t.AWS.Region,
			"AWS_ACCESS_KEY_ID=" + names.LocalAccessKeyID, "AWS_SECRET_ACCESS_KEY=" + names.LocalSecretAccessKey,
		}
	}
	fmt.Fprintf(a.progress, "synthesizing stack %s\n", s.Name)
	if err := s.Synthesize(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
