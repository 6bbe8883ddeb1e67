package outboxcrash_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events/outbox/outboxtest/postgres"
	"github.com/penstock-dev/penstock/scripts/internal/outboxcrash"
)

// partVariable makes this test binary a part of a campaign.
const partVariable = "PENSTOCK_CRASH_PART"

func TestMain(m *testing.M) {
	if spec := os.Getenv(partVariable); spec != "" {
		if err := outboxcrash.Play(context.Background(), spec, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func part(spec string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	// A part that races ends at once, which the campaign tells.
	cmd.Env = append(os.Environ(), partVariable+"="+spec, "GORACE=halt_on_error=1")
	return cmd
}

// run runs a short campaign.
func run(t *testing.T, backend string, kills int, fault string) outboxcrash.Report {
	t.Helper()
	report, err := outboxcrash.Campaign{
		Backend: backend, Kills: kills, Seed: uint64(time.Now().UnixNano()),
		Part: part, Progress: t.Output(), Hurry: true, Fault: fault,
	}.Run(t.Context())
	if errors.Is(err, postgres.ErrNotInstalled) {
		t.Skip(err)
	}
	for _, row := range report.Rows() {
		t.Logf("%-30s %s", row[0], row[1])
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestNothingIsLostAndNothingIsInvented(t *testing.T) {
	for _, backend := range outboxcrash.Backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			report := run(t, backend, 6, "")
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			if len(report.Kills) < 3 {
				t.Errorf("only %v were killed", report.Kills)
			}
			if report.Committed == 0 || report.RolledBack == 0 || report.Received == 0 {
				t.Error("nothing happened")
			}
		})
	}
}

func TestACampaignCatchesABrokenRelay(t *testing.T) {
	for _, fault := range []string{outboxcrash.DropsRefused, outboxcrash.RemovesFirst} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			report := run(t, outboxcrash.SQLite, 8, fault)
			if report.Lost == 0 || report.Err() == nil || report.Phantom != 0 {
				t.Error("not caught as a loss")
			}
		})
	}
}

func TestACampaignCatchesAWriterThatPublishesBeforeTheCommit(t *testing.T) {
	t.Parallel()
	report := run(t, outboxcrash.SQLite, 4, outboxcrash.PublishesBeforeCommit)
	if report.Phantom == 0 || report.Err() == nil {
		t.Error("not caught as a phantom")
	}
}

func TestACampaignThatIsInterruptedLeavesNoProcess(t *testing.T) {
	for _, backend := range outboxcrash.Backends {
		t.Run(backend, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// Not t.TempDir: PostgreSQL, run as another user, must be let in.
			temporary, err := os.MkdirTemp("", "crash")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(temporary)
			if err := os.Chmod(temporary, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("TMPDIR", temporary)
			var started []*exec.Cmd
			_, err = outboxcrash.Campaign{
				Backend: backend, Kills: 1000, Seed: 1, Progress: stopper(cancel),
				Part: func(spec string) *exec.Cmd {
					cmd := part(spec)
					started = append(started, cmd)
					return cmd
				},
			}.Run(ctx)
			if errors.Is(err, postgres.ErrNotInstalled) {
				t.Skip(err)
			}
			if !errors.Is(err, context.Canceled) || len(started) < 2 {
				t.Fatalf("%d processes, %v", len(started), err)
			}
			for _, cmd := range started {
				if cmd.ProcessState == nil {
					t.Errorf("process %d still runs", cmd.Process.Pid)
				}
			}
			if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
				t.Errorf("left in %s: %v, %v", os.TempDir(), left, err)
			}
		})
	}
}

// stopper is told of the first kill, and then stops the campaign.
type stopper context.CancelFunc

func (s stopper) Write(p []byte) (int, error) { s(); return len(p), nil }
