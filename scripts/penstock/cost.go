package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/local/meter"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/cost"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

type costFlags struct {
	dataDir   string
	events    float64
	rate      cost.Rate
	batchSize int
	window    int
}

func newCost(common *cli.Flags) *cobra.Command {
	var f costFlags
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "What a million events would cost on AWS, by what the local run counted",
		Long: `What a million events would cost on AWS, by what the local run counted.

The environment of ` + "`penstock dev`" + ` counts everything that AWS bills, where it comes
about, and keeps the counts beside its data: they are there while it runs, and
after. cost puts AWS's list prices to them, by service and by subscription, and
says what changes with the size of batches, which quota binds first, and what an
environment costs by the month. --env picks whose quotas, region and templates
these are.

With --batch-size, --window or --rate the price is reckoned anew: a batch is then
as large as its size allows, and at a rate no larger than what comes in a window.
What the formulas are, package scripts/internal/cost says.

The mix is what the run was: begin with ` + "`penstock dev --reset`" + ` and send events as
your application would.`,
		Example: `  penstock cost
  penstock cost --env prod --rate 2000/s
  penstock cost --batch-size 10 --window 0 --rate 50`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, common) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.dataDir, "data-dir", filepath.Join(".penstock", "local"), "where the run's data is kept, relative to the project's root")
	flags.Float64Var(&f.events, "events", 1_000_000, "how many events to tell the price of")
	flags.Var(&f.rate, "rate", "published events a second, such as 500 or 500/s")
	flags.IntVar(&f.batchSize, "batch-size", 0, "instead of each subscription's own: 1 to 10000")
	flags.IntVar(&f.window, "window", 0, "instead of each subscription's own batch window: 0 to 300 `seconds`")
	return cmd
}

func (f *costFlags) run(cmd *cobra.Command, common *cli.Flags) error {
	in := cost.Input{Events: f.events, Rate: float64(f.rate)}
	if !(f.events > 0) {
		return cli.Misusef("--events %v: want more than 0", f.events)
	}
	if cmd.Flags().Changed("batch-size") {
		if f.batchSize < 1 || f.batchSize > 10_000 {
			return cli.Misusef("--batch-size %d: want 1 to 10000", f.batchSize)
		}
		in.BatchSize = &f.batchSize
	}
	if cmd.Flags().Changed("window") {
		if f.window < 0 || f.window > 300 {
			return cli.Misusef("--window %d: want 0 to 300 seconds", f.window)
		}
		in.WindowSeconds = &f.window
	}
	root, err := project.Root()
	if err != nil {
		return err
	}
	files := os.DirFS(root)
	if in.Target, err = manifest.LoadEnvironment(files, common.Env); err != nil {
		return err
	}
	if in.Templates, err = snapshots.Load(files, common.Env); err != nil {
		return err
	}
	if in.Functions, err = loadFunctions(root); err != nil {
		return err
	}
	in.Run = names.New(in.Templates.App, localEnv)
	dir := f.dataDir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(root, dir)
	}
	in.Usage, err = meter.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("nothing was counted in %s: run `penstock dev` or `penstock dev --demo`, send events, and ask again", dir)
	}
	if err != nil {
		return err
	}
	report, err := cost.New(in)
	if errors.Is(err, cost.ErrNothing) {
		return fmt.Errorf("%w (counted in %s): publish some, as in `penstock events publish`, and ask again", err, dir)
	}
	if err != nil {
		return err
	}
	if common.JSON() {
		return cli.JSON(cmd.OutOrStdout(), report)
	}
	return report.Print(cmd.OutOrStdout())
}
