package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/crash"
	"github.com/penstock-dev/penstock/scripts/internal/tail"
)

var localNames = names.New("penstock", "local")

// tails lists the rules of tails on a bus that have a target, and the queues of
// tails.
func tails(ctx context.Context, cfg aws.Config, bus string) (rules, queues []string, err error) {
	prefix := localNames.TailPrefix()
	listed, err := eventbridge.NewFromConfig(cfg).ListRules(ctx, &eventbridge.ListRulesInput{EventBusName: &bus, NamePrefix: &prefix})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range listed.Rules {
		rules = append(rules, *r.Name)
	}
	found, err := sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &prefix})
	if err != nil {
		return nil, nil, err
	}
	for _, url := range found.QueueUrls {
		queues = append(queues, path.Base(url))
	}
	return rules, queues, nil
}

// leavesNothing fails if there is a rule or a queue of a tail.
func (d *dev) leavesNothing(t *testing.T) {
	t.Helper()
	for _, bus := range []string{localNames.Bus(), "default"} {
		rules, queues, err := tails(t.Context(), d.aws, bus)
		if err != nil || len(rules)+len(queues) > 0 {
			t.Errorf("left on bus %s: rules %v, queues %v; %v", bus, rules, queues, err)
		}
	}
}

func (d *dev) publish(t *testing.T, batch ...events.Event) {
	t.Helper()
	if err := eventbus.New(eventbridge.NewFromConfig(d.aws), localNames.Bus()).PublishBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// tailCommand is a `penstock tail` that has not started yet.
func (d *dev) tailCommand(t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("penstock", append([]string{"tail"}, flags...)...)
	cmd.Dir = projectRoot(t)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+*d.aws.BaseEndpoint)
	return cmd
}

// tailScreen is what a process has printed so far.
type tailScreen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *tailScreen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *tailScreen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// runningTail is a `penstock tail` that listens.
type runningTail struct {
	cmd        *exec.Cmd
	out, notes tailScreen
}

func (d *dev) startTail(t *testing.T, flags ...string) *runningTail {
	t.Helper()
	r := &runningTail{cmd: d.tailCommand(t, flags...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.out, &r.notes
	t.Cleanup(func() { t.Logf("%q printed:\n%s%s", r.cmd.Args, &r.out, &r.notes) })
	r.start(t)
	return r
}

func (r *runningTail) start(t *testing.T) {
	t.Helper()
	r.begin(t)
	r.says(t, "listening")
}

func (r *runningTail) begin(t *testing.T) {
	t.Helper()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
}

func (r *runningTail) says(t *testing.T, what string) {
	t.Helper()
	eventually(t, "tail says "+what, func() bool { return strings.Contains(r.notes.String(), what) })
}

// ends waits until it has ended and returns its exit status.
func (r *runningTail) ends(t *testing.T) int {
	t.Helper()
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func TestATailLeavesNothingHoweverItEnds(t *testing.T) {
	// Where the tests run under nohup, a child of this process would ignore
	// SIGHUP, too; not one of a process that handles it.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	d := startDev(t, t.TempDir())
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			r := d.startTail(t)
			if err := r.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			if status := r.ends(t); status != cli.ExitDone {
				t.Errorf("exit status %d: %s", status, &r.notes)
			}
			d.leavesNothing(t)
		})
	}
	t.Run("it has shown --count events", func(t *testing.T) {
		r := d.startTail(t, "--count", "2", "--output", "json")
		d.publish(t, savings.SampleWithdrawal(), savings.SampleWithdrawal(), savings.SampleWithdrawal())
		if status := r.ends(t); status != cli.ExitDone || strings.Count(r.out.String(), "\n") != 2 {
			t.Errorf("exit status %d: %s%s", status, &r.out, &r.notes)
		}
		d.leavesNothing(t)
	})
	t.Run("--timeout passed and nothing came", func(t *testing.T) {
		r := d.startTail(t, "--timeout", "300ms", "--source", "nobody")
		if status := r.ends(t); status != cli.ExitFailed || !strings.Contains(r.notes.String(), `nothing came on bus penstock-local within 300ms that matches {"source":["nobody"]}`) {
			t.Errorf("exit status %d: %s", status, &r.notes)
		}
		d.leavesNothing(t)
	})
	t.Run("fewer than --count came", func(t *testing.T) {
		r := d.startTail(t, "--count", "2")
		d.publish(t, savings.SampleWithdrawal())
		eventually(t, "the event is shown", func() bool { return strings.Contains(r.out.String(), "SAVINGS_WITHDRAWAL") })
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		if status := r.ends(t); status != cli.ExitFailed || !strings.Contains(r.notes.String(), "1 of 2 events came") {
			t.Errorf("exit status %d: %s", status, &r.notes)
		}
		d.leavesNothing(t)
	})
	t.Run("nobody reads its output any more", func(t *testing.T) {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r := &runningTail{cmd: d.tailCommand(t)}
		r.cmd.Stdout, r.cmd.Stderr = writer, &r.notes
		r.start(t)
		_ = writer.Close()
		_ = reader.Close()
		d.publish(t, savings.SampleWithdrawal())
		if status := r.ends(t); status != cli.ExitDone {
			t.Errorf("exit status %d: %s", status, &r.notes)
		}
		d.leavesNothing(t)
	})
	t.Run("SIGKILL, then the next one starts", func(t *testing.T) {
		r := d.startTail(t)
		_ = r.cmd.Process.Kill()
		r.ends(t)
		if rules, queues, _ := tails(t.Context(), d.aws, localNames.Bus()); len(rules) != 1 || len(queues) != 1 {
			t.Fatalf("a SIGKILLed tail left rules %v and queues %v: the check below would prove nothing", rules, queues)
		}
		next := d.startTail(t)
		next.says(t, "(its process is gone)")
		_ = next.cmd.Process.Signal(syscall.SIGINT)
		next.ends(t)
		d.leavesNothing(t)
	})
	t.Run("a panic", func(t *testing.T) {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
			d.leavesNothing(t)
		}()
		stop := d.publishing(t)
		defer stop()
		_ = d.tailHere(func(tail.Event) error { panic("boom") }).Run(t.Context())
	})
}

