// Command penstock operates a team's events: so far, it runs a project's
// templates on this machine (`penstock dev`).
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, the same for every command.
const (
	exitFailed = 1
	exitMisuse = 2
)

// misuse is an error of the person who typed the command: a flag, an argument
// or an input that cannot be used.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// quiet is a failure that the command has already told of.
var errTold = errors.New("told")

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go whenOrphaned(ctx, cancel)

	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var m misuse
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errTold):
		return exitFailed
	case errors.As(err, &m):
		fmt.Fprintln(os.Stderr, "penstock:", err)
		return exitMisuse
	}
	fmt.Fprintln(os.Stderr, "penstock:", err)
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "penstock",
		Short:         "Event-driven functions on AWS, in Go",
		Long:          "Penstock publishes events when a transaction commits, and has Go functions receive them in batches.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return misuse{fmt.Errorf("%w (see `%s --help`)", err, cmd.CommandPath())}
	})
	root.AddCommand(newDev())
	misuseOnArgs(root)
	return root
}

// misuseOnArgs makes wrong arguments of every command a misuse.
func misuseOnArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return misuse{fmt.Errorf("%w (see `%s --help`)", err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		misuseOnArgs(sub)
	}
}
