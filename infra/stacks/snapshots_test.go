package stacks_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/infra/stacks"
)

var update = flag.Bool("update", false, "write the snapshots anew")

// TestSnapshots synthesizes every environment and compares it with what is kept
// in infra/snapshots. With -update it writes that instead.
func TestSnapshots(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil && *update {
		t.Fatal("to make snapshots the CDK needs Node, and there is no node on the PATH")
	}
	needsNode(t)
	const project = "../.."
	root := os.DirFS(project)
	environments, err := manifest.LoadEnvironments(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range environments {
		t.Run(env.Name, func(t *testing.T) {
			synthesized := synthesize(t, root, env)
			want, err := synthesized.Files()
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(project, snapshots.Dir, env.Name)
			if *update {
				// What would stop a deployment stops here, where it is still a
				// change that someone makes, and not one that was made.
				if kept, err := snapshots.Load(root, env.Name); err == nil && env.Endpoint == "" {
					functions, err := manifest.Load(root)
					if err != nil {
						t.Fatal(err)
					}
					allowed := append(strings.Split(os.Getenv(snapshots.AllowRemovalVariable), ","),
						manifest.EndedQueues(functions, names.New(stacks.DefaultApp, env.Name), time.Now())...)
					if err := snapshots.CheckRemovals(kept.Templates, synthesized.Templates, allowed); err != nil {
						t.Fatal(err)
					}
				}
				rewrite(t, project, dir, want)
				return
			}
			for file, content := range want {
				kept, err := os.ReadFile(filepath.Join(project, file))
				if err != nil {
					t.Errorf("%v: run %s", err, snapshots.Command)
				} else if d := diff.Diff(file+" (kept)", kept, file+" (synthesized)", content); d != nil {
					t.Errorf("the snapshot is not what is synthesized: run %s\n%s", snapshots.Command, d)
				}
			}
			for _, file := range filesIn(t, project, dir) {
				if _, ok := want[file]; !ok {
					t.Errorf("%s is of a stack that is no longer synthesized: run %s", file, snapshots.Command)
				}
			}
		})
	}
}

// rewrite makes the environment's folder hold the given files and no others.
func rewrite(t *testing.T, project, dir string, files map[string][]byte) {
	t.Helper()
	for _, file := range filesIn(t, project, dir) {
		if _, ok := files[file]; !ok {
			if err := os.Remove(filepath.Join(project, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(project, file), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// filesIn returns the paths in the project of the files in dir.
func filesIn(t *testing.T, project, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range found {
		rel, err := filepath.Rel(project, file)
		if err != nil {
			t.Fatal(err)
		}
		found[i] = filepath.ToSlash(rel)
	}
	return found
}
