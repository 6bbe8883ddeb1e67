// Command bench measures Penstock side by side with what it would be compared
// with. It is a module of its own, so that the peers are no dependency of the
// product:
//
//	cd scripts/bench && go run . list
//	cd scripts/bench && go run . publish
//
// Every figure is taken in one run: ours and the peer's take turns, round by
// round, and each is the median of its rounds. Compare ratios, not figures, of
// two runs.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// suite is a group of measurements with a name.
type suite struct {
	name, short string
	parts       []part
}

// part is a measurement that can be taken alone. The names of its results
// begin with its name.
type part struct {
	name, short string
	run         func(context.Context, *bench) error
}

// suites are all that there are: a new one is a file and a line here.
var suites = []suite{publish, functions, connectors, pipelines, webhooks, localSuite}

// scale says how much is measured.
type scale struct {
	rounds  int           // of each side, besides one to warm up
	round   time.Duration // how long a round lasts at least
	backlog int           // events that a relay finds at the start of a round
}

var (
	full  = scale{rounds: 7, round: time.Second, backlog: 5000}
	quick = scale{rounds: 2, round: 50 * time.Millisecond, backlog: 500}
)

// finer is the same time in more and shorter rounds, for what the machine
// disturbs more.
func (s scale) finer(factor int) scale {
	s.rounds, s.round = s.rounds*factor, s.round/time.Duration(factor)
	return s
}

func main() {
	root := &cobra.Command{
		Use:   "bench",
		Short: "Measure Penstock side by side with its peers",
		Long: `Measure Penstock side by side with its peers.

Ours and the peer take turns, round by round, in one run; a figure is the median
of its rounds. Compare the ratios of two runs, not their figures, and measure on
a machine that does nothing else.`,
		Example: "  go run . publish\n  go run . publish relay --quick\n  go run . publish --output json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o options
	root.PersistentFlags().BoolVar(&o.quick, "quick", false, "fewer and shorter rounds: shows that it runs, its figures are rough")
	root.PersistentFlags().StringVar(&o.output, "output", "table", "table, or json: one result a line")
	root.AddCommand(listCommand())
	for _, s := range suites {
		root.AddCommand(suiteCommand(s, &o))
	}
	os.Exit(cli.Run("bench", root))
}

// options are the flags of a suite's command.
type options struct {
	quick  bool
	output string
}

func suiteCommand(s suite, o *options) *cobra.Command {
	return &cobra.Command{
		Use:   s.name + " [part...]",
		Short: s.short,
		Long:  s.short + ".\n\nParts, all of them if none is named:\n" + describe(s.parts),
		RunE: func(cmd *cobra.Command, names []string) error {
			if o.output != "table" && o.output != "json" {
				return cli.Misusef("--output %q: want table or json", o.output)
			}
			parts, err := s.choose(names)
			if err != nil {
				return err
			}
			b := &bench{scale: full}
			if o.quick {
				b.scale = quick
			}
			b.report.begin()
			err = b.run(cmd.Context(), parts)
			printed := b.report.print(cmd.OutOrStdout(), os.Stderr, o.output)
			return cmp.Or(err, printed) // what was measured before a failure is shown
		},
	}
}

// choose returns the parts with the given names, all for none.
func (s suite) choose(names []string) ([]part, error) {
	if len(names) == 0 {
		return s.parts, nil
	}
	var chosen []part
	for _, name := range names {
		i := slices.IndexFunc(s.parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, cli.Misusef("%s has no part %q: the parts are\n%s", s.name, name, describe(s.parts))
		}
		chosen = append(chosen, s.parts[i])
	}
	return chosen, nil
}

func describe(parts []part) string {
	var lines []string
	for _, p := range parts {
		lines = append(lines, fmt.Sprintf("  %-12s %s", p.name, p.short))
	}
	return strings.Join(lines, "\n")
}

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the suites and their parts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var rows [][]string
			for _, s := range suites {
				for _, p := range s.parts {
					rows = append(rows, []string{s.name, p.name, p.short})
				}
			}
			return cli.Table(cmd.OutOrStdout(), []string{"SUITE", "PART", "WHAT IS MEASURED"}, rows)
		},
	}
}

// bench is one run of a suite.
type bench struct {
	scale  scale
	report report

	// What parts share is started by the first that needs it, see endpoint.go
	// and project.go.
	program   string // the compiled penstock
	endpoints []endpoint
	server    *postgres.Server
	closers   []func()
}

// run takes the measurements and ends what they started.
func (b *bench) run(ctx context.Context, parts []part) error {
	defer func() {
		for _, stop := range slices.Backward(b.closers) {
			stop()
		}
	}()
	for _, p := range parts {
		b.note("%s: %s", p.name, p.short)
		switch err := p.run(ctx, b); {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("%s: interrupted", p.name)
		case err != nil:
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// note tells what is under way, to people only.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
