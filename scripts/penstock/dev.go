package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/connector/topictags"
	"github.com/penstock-dev/penstock/infra/local"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/devstate"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// localEnv is the environment that runs on one machine.
const localEnv = "local"

// defaultPort is that of the environment's endpoint in environments.json, and
// of other programs that stand in for AWS.
const defaultPort = 4566

type devFlags struct {
	port    int
	dataDir string
	reset   bool
	watch   bool
	iam     iamFlags
	demo    demoFlags
}

func newDev(common *cli.Flags) *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the project's templates on this machine, with no account",
		Long: `Run the project's templates on this machine, with no account.

dev takes the synthesized templates of the environment "local" from
infra/snapshots/local, builds the functions for this machine, creates every
resource, and serves the wire protocols of the AWS services on one loopback
port, until Ctrl-C. Any AWS SDK and the AWS CLI work against it.

It follows what is saved in the project: Go code is rebuilt, and the functions
that depend on it are swapped when their batch in flight is done; a function.json
or a change of infrastructure is synthesized, which needs Node, and the
environment is updated in place, with its data. What is wrong is shown, and what
runs goes on as it was.

Every call needs the permission that it needs on AWS: a function has those of its
role. --iam warn logs what would be refused, and lets it pass. When dev stops, it
says how many of the grants of the roles nothing has ever used; --iam-report lists
them.

What is acknowledged is on disk: data, messages and logs are there again at the
next start, even after a kill -9. --reset begins anew.

With --demo it does the product's main job once and exits: withdrawals are
written to a table and published after commit; the function withdrawal-fee
receives them in batches and charges a fee for each, exactly once. Exit status
0 means that every single one was checked and is right.`,
		Example: `  penstock dev
  penstock dev --port 0 --reset
  penstock dev --demo
  penstock dev --demo --input withdrawals.ndjson`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if common.Env != localEnv {
				return cli.Misusef("--env %s: dev runs the environment %q, and no other", common.Env, localEnv)
			}
			return f.run(cmd, common.JSON())
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.port, "port", defaultPort, "loopback port; 0 takes any free one")
	flags.StringVar(&f.dataDir, "data-dir", filepath.Join(".penstock", "local"), "where data, logs and built programs are kept, relative to the project's root")
	flags.BoolVar(&f.reset, "reset", false, "remove the data and logs of earlier runs first")
	flags.BoolVar(&f.watch, "watch", true, "follow what is saved in the project; false runs what there is at the start")
	f.iam.add(cmd)
	f.demo.add(cmd)
	return cmd
}

func (f *devFlags) run(cmd *cobra.Command, asJSON bool) error {
	ctx, out, progress := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if f.port < 0 || f.port > 65535 {
		return cli.Misusef("--port %d: want 0 to 65535", f.port)
	}
	if err := f.iam.check(); err != nil {
		return err
	}
	// Read first: bad input is told before anything is built or written.
	withdrawals, err := f.demo.withdrawals(cmd)
	if err != nil {
		return err
	}
	began := time.Now()
	paceGarbage()
	env, reload, err := f.start(ctx, progress)
	if err != nil {
		return err
	}
	defer env.Close()

	if withdrawals != nil {
		return errors.Join(f.demo.run(ctx, env, withdrawals, out, progress), f.iam.write(env, out, asJSON), closing(env))
	}
	describe(out, env)
	started := env.Started()
	started.Created, started.Changed = nil, nil // of an environment that was not there to be seen
	tellChanges(out, started)
	if err := tellMissingSecrets(ctx, out, reload.root, env); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nready after %.1f s (Ctrl-C stops it)\n", time.Since(began).Seconds())
	returnGarbage()
	if f.watch {
		if err := reload.run(ctx, began); err != nil {
			fmt.Fprintln(progress, "warning: changes of code are not noticed:", err)
			reload.state.Unwatched()
		}
	}
	<-ctx.Done()
	fmt.Fprintln(progress, "stopping")
	summarise(progress, env)
	f.iam.tell(env, progress)
	return errors.Join(f.iam.write(env, out, asJSON), closing(env))
}

