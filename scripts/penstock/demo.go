package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/demo"
)

type demoFlags struct {
	demo  bool
	input string
	count int
	seed  uint64
}

func (f *demoFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.demo, "demo", false, "send withdrawals through everything, check each, and exit")
	flags.StringVar(&f.input, "input", "", "with --demo: a `file` of withdrawals to send, one JSON object of event data a line (- is stdin)")
	flags.IntVar(&f.count, "count", 10_000, "with --demo: how many sample withdrawals to send")
	flags.Uint64Var(&f.seed, "seed", 1, "with --demo: the seed of the samples; the same seed makes the same ones")
}

// withdrawals returns what the demo sends; nil without --demo.
func (f *demoFlags) withdrawals(cmd *cobra.Command) ([]savings.Withdrawal, error) {
	changed := cmd.Flags().Changed
	if !f.demo {
		for _, name := range []string{"input", "count", "seed"} {
			if changed(name) {
				return nil, cli.Misusef("--%s needs --demo", name)
			}
		}
		return nil, nil
	}
	if f.input == "" {
		if f.count < 1 {
			return nil, cli.Misusef("--count %d: want at least 1", f.count)
		}
		return demo.Samples(f.count, f.seed), nil
	}
	if changed("count") || changed("seed") {
		return nil, cli.Misusef("--input and --count or --seed exclude each other: a file is sent whole")
	}
	in := cmd.InOrStdin()
	if f.input != "-" {
		file, err := os.Open(f.input)
		if err != nil {
			return nil, cli.Misusef("--input: %w", err)
		}
		defer file.Close()
		in = file
	}
	withdrawals, err := demo.Read(in)
	if err != nil {
		return nil, cli.Misusef("--input %s cannot be used, and nothing of it was written:\n%w", f.input, err)
	}
	return withdrawals, nil
}

// run sends the withdrawals and prints the report. cli.ErrTold means that the
// report says what is wrong.
func (f *demoFlags) run(ctx context.Context, env *local.Environment, withdrawals []savings.Withdrawal, out, progress io.Writer) error {
	bar := newBar(progress, len(withdrawals))
	report, err := demo.Run(ctx, demo.Config{
		AWS:         awsConfig(env),
		Names:       env.Names(),
		Withdrawals: withdrawals,
		Progress:    bar.show,
	})
	bar.finish()
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: what was committed stays in the data directory, and is handled at the next start")
		}
		return err
	}
	report.Write(out)
	if !report.OK() {
		return cli.ErrTold
	}
	return nil
}

// bar shows progress: a bar on a terminal, a line a phase elsewhere.
type bar struct {
	out   io.Writer
	total int
	bar   *progressbar.ProgressBar // nil where there is no terminal
	phase string
}

func newBar(out io.Writer, total int) *bar {
	b := &bar{out: out, total: total}
	if cli.IsTerminal(out) {
		b.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
			progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
	}
	return b
}

func (b *bar) show(phase string, done, _ int) {
	if phase != b.phase {
		b.phase = phase
		if b.bar == nil {
			fmt.Fprintf(b.out, "%s …\n", phase)
		} else {
			b.bar.Reset()
			b.bar.Describe(phase)
		}
	}
	if b.bar != nil {
		_ = b.bar.Set(done)
	}
}

func (b *bar) finish() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// awsConfig reaches an environment of this process as its administrator.
func awsConfig(env *local.Environment) aws.Config {
	return aws.Config{
		Region:       env.Region(),
		BaseEndpoint: aws.String(env.Endpoint()),
		Credentials:  credentials.NewStaticCredentialsProvider(names.LocalAccessKeyID, names.LocalSecretAccessKey, ""),
	}
}
