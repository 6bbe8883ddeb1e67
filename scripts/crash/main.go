// Command crash runs crash campaigns at length: it kills Penstock's programs at
// random moments and counts what is wrong afterwards.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

func main() {
	root := &cobra.Command{
		Use:   "crash",
		Short: "Kill Penstock's programs at random moments and count what is wrong afterwards",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newTail(), newOutbox(), newOutboxPart(), newLocal())
	os.Exit(cli.Run("crash", root))
}
