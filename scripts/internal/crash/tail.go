// Package crash kills Penstock's programs at random moments and counts what is
// wrong afterwards. Its campaigns are run by tests, in short, and by
// `go run ./scripts/crash`, at length.
package crash

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/names"
)

// Tail is a campaign against `penstock tail`: each round starts one, ends it by
// SIGTERM, SIGHUP, SIGINT or SIGKILL at a random moment of its life (while it
// starts, while it listens, and while it cleans up), and looks at what it left.
// Events pass all the while. At the end one more is started and stopped.
type Tail struct {
	// Command makes a tail that has not started yet, of the environment that
	// AWS reaches. Its stderr must not be set.
	Command func() *exec.Cmd
	AWS     aws.Config
	Names   names.Names
	Kills   int
	Seed    uint64
	// Progress is told of each round.
	Progress io.Writer
}

// TailReport counts what a campaign saw.
type TailReport struct {
	Kills map[string]int // by signal; "… then SIGKILL" ends in the clean-up
	// Killed and Ended count the rounds that left something behind: those that
	// ended by SIGKILL, which may, and all others, which may not.
	KilledLeft, EndedLeft int
	// Left are the names of rules and queues after the last start and stop.
	Left []string
}

// Err is the campaign's verdict.
func (r TailReport) Err() error {
	if r.EndedLeft > 0 || len(r.Left) > 0 {
		return fmt.Errorf("%d tails that were not SIGKILLed left something, and at the end there is %q", r.EndedLeft, r.Left)
	}
	return nil
}

// Run runs the campaign.
func (c Tail) Run(ctx context.Context) (TailReport, error) {
	report := TailReport{Kills: map[string]int{}}
	random := rand.New(rand.NewPCG(c.Seed, 0))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Under nohup a tail would ignore SIGHUP, as this process does; not where
	// this process handles it.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	go c.publish(ctx)

	whole, err := c.startAndStop(ctx) // how long a life is here, at the least
	if err != nil {
		return report, err
	}
	before, err := c.left(ctx)
	if err != nil {
		return report, err
	}
	for round := range c.Kills {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGKILL}[random.IntN(4)]
		name := map[syscall.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGKILL: "SIGKILL"}[sig]
		moment := time.Duration(random.Int64N(int64(whole * 3 / 2)))
		again := time.Duration(0)
		killed := sig == syscall.SIGKILL
		if !killed && random.IntN(4) == 0 {
			again, killed = time.Duration(random.Int64N(int64(10*time.Millisecond))), true
			name += " then SIGKILL"
		}
		if err := c.round(sig, moment, killed, again); err != nil {
			return report, fmt.Errorf("round %d: %w", round+1, err)
		}
		report.Kills[name]++
		after, err := c.left(ctx)
		if err != nil {
			return report, err
		}
		own := slices.DeleteFunc(slices.Clone(after), func(n string) bool { return slices.Contains(before, n) })
		switch {
		case len(own) > 0 && killed:
			report.KilledLeft++
		case len(own) > 0:
			report.EndedLeft++
		}
		fmt.Fprintf(c.Progress, "%d of %d: %s after %s: left %q\n", round+1, c.Kills, name, moment.Round(time.Millisecond), own)
		before = after
	}
	if _, err := c.startAndStop(ctx); err != nil {
		return report, err
	}
	report.Left, err = c.left(ctx)
	return report, err
}

// endsWithin is how long a tail may take to end: longer than its clean-up.
const endsWithin = 30 * time.Second

// round starts a tail and ends it.
func (c Tail) round(sig syscall.Signal, moment time.Duration, killed bool, again time.Duration) error {
	cmd := c.Command()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	time.Sleep(moment)
	_ = cmd.Process.Signal(sig)
	if killed && sig != syscall.SIGKILL {
		time.Sleep(again)
		_ = cmd.Process.Kill()
	}
	select {
	case <-ended:
		return nil
	case <-time.After(endsWithin):
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("it did not end within %s of %s", endsWithin, sig)
	}
}

// startAndStop starts a tail, waits until it listens, ends it by SIGINT, and
// returns how long that took.
func (c Tail) startAndStop(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, endsWithin)
	defer cancel()
	began := time.Now()
	cmd := c.Command()
	notes, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	told := ""
	lines := bufio.NewScanner(notes)
	for lines.Scan() {
		told += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "listening") {
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("a tail that was started and stopped: %w\n%s", err, told)
	}
	return time.Since(began), nil
}

// left lists the rules and queues of tails that there are.
func (c Tail) left(ctx context.Context) ([]string, error) {
	prefix := c.Names.TailPrefix()
	rules, err := eventbridge.NewFromConfig(c.AWS).ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: aws.String(c.Names.Bus()), NamePrefix: &prefix})
	if err != nil {
		return nil, err
	}
	queues, err := sqs.NewFromConfig(c.AWS).ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &prefix})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range rules.Rules {
		out = append(out, "rule "+aws.ToString(r.Name))
	}
	for _, q := range queues.QueueUrls {
		out = append(out, "queue "+path.Base(q))
	}
	return out, nil
}

// publish keeps events passing until ctx ends.
func (c Tail) publish(ctx context.Context) {
	publisher := eventbus.New(eventbridge.NewFromConfig(c.AWS), c.Names.Bus())
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := publisher.Publish(ctx, savings.SampleWithdrawal()); err != nil && !errors.Is(err, context.Canceled) {
				fmt.Fprintln(c.Progress, "publishing:", err)
			}
		}
	}
}
