package tail

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

type command struct {
	flags   *cli.Flags
	filter  Filter
	bus     string
	count   int
	timeout time.Duration
	verbose bool
	sweep   bool
}

// NewCommand returns the command `tail`. The flags of every command must be
// added to it or to a parent.
func NewCommand(flags *cli.Flags) *cobra.Command {
	c := command{flags: flags}
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show the events passing on the bus, live",
		Long: `Show the events passing on the bus, live, until Ctrl-C.

Each event is one line: when it occurred (local time), its type, the end of its
id, and its data. --verbose adds the whole detail; --output json prints the
event as the bus delivers it, one a line, for other programs. An event that is
delivered twice is shown once. There is no order: compare the times.

Which events: those of --source and --type, or those that match --pattern, an
EventBridge event pattern. Without any, all of them.

tail makes a rule and a queue, <app>-<env>-tail-<owner>-<random>, and removes
both at its end, whatever ends it. What a killed one left, the next start on
the same machine removes (or --sweep, which does only that); after 12 hours,
which is as long as a tail lasts, the next start of anybody does. Events are
shown from the moment that it says "listening"; on AWS a new rule may need some
seconds more.

Exit status 1 means that --timeout passed and nothing came, or that it ended
before --count events came.`,
		Example: `  penstock tail
  penstock tail --type savings/SAVINGS_WITHDRAWAL --verbose
  penstock tail --pattern '{"detail": {"data": {"amount": [{"numeric": [">", 1000]}]}}}'
  penstock tail --pattern @large.json --bus default
  penstock tail --type FEE_CHARGED --count 1 --timeout 30s   # in CI: exit 1 if none came
  penstock tail --output json | jq .detail.data.amount`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.filter.Pattern, "pattern", "", "only events that match this event `pattern`: its JSON, @FILE, or - for standard input")
	f.StringArrayVar(&c.filter.Sources, "source", nil, "only events of this `source` (may be repeated)")
	f.StringArrayVar(&c.filter.Types, "type", nil, "only events of this `type`, source/NAME or NAME (may be repeated)")
	f.StringVar(&c.bus, "bus", "", "`name` of the bus (default the environment's; \"default\" is the account's own)")
	f.IntVar(&c.count, "count", 0, "end after `N` events; 0 means no end")
	f.DurationVar(&c.timeout, "timeout", 0, "end after this `duration`, such as 30s; 0 means at Ctrl-C")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "print the whole detail under each line")
	f.BoolVar(&c.sweep, "sweep", false, "remove what killed tails have left, and end")
	_ = cmd.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		root, err := project.Root()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		types, err := eventtypes.Load(os.DirFS(root))
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return types.Names(), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (c *command) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	switch {
	case c.count < 0:
		return cli.Misusef("--count %d: want at least 0", c.count)
	case c.timeout < 0 || c.timeout > MaxAge:
		return cli.Misusef("--timeout %s: want 0 to %s, which is as long as a tail lasts", c.timeout, MaxAge)
	case strings.HasPrefix(c.bus, "arn:"):
		return cli.Misusef("--bus %s: want the name of a bus in the environment's account, not an ARN", c.bus)
	}
	pattern, err := c.filter.EventPattern(cmd.InOrStdin())
	if err != nil {
		return err
	}
	target, err := c.flags.Target(ctx)
	if err != nil {
		return err
	}
	if err := target.Guard(ctx); err != nil {
		return err
	}
	if c.bus == "" {
		c.bus = target.Names.Bus()
		c.hint(target.Root, cmd.ErrOrStderr())
	}
	// A write to a pipe that nobody reads any more must be an error, to be
	// cleaned up after; unless somebody asks for the signal, it kills.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)

	t := &Tail{
		AWS: target.AWS, Names: target.Names, Bus: c.bus, Pattern: pattern,
		Count: c.count, Timeout: c.timeout, Show: c.show(cmd), Notes: cmd.ErrOrStderr(),
	}
	if c.sweep {
		return target.Explain(t.Sweep(ctx))
	}
	return target.Explain(t.Run(ctx))
}

// hint tells of a --type that the project does not have. It is no error: other
// teams publish on the bus, too.
func (c *command) hint(root string, notes io.Writer) {
	types, err := eventtypes.Load(os.DirFS(root))
	if err != nil {
		return
	}
	known := types.Names()
	for _, t := range c.filter.Types {
		if slices.ContainsFunc(known, func(k string) bool { return k == t || strings.HasSuffix(k, "/"+t) }) {
			continue
		}
		near := ""
		if names := cli.Nearest(t, known); len(names) > 0 {
			near = "; did you mean " + strings.Join(names, " or ") + "?"
		}
		fmt.Fprintf(notes, "tail: this project has no event type %q, so nobody here publishes it%s\n", t, near)
	}
}

func (c *command) show(cmd *cobra.Command) func(Event) error {
	out := cmd.OutOrStdout()
	if c.flags.Output == "json" {
		return JSONLines(out)
	}
	p := &Printer{Out: out, Verbose: c.verbose}
	if cli.IsTerminal(out) {
		p.Color = !c.flags.NoColor
		p.Width = func() int {
			width, _, err := term.GetSize(int(out.(*os.File).Fd()))
			if err != nil {
				return 0
			}
			return width
		}
	}
	return p.Show
}