// tailHere is a tail in this process.
func (d *dev) tailHere(show func(tail.Event) error) *tail.Tail {
	return &tail.Tail{AWS: d.aws, Names: localNames, Bus: localNames.Bus(), Pattern: `{"source":[{"prefix":""}]}`, Show: show, Notes: io.Discard}
}

// publishing publishes events until stop is called.
func (d *dev) publishing(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	publisher := eventbus.New(eventbridge.NewFromConfig(d.aws), localNames.Bus())
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = publisher.Publish(ctx, savings.SampleWithdrawal())
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

func TestATailIsKilledAtRandomMomentsAndTheNextLeavesNothing(t *testing.T) {
	d := startDev(t, t.TempDir())
	report, err := crash.Tail{
		Command: func() *exec.Cmd { return d.tailCommand(t) },
		AWS:     d.aws, Names: localNames, Kills: 12, Seed: 1, Progress: testWriter{t},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func TestATailWaitsForALostConnectionAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, dir)
	r := d.startTail(t, "--output", "json", "--count", "1")
	port := (*d.aws.BaseEndpoint)[strings.LastIndex(*d.aws.BaseEndpoint, ":")+1:]
	_ = d.Signal(syscall.SIGKILL)
	r.says(t, "the connection is lost")
	d = startDev(t, dir, "--port", port)
	r.says(t, "connected again")
	d.publish(t, savings.SampleWithdrawal())
	if status := r.ends(t); status != cli.ExitDone || !strings.Contains(r.out.String(), `"detail-type":"SAVINGS_WITHDRAWAL"`) {
		t.Errorf("exit status %d: %s%s", status, &r.out, &r.notes)
	}
	d.leavesNothing(t)
}

func TestATailThatCannotCleanUpNamesWhatIsLeftAndTheNextRemovesIt(t *testing.T) {
	dir := t.TempDir()
	d := startDev(t, dir)
	r := d.startTail(t)
	rules, _, err := tails(t.Context(), d.aws, localNames.Bus())
	if err != nil || len(rules) != 1 {
		t.Fatal(rules, err)
	}
	_ = d.Signal(syscall.SIGKILL)
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	status := r.ends(t)
	for _, want := range []string{"rule " + rules[0], "queue " + rules[0], "penstock tail --env local --sweep"} {
		if !strings.Contains(r.notes.String(), want) || status != cli.ExitFailed {
			t.Errorf("exit status %d: %s\nwant %s", status, &r.notes, want)
		}
	}
	d = startDev(t, dir)
	if out, err := d.tailCommand(t, "--sweep").CombinedOutput(); err != nil || !strings.Contains(string(out), "removed "+rules[0]) {
		t.Errorf("%v: %s", err, out)
	}
	d.leavesNothing(t)
}

func TestATailShowsEachEventOnceAndFastEnough(t *testing.T) {
	d := startDev(t, t.TempDir())
	const n = 3000
	batch := make([]events.Event, n)
	for i := range batch {
		batch[i] = events.Stamp(t.Context(), savings.SampleWithdrawal())
	}
	shown := map[string]int{}
	var ended time.Time
	tl := d.tailHere(func(e tail.Event) error { shown[e.ID]++; ended = time.Now(); return nil })
	tl.Count, tl.Pattern = n, `{"detail-type":["SAVINGS_WITHDRAWAL"]}`
	listening := tellWhen("listening")
	tl.Notes = listening
	done := make(chan error, 1)
	go func() { done <- tl.Run(t.Context()) }()
	<-listening.told
	began := time.Now()
	d.publish(t, batch[:n/2]...)
	d.publish(t, batch[:100]...) // again: the same ids
	d.publish(t, batch[n/2:]...)
	published := time.Since(began)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, e := range batch {
		if id := e.(events.Envelope).ID; shown[id] != 1 {
			t.Errorf("%s was shown %d times", id, shown[id])
		}
	}
	t.Logf("%d events published in %s, shown in %s", n, published, ended.Sub(began))
	d.leavesNothing(t)
}

func TestATailMakesAnotherQueueWhenSomebodyRemovesIt(t *testing.T) {
	d := startDev(t, t.TempDir())
	r := d.startTail(t, "--count", "1")
	_, queues, err := tails(t.Context(), d.aws, localNames.Bus())
	if err != nil || len(queues) != 1 {
		t.Fatal(queues, err)
	}
	client := sqs.NewFromConfig(d.aws)
	url, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &queues[0]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url.QueueUrl}); err != nil {
		t.Fatal(err)
	}
	r.says(t, "somebody removed the queue: making another")
	eventually(t, "it listens again", func() bool { return strings.Count(r.notes.String(), "listening") == 2 })
	d.publish(t, savings.SampleWithdrawal())
	if status := r.ends(t); status != cli.ExitDone {
		t.Errorf("exit status %d: %s%s", status, &r.out, &r.notes)
	}
	d.leavesNothing(t)
}

