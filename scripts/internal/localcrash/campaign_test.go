package localcrash_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/localcrash"
)

const root = "../../.."

func run(t *testing.T, c localcrash.Campaign) *localcrash.Report {
	t.Helper()
	c.Root, c.Seed, c.Progress = root, uint64(time.Now().UnixNano()), t.Output()
	report, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range append([][]string{localcrash.Header}, report.Rows()...) {
		t.Logf("%-28s%14s%10s%10s%10s%12s%6s%12s", row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])
	}
	return report
}

func TestNothingIsLostAndNothingComesBack(t *testing.T) {
	report := run(t, localcrash.Campaign{Kills: 6})
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	for kind, c := range report.Kinds {
		if c.Acknowledged == 0 || c.Found == 0 {
			t.Errorf("%s: nothing happened: %+v", kind, *c)
		}
	}
}

func TestACampaignCatchesAnEnvironmentThatForgetsWhatItHasAcknowledged(t *testing.T) {
	report := run(t, localcrash.Campaign{Kills: 3, Forget: true})
	if report.Err() == nil {
		t.Fatal("not caught")
	}
	for _, kind := range []string{"events", "messages", "items", "items in pairs", "secrets", "queues and rules"} {
		if c := report.Kinds[kind]; c.Missing == 0 {
			t.Errorf("%s: none missing: %+v", kind, *c)
		}
	}
	reappeared := 0
	for _, c := range report.Kinds {
		reappeared += c.Reappeared
	}
	if reappeared == 0 {
		t.Error("nothing came back that was deleted")
	}
}

func TestACampaignThatIsInterruptedLeavesNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := localcrash.Campaign{Root: root, Kills: 1000, Seed: 1, Progress: stopper(cancel)}.Run(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// stopper is told of the first kill, and then stops the campaign.
type stopper context.CancelFunc

func (s stopper) Write(p []byte) (int, error) { s(); return len(p), nil }