func closing(env *local.Environment) error {
	if err := env.Close(); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// start starts the environment of the project that the working directory is
// in, and returns it with what follows the project's changes.
func (f *devFlags) start(ctx context.Context, progress io.Writer) (*local.Environment, *reloader, error) {
	root, err := project.Root()
	if err != nil {
		return nil, nil, err
	}
	files := os.DirFS(root)
	inputs, err := snapshots.Inputs(files)
	if err != nil {
		return nil, nil, err
	}
	settings, err := manifest.LoadEnvironment(files, localEnv)
	if err != nil {
		return nil, nil, err
	}
	snapshot, err := snapshots.Load(files, localEnv)
	if err != nil {
		return nil, nil, err
	}
	stale, err := snapshot.Stale(files)
	if err != nil {
		return nil, nil, err
	}
	if err := snapshot.StaleError(stale); err != nil {
		fmt.Fprintln(progress, "warning:", err)
	}
	dataDir := f.dataDir
	if !filepath.IsAbs(dataDir) {
		dataDir = filepath.Join(root, dataDir)
	}
	_, node := exec.LookPath("node")
	state := devstate.NewKeeper(devstate.State{Root: root, Watching: f.watch, Node: node == nil, Deployed: snapshot.Inputs})
	env, err := local.Start(ctx, local.Config{
		Dev: state, Snapshot: snapshot, Root: root, DataDir: dataDir, Reset: f.reset, Port: f.port, IAM: f.iam.mode,
		Account: settings.Account, Region: settings.Region,
		Logger: slog.New(slog.NewTextHandler(progress, nil)),
		Building: func(packages []string) {
			fmt.Fprintf(progress, "building %d functions: %s\n", len(packages), strings.Join(packages, " "))
		},
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil, cli.Misusef("port %d is taken: give another with --port, or --port 0 for any free one", f.port)
	}
	return env, &reloader{env: env, app: snapshot.App, root: root, cdkDir: filepath.Join(dataDir, "cdk"), out: progress, inputs: inputs, state: state}, err
}

// describe prints what was deployed and how to reach it.
func describe(out io.Writer, env *local.Environment) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FUNCTION\tRECEIVES\tFROM\tBATCH")
	for _, f := range env.Deployed() {
		if d, err := topictags.Parse(f.Tags); err == nil && len(d.Topics) > 0 {
			f.Triggers = append(f.Triggers, local.Trigger{Receives: messagesAbout(d.Topics), From: "connectors"})
		}
		for i, t := range f.Triggers {
			name, batch := f.Name, ""
			if i > 0 {
				name = ""
			}
			if t.BatchSize > 0 {
				batch = fmt.Sprintf("%d or %d s", t.BatchSize, t.WindowSeconds)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, t.Receives, t.From, batch)
		}
		if len(f.Triggers) == 0 {
			fmt.Fprintf(w, "%s\tnothing\t\t\n", f.Name)
		}
	}
	w.Flush()
	if without := env.WithoutEffect(); len(without) > 0 {
		fmt.Fprintf(out, "\nAccepted without effect here: %s.\n", strings.Join(without, "; "))
	}
	fmt.Fprintf(out, `
Point any AWS tool at it:
  export AWS_ENDPOINT_URL=%s
  export AWS_ACCESS_KEY_ID=%s
  export AWS_SECRET_ACCESS_KEY=%s
  export AWS_REGION=%[4]s
  export AWS_DEFAULT_REGION=%[4]s
`, env.Endpoint(), names.LocalAccessKeyID, names.LocalSecretAccessKey, env.Region())
	for _, api := range env.HTTPAPIs() {
		fmt.Fprintf(out, `
%s is an HTTP API at
  %s
The test issuer gives a token in any user's name, for an hour:
  curl -s -d user=ann %s
`, api.Name, api.URL, env.TokenURL())
	}
}

// summarise prints what passed, and what nobody received.
func summarise(out io.Writer, env *local.Environment) {
	stats := env.BusStats()
	if stats.Events == 0 {
		return
	}
	fmt.Fprintf(out, "events: %d on the bus, %d matched a rule, %d deliveries", stats.Events, stats.Matched, stats.Delivered)
	if stats.DeadLettered > 0 {
		fmt.Fprintf(out, ", %d refused by their queue and kept in a rule's DLQ", stats.DeadLettered)
	}
	if stats.Dropped > 0 {
		fmt.Fprintf(out, ", %d refused and dropped", stats.Dropped)
	}
	fmt.Fprintln(out)
	for _, name := range sorted(stats.Unmatched) {
		fmt.Fprintf(out, "no rule matched: %s, %d\n", name, stats.Unmatched[name])
	}
}
