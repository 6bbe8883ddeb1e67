package stacks_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/infra/stacks"
)

func TestMain(m *testing.M) {
	if program := os.Getenv(exitVariable); program != "" {
		exitAs(program)
		return
	}
	code := m.Run()
	if !raceDetector {
		jsii.Close()
	}
	os.Exit(code)
}

// raceDetector says that the test runs under it. Closing jsii then fails every
// test: two of its goroutines wait for its process at once, which is a race.
// Without Close the process ends with ours, and leaves a temporary folder.
var raceDetector bool

// needsNode skips a test of the CDK where it cannot run.
func needsNode(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skipped: the CDK needs Node, and there is no node on the PATH")
	}
}

// newApp returns a CDK app that has the context of this project's cdk.json.
func newApp(t testing.TB) awscdk.App {
	t.Helper()
	data, err := os.ReadFile("../../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var cdk struct{ Context map[string]any }
	if err := json.Unmarshal(data, &cdk); err != nil {
		t.Fatalf("cdk.json: %v", err)
	}
	return awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(t.TempDir()), Context: &cdk.Context})
}

// noProgram stands in for the compiler: a template does not depend on what a
// program does.
func noProgram(t testing.TB) func(string) (string, error) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return func(string) (string, error) { return dir, nil }
}

// synthesize returns the snapshot of a project's environment: without account
// and region, and with programs' hashes replaced.
func synthesize(t *testing.T, root fs.FS, env manifest.Environment) *snapshots.Snapshot {
	t.Helper()
	env.Account, env.Region = "", ""
	app := newApp(t)
	stacks.New(app, &stacks.Props{Root: root, Env: env, Build: noProgram(t)})
	app.Synth(nil)

	inputs, err := snapshots.Inputs(root)
	if err != nil {
		t.Fatal(err)
	}
	s := &snapshots.Snapshot{App: stacks.DefaultApp, Env: env.Name, Inputs: inputs}
	if err := s.ReadAssembly(*app.Outdir()); err != nil {
		t.Fatal(err)
	}
	return s
}
