package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/outboxcrash"
)

func newOutbox() *cobra.Command {
	campaign := outboxcrash.Campaign{}
	output := ""
	cmd := &cobra.Command{
		Use:   "outbox",
		Short: "Kill the writer and the relays of an outbox, and look for lost events",
		Long: `Kill the writer and the relays of a transactional outbox at random moments by
SIGKILL, and the database too, while the bus throttles, fails and loses answers.
Then let it run out, and compare what has committed with what the bus received:
nothing may be lost, and nothing may be there whose transaction rolled back.
Exit status 1 means that it is not so.

Everything it needs it starts, and ends: a PostgreSQL server, a SQLite database,
or a local environment with the function outbox-relay.`,
		Example: "  go run ./scripts/crash outbox --backend postgres --kills 500 --seed 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case campaign.Kills < 1:
				return cli.Misusef("--kills %d: want at least 1", campaign.Kills)
			case !slices.Contains(outboxcrash.Backends, campaign.Backend):
				return cli.Misusef("--backend %q: want %s", campaign.Backend, strings.Join(outboxcrash.Backends, ", "))
			case output != "table" && output != "json":
				return cli.Misusef("--output %q: want table or json", output)
			}
			return runOutbox(cmd, campaign, output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&campaign.Backend, "backend", outboxcrash.Postgres, strings.Join(outboxcrash.Backends, ", "))
	flags.IntVar(&campaign.Kills, "kills", 500, "how many processes to kill")
	flags.Uint64Var(&campaign.Seed, "seed", 1, "of what is drawn: targets, moments, faults, transactions")
	flags.StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func runOutbox(cmd *cobra.Command, campaign outboxcrash.Campaign, output string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	campaign.Part = func(spec string) *exec.Cmd { return exec.Command(self, "outbox-part", spec) }
	campaign.Progress = cmd.ErrOrStderr()
	report, err := campaign.Run(cmd.Context())
	if err != nil {
		if cmd.Context().Err() != nil {
			return errors.New("interrupted: every process has been ended")
		}
		return fmt.Errorf("%w (seed %d)", err, campaign.Seed)
	}
	if output == "json" {
		err = cli.JSON(cmd.OutOrStdout(), report)
	} else {
		err = cli.Table(cmd.OutOrStdout(), []string{"WHAT", "COUNT"}, report.Rows())
	}
	return errors.Join(err, report.Err())
}

// newOutboxPart is a process of a campaign.
func newOutboxPart() *cobra.Command {
	return &cobra.Command{
		Use:    "outbox-part SPEC",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return outboxcrash.Play(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
