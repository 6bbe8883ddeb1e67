package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/localcrash"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newLocal() *cobra.Command {
	campaign := localcrash.Campaign{}
	output := ""
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Kill `penstock dev`, and look for what it had acknowledged",
		Long: `Kill penstock dev by SIGKILL at random moments, under load, while it starts and
while it updates, and start it again on the same data directory. Then compare
what it had acknowledged with what is there: no event, message, item, secret or
setting may be missing, none may come back that was deleted, and what is done as
a whole may not be there in part. Exit status 1 means that it is not so.

It works on a project and a penstock dev of its own, in a temporary directory.`,
		Example: "  go run ./scripts/crash local --kills 300 --seed 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case campaign.Kills < 1:
				return cli.Misusef("--kills %d: want at least 1", campaign.Kills)
			case output != "table" && output != "json":
				return cli.Misusef("--output %q: want table or json", output)
			}
			return runLocal(cmd, campaign, output)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&campaign.Kills, "kills", 300, "how often to kill it")
	flags.Uint64Var(&campaign.Seed, "seed", 1, "of what is drawn: moments, ways, what the clients do")
	flags.StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func runLocal(cmd *cobra.Command, campaign localcrash.Campaign, output string) (err error) {
	if campaign.Root, err = project.Root(); err != nil {
		return err
	}
	campaign.Progress = cmd.ErrOrStderr()
	report, err := campaign.Run(cmd.Context())
	if err != nil {
		if cmd.Context().Err() != nil {
			return errors.New("interrupted: the process has been ended, and what it left was removed")
		}
		return fmt.Errorf("%w (seed %d)", err, campaign.Seed)
	}
	out := cmd.OutOrStdout()
	if output == "json" {
		err = cli.JSON(out, report)
	} else {
		err = cli.Table(out, localcrash.Header, report.Rows())
		for _, how := range slices.Sorted(maps.Keys(report.Kills)) {
			fmt.Fprintf(out, "killed %s: %d\n", how, report.Kills[how])
		}
		fmt.Fprintf(out, "%.0f s\n", report.Seconds)
	}
	return errors.Join(err, report.Err())
}
