// Package localcrash proves the local environment's durability by force: it
// kills a real `penstock dev` at random moments, under load, and compares what
// was acknowledged with what is there.
//
// The life of a campaign:
//
//  1. It writes a scratch project, builds the command, and starts `penstock
//     dev` on an empty data directory.
//  2. Clients put load on it, each kind of thing by clients of its own: events
//     through a rule to a queue and to a Lambda function, transactions whose
//     events the outbox's relay publishes, plain SQS, items, secrets, mappings,
//     queues. A client that changes a thing reads it first, and so finds what a
//     kill has lost or brought back.
//  3. It kills the process by SIGKILL and starts it again on the same
//     directory, Kills times: mostly under load, sometimes while it starts, and
//     sometimes while it starts with other templates, which is an update.
//  4. The clients end, what is under way runs out, and everything that was
//     acknowledged is looked for once more.
//
// An answer that a kill has cut off leaves open what happened: then either is
// right, but never half.
//
// The seed decides what is drawn, but the moments are the machine's: two runs of
// a seed are alike, not the same.
package localcrash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/devtest"
)

// Campaign is a campaign that has not run yet.
type Campaign struct {
	// Root is the project's root.
	Root  string
	Kills int
	Seed  uint64
	// Progress is told of each kill.
	Progress io.Writer
	// Forget makes the environment lose what it wrote between its last start
	// and a kill, as one that does not write to the disk would: to test the
	// campaign.
	Forget bool
}

// The ways to be killed.
const (
	underLoad = "under load"
	starting  = "while starting"
	updating  = "while updating"
)

// run is a campaign under way.
type run struct {
	Campaign
	dir     string // temporary
	program string
	project *scratch
	port    int
	random  *rand.Rand
	variant int

	dev       *devtest.Dev
	complains *devtest.Tail
	startup   time.Duration // how long a start takes

	load *load
}

// Run runs the campaign. When it returns, every process that it started has
// ended, and nothing of it is left on the disk.
func (c Campaign) Run(ctx context.Context) (*Report, error) {
	began := time.Now()
	r := &run{Campaign: c, random: rand.New(rand.NewPCG(c.Seed, 0))}
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	report := newReport(c.Seed)
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	r.load = newLoad(r.dev.AWS(), r.project.names, c.Seed, report, c.Progress)
	if c.Forget {
		r.load.within = 10 * time.Second // for what is gone for good
	}
	if err := r.load.begin(ctx); err != nil {
		return nil, err
	}
	defer r.load.end()
	for n := range c.Kills {
		how, moment, err := r.strike(ctx)
		if err != nil {
			return nil, fmt.Errorf("kill %d: %w", n+1, err)
		}
		report.Kills[how]++
		fmt.Fprintf(c.Progress, "%d of %d: %s, after %s; %s\n", n+1, c.Kills, how, moment.Round(time.Millisecond), report.summary())
	}
	fmt.Fprintln(c.Progress, "running out")
	if err := r.load.runOut(ctx); err != nil {
		return nil, errors.Join(err, report.Err(), r.said())
	}
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// close ends the process and removes what it left.
func (r *run) close() {
	if r.dev != nil {
		r.dev.Kill()
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}

func (r *run) prepare(ctx context.Context) (err error) {
	if r.dir, err = os.MkdirTemp("", "penstock-crash-"); err != nil {
		return err
	}
	if r.project, err = newScratch(r.Root, filepath.Join(r.dir, "project")); err != nil {
		return err
	}
	r.program = filepath.Join(r.dir, "penstock")
	build := exec.CommandContext(ctx, "go", "build", "-o", r.program, "./scripts/penstock")
	build.Dir = r.Root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./scripts/penstock: %w\n%s", err, out)
	}
	r.port, err = freePort(ctx)
	return err
}

// freePort is a port that nobody listens on. Every start takes the same, so
// that clients find it again.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// launch starts the process.
func (r *run) launch() (err error) {
	cmd := exec.Command(r.program, "dev", "--port", fmt.Sprint(r.port), "--watch=false", "--data-dir", filepath.Join(r.dir, "data"))
	cmd.Dir = r.project.dir
	// A group of its own, so that Ctrl-C reaches the campaign alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.complains = &devtest.Tail{}
	cmd.Stderr = r.complains
	if r.Forget {
		if err := r.keepCopy(); err != nil {
			return err
		}
	}
	r.dev, err = devtest.Begin(cmd)
	return err
}

// start starts the process and waits until it is ready.
func (r *run) start(ctx context.Context) error {
	began := time.Now()
	if err := r.launch(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { r.dev.Interrupt(syscall.SIGKILL) })
	defer stop()
	if err := r.dev.Ready(); err != nil {
		return errors.Join(ctx.Err(), err, r.said())
	}
	r.startup = time.Since(began)
	return nil
}

// said is what the process has complained of lately.
func (r *run) said() error {
	if text := r.complains.String(); text != "" {
		return fmt.Errorf("penstock dev said:\n%s", text)
	}
	return nil
}

// longestRun is how long the process runs under load at most before it is
// killed.
const longestRun = 1500 * time.Millisecond

// strike kills the process, once, and starts it again.
func (r *run) strike(ctx context.Context) (how string, moment time.Duration, err error) {
	draw := r.random.IntN(10)
	moment = time.Duration(r.random.Int64N(int64(longestRun)))
	if err := r.load.advance(ctx, moment); err != nil {
		return "", 0, err
	}
	r.kill()
	r.load.pause()
	how = underLoad
	switch {
	case draw >= 8:
		how = updating
	case draw >= 6:
		how = starting
	}
	if how != underLoad {
		if moment, err = r.killStart(how); err != nil {
			return how, moment, err
		}
	}
	if err := r.start(ctx); err != nil {
		return how, moment, err
	}
	r.load.resume()
	return how, moment, nil
}

// kill kills the process.
func (r *run) kill() {
	r.dev.Kill()
	if r.Forget {
		_ = r.restoreCopy()
	}
}

// killStart starts the process, with the same templates or others, and kills it
// while it starts.
func (r *run) killStart(how string) (time.Duration, error) {
	if how == updating {
		r.variant = 1 - r.variant
		if err := r.project.deploy(r.variant); err != nil {
			return 0, err
		}
	}
	if err := r.launch(); err != nil {
		return 0, err
	}
	moment := time.Duration(r.random.Int64N(int64(r.startup)))
	var killed sync.WaitGroup
	killed.Go(func() {
		time.Sleep(moment)
		r.dev.Interrupt(syscall.SIGKILL)
	})
	_ = r.dev.Ready() // or it was faster this time
	killed.Wait()
	r.kill()
	if how == updating && r.random.IntN(2) == 0 { // the next start finds half of what it is not to have
		r.variant = 1 - r.variant
		return moment, r.project.deploy(r.variant)
	}
	return moment, nil
}

// keepCopy keeps a copy of what the environment has written.
func (r *run) keepCopy() error {
	to := filepath.Join(r.dir, "copy")
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	from := filepath.Join(r.dir, "data", "store")
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.CopyFS(to, os.DirFS(from))
}

// restoreCopy puts the copy in the place of what was written since.
func (r *run) restoreCopy() error {
	to := filepath.Join(r.dir, "data", "store")
	from := filepath.Join(r.dir, "copy")
	if _, err := os.Stat(from); err != nil {
		return err // before the first start there was nothing
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}
