// Command penstock runs a project's templates on one machine (`penstock dev`),
// and operates its events there and on AWS.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

func main() { os.Exit(cli.Run("penstock", newRoot())) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "penstock",
		Short: "Event-driven functions on AWS, in Go",
		Long: `Penstock publishes events when a transaction commits, and has Go functions
receive them in batches.

Commands work on one environment of the project that the working directory is
in: --env names it, and the default is the one on this machine, which
` + "`penstock dev`" + ` runs. The exit status is 0 when done, 1 when something failed, 2
for misuse, and 3 when the command refused.`,
		Example: `  penstock dev
  penstock events publish savings/SAVINGS_WITHDRAWAL --set amount=100
  penstock functions logs withdrawal-fee --follow`,
	}
	var flags cli.Flags
	flags.Add(root)
	add := func(title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
		for _, c := range commands {
			c.GroupID = title
		}
		root.AddCommand(commands...)
	}
	add("Build",
		newDev(&flags), newEvents(&flags), newFunctions(&flags), newNotifications(&flags), newOutbox(), newPipelines(&flags), newSubscriptions(&flags))
	add("See what goes on, and mend it",
		newDeliveries(&flags), newDLQ(&flags), newReplay(&flags), tail.NewCommand(&flags), newTrace(&flags))
	add("Look after an environment",
		newCost(&flags), newDoctor(&flags), newSecrets(&flags), newSessions(&flags), newVerify(&flags))
	return root
}
