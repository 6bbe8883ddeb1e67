// Package cdkcli runs the CDK's command, `cdk`, which deploys what the CDK app
// describes. Its test deploys a whole environment with it.
package cdkcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/infra/names"
)

// Major and Minor are of the version of the npm package aws-cdk that the README
// and the tests use. The command reads what older libraries wrote, and refuses
// what newer ones did ("AWS CDK CLI versioning").
const Major, Minor = 2, 1148

// Package is what npx runs.
var Package = fmt.Sprintf("aws-cdk@%d.%d.1", Major, Minor)

// Variable names the CDK's command, where it is not `cdk` on the PATH.
const Variable = "PENSTOCK_CDK"

// ErrNone is returned where there is no CDK command, and no Node to run it.
var ErrNone = errors.New("deploying needs the CDK's command, which needs Node 20 or later: there is no `node` on the PATH")

// Find returns how the CDK's command is run: what Variable names, `cdk` on the
// PATH, or npx, which downloads Package.
func Find() ([]string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, ErrNone
	}
	if program := os.Getenv(Variable); program != "" {
		return []string{program}, nil
	}
	if program, err := exec.LookPath("cdk"); err == nil {
		return []string{program}, nil
	}
	if program, err := exec.LookPath("npx"); err == nil {
		return []string{program, "--yes", Package}, nil
	}
	return nil, fmt.Errorf("deploying needs the CDK's command: there is neither `cdk` nor `npx` on the PATH: `npm install -g %s`, or have %s name it", Package, Variable)
}

// Stack is a stack of an environment, to be compared with what is deployed,
// deployed, or destroyed.
type Stack struct {
	Command []string // as Find returns it
	Root    string   // the project's folder, which holds cdk.json
	Env     string   // the environment
	Name    string
	Environ []string  // besides those of this program
	Out     io.Writer // what the CDK's command prints
	// Direct deploys without a change set, for what stands in for CloudFormation.
	Direct bool
	// WithoutPrograms compiles nothing, for what does not deploy.
	WithoutPrograms bool

	assembly string
}

// Synthesize has the CDK app make the templates and build the programs, once for
// all that follows: what is deployed is what was compared. Close removes them.
func (s *Stack) Synthesize(ctx context.Context) (err error) {
	if s.assembly, err = os.MkdirTemp("", "penstock-cdk-"); err != nil {
		return err
	}
	args := []string{"synth", s.Name, "--quiet", "--exclusively", "-c", "env=" + s.Env, "--output", filepath.Join(s.assembly, "cdk.out")}
	if s.WithoutPrograms {
		args = append(args, "-c", names.BuildContext+"=false")
	}
	return s.run(ctx, args...)
}

// Diff prints in what the stack differs from what is deployed.
func (s *Stack) Diff(ctx context.Context) error {
	return s.run(ctx, s.with("diff", "--exclusively", "--method=template")...)
}

// Deploy deploys the stack, and no other.
func (s *Stack) Deploy(ctx context.Context) error {
	args := s.with("deploy", "--exclusively", "--require-approval", "never", "--progress", "events")
	if s.Direct {
		args = append(args, "--method=direct")
	}
	return s.run(ctx, args...)
}

// Destroy deletes the stack, and no other.
func (s *Stack) Destroy(ctx context.Context) error {
	return s.run(ctx, s.with("destroy", "--exclusively", "--force")...)
}

// Close removes what Synthesize made.
func (s *Stack) Close() error {
	if s.assembly == "" {
		return nil
	}
	return os.RemoveAll(s.assembly)
}

func (s *Stack) with(verb string, flags ...string) []string {
	return append([]string{verb, s.Name, "--app", filepath.Join(s.assembly, "cdk.out")}, flags...)
}

// run runs the CDK's command until it ends, in a process group of its own: when ctx
// ends the group is interrupted as a whole, once, as by Ctrl-C, and the command is
// killed if that does not help.
func (s *Stack) run(ctx context.Context, args ...string) error {
	args = append(append([]string{}, s.Command[1:]...), args...)
	cmd := exec.CommandContext(ctx, s.Command[0], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Root, s.Out, s.Out
	cmd.Env = append(append(os.Environ(), "CI=true"), s.Environ...) // no progress bar
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("`cdk %s`: %w", strings.Join(args[len(s.Command)-1:], " "), err)
	}
	return nil
}
