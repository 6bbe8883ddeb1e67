package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/crash"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newTail() *cobra.Command {
	var kills int
	var seed uint64
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Kill `penstock tail`, and look for rules and queues that it left",
		Long: `Kill penstock tail at random moments by SIGTERM, SIGHUP, SIGINT and SIGKILL,
then start and stop one more: no rule and no queue may be left, and none after
any end but SIGKILL. It works on a penstock dev of its own.`,
		Example: "  go run ./scripts/crash tail --kills 200 --seed 1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kills < 1 {
				return cli.Misusef("--kills %d: want at least 1", kills)
			}
			return runTail(cmd, kills, seed)
		},
	}
	cmd.Flags().IntVar(&kills, "kills", 200, "how many tails to kill")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "of the random moments and signals")
	return cmd
}

func runTail(cmd *cobra.Command, kills int, seed uint64) error {
	root, err := project.Root()
	if err != nil {
		return err
	}
	app, err := project.App(root, cli.DefaultEnv)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "penstock-crash-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "penstock")
	if err := build(cmd.Context(), root, program); err != nil {
		return err
	}
	start := exec.Command(program, "dev", "--port", "0", "--data-dir", filepath.Join(dir, "data"))
	start.Dir = root
	dev, err := devtest.Start(start)
	if err != nil {
		return err
	}
	defer dev.Kill()

	report, err := crash.Tail{
		Command: func() *exec.Cmd {
			c := exec.Command(program, "tail")
			c.Dir = root
			c.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+dev.Exports["AWS_ENDPOINT_URL"])
			return c
		},
		AWS: dev.AWS(), Names: names.New(app, cli.DefaultEnv), Kills: kills, Seed: seed, Progress: cmd.ErrOrStderr(),
	}.Run(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	for _, name := range slices.Sorted(maps.Keys(report.Kills)) {
		fmt.Fprintf(out, "%-32s %d\n", name, report.Kills[name])
	}
	fmt.Fprintf(out, "%-32s %d\n", "SIGKILLed ones that left some", report.KilledLeft)
	fmt.Fprintf(out, "%-32s %d\n", "others that left some", report.EndedLeft)
	fmt.Fprintf(out, "%-32s %d\n", "rules and queues at the end", len(report.Left))
	return report.Err()
}

func build(ctx context.Context, root, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./scripts/penstock")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./scripts/penstock: %w\n%s", err, out)
	}
	return nil
}
