package synth_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/synth"
)

const root = "../../.."

func needsNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: the CDK needs Node, and there is no node on the PATH")
	}
}

// resources are the types of a template's resources by logical id.
func resources(t *testing.T, template json.RawMessage) map[string]string {
	t.Helper()
	var decoded struct {
		Resources map[string]struct{ Type string }
	}
	if err := json.Unmarshal(template, &decoded); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for id, r := range decoded.Resources {
		out[id] = r.Type
	}
	return out
}

func TestASynthesisHasTheStacksOfTheSnapshotInItsOrderAndCompilesNoFunction(t *testing.T) {
	needsNode(t)
	kept, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	s, err := synth.Run(t.Context(), synth.Config{Root: root, App: "penstock", Env: "local", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Stacks, kept.Stacks) {
		t.Errorf("stacks %q, in the snapshot %q", s.Stacks, kept.Stacks)
	}
	for _, stack := range s.Stacks {
		got, want := resources(t, s.Templates[stack]), resources(t, kept.Templates[stack])
		if len(got) != len(want) {
			t.Errorf("stack %s: resources %v, in the snapshot %v", stack, got, want)
		}
	}
	stale, err := s.Stale(os.DirFS(root))
	if err != nil || len(stale) > 0 {
		t.Errorf("it is older than %q (%v)", stale, err)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}

	// What the app itself finds wrong is the error.
	project := t.TempDir()
	if err := os.WriteFile(filepath.Join(project, "cdk.json"), []byte(`{"app": "echo function fee: no such event >&2; exit 1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = synth.Run(t.Context(), synth.Config{Root: project, App: "shop", Env: "local", Dir: t.TempDir()})
	if err == nil || !strings.HasSuffix(err.Error(), "failed:\nfunction fee: no such event") {
		t.Errorf("a failing app: %v", err)
	}
}

func TestASynthesisThatIsInterruptedLeavesNothing(t *testing.T) {
	needsNode(t)
	temp, project := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	started := filepath.Join(t.TempDir(), "started")
	if err := os.WriteFile(filepath.Join(project, "cdk.json"), []byte(`{"app": "mkfifo `+started+`; exec cat `+started+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := synth.Run(ctx, synth.Config{Root: project, App: "shop", Env: "local", Dir: t.TempDir()})
		done <- err
	}()
	for { // until the app runs: it opens the pipe
		if f, err := os.OpenFile(started, os.O_WRONLY, 0); err == nil {
			defer f.Close()
			break
		}
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestWithoutNodeItSaysWhatItNeeds(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := synth.Run(t.Context(), synth.Config{Root: root, App: "penstock", Env: "local", Dir: t.TempDir()})
	if !errors.Is(err, synth.ErrNoNode) {
		t.Errorf("got %v", err)
	}
}