// toldWriter closes told when a text is written that contains what.
type toldWriter struct {
	what string
	told chan struct{}
	once sync.Once
}

func tellWhen(what string) *toldWriter { return &toldWriter{what: what, told: make(chan struct{})} }

func (w *toldWriter) Write(p []byte) (int, error) {
	if strings.Contains(string(p), w.what) {
		w.once.Do(func() { close(w.told) })
	}
	return len(p), nil
}

// sessionListening is the command `listening [BUS]` of a session: it waits
// until a tail that was started in the background has a rule with a target.
func sessionListening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: listening [BUS]")
	}
	bus := localNames.Bus()
	if len(args) == 1 {
		bus = args[0]
	}
	cfg := aws.Config{
		BaseEndpoint: aws.String(ts.Getenv("AWS_ENDPOINT_URL")), Region: ts.Getenv("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: ts.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: ts.Getenv("AWS_SECRET_ACCESS_KEY")}, nil
		}),
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		rules, _, err := tails(context.Background(), cfg, bus)
		ts.Check(err)
		if len(rules) == 1 {
			targets, err := eventbridge.NewFromConfig(cfg).ListTargetsByRule(context.Background(), &eventbridge.ListTargetsByRuleInput{EventBusName: &bus, Rule: &rules[0]})
			if err == nil && len(targets.Targets) == 1 {
				return
			}
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("no tail listens")
}
