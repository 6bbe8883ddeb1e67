// Command penstock operates a team's events: so far, it runs a project's
// templates on this machine (`penstock dev`).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go whenOrphaned(ctx, cancel)

	root := newRoot()
	root.SetArgs(args)
	return cli.Exit(os.Stderr, "penstock", root.ExecuteContext(ctx))
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
		return cli.Misusef("%w (see `%s --help`)", err, cmd.CommandPath())
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
				return cli.Misusef("%w (see `%s --help`)", err, c.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		misuseOnArgs(sub)
	}
}
