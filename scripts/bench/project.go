package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/devtest"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// recorder is a function with one subscription that notes when it handled what;
// see the command of that name.
type recorder struct {
	name          string
	batchSize     int
	windowSeconds int
}

// What every recorder subscribes to.
const (
	recordedSource = "bench"
	recordedEvent  = "NUMBERED"
)

// fleet is a project whose functions are recorders.
type fleet struct {
	dir     string
	records string // what the recorders write to, see readRecords
}

// sample is the function of this project whose stack the recorders' stacks are
// made of, so that they have whatever a stack has today.
const (
	sampleFunction     = "trade-allocated"
	sampleSubscription = "allocations"
	sampleEvent        = "TRADE_ALLOCATED"
	sampleSource       = "trading"
)

// newFleet writes a project of recorders to a directory that the bench removes.
func (b *bench) newFleet(recorders ...recorder) (*fleet, error) {
	root, err := project.Root()
	if err != nil {
		return nil, err
	}
	dir, err := b.tempDir()
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: dir, records: filepath.Join(dir, "records")}
	files := map[string][]byte{"records": nil}
	for _, file := range []string{"cdk.json", "infra/environments.json", "infra/tables.json", "go.sum"} {
		if files[file], err = os.ReadFile(filepath.Join(root, file)); err != nil {
			return nil, err
		}
	}
	if files["go.mod"], err = fleetModule(root); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(filepath.Join(root, "scripts/bench/recorder/main.go"))
	if err != nil {
		return nil, err
	}
	for _, r := range recorders {
		files[path.Join("functions", r.name, "main.go")] = code
	}
	if err := write(dir, files); err != nil {
		return nil, err
	}
	snapshot, err := f.snapshot(root, recorders)
	if err != nil {
		return nil, err
	}
	if files, err = snapshot.Files(); err != nil {
		return nil, err
	}
	return f, write(dir, files)
}

var moduleLine = regexp.MustCompile(`(?m)^module (\S+)$`)

// fleetModule is a go.mod that uses the module at root, with the versions that
// the latter has.
func fleetModule(root string) ([]byte, error) {
	own, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return nil, err
	}
	module := moduleLine.FindSubmatch(own)
	if module == nil {
		return nil, fmt.Errorf("%s/go.mod names no module", root)
	}
	out := moduleLine.ReplaceAll(own, []byte("module bench.example/fleet"))
	return fmt.Appendf(out, "\nrequire %[1]s v0.0.0\n\nreplace %[1]s => %[2]s\n", module[1], root), nil
}

func write(dir string, files map[string][]byte) error {
	for file, data := range files {
		to := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// snapshot is that of the project at root with the recorders' stacks in place
// of its functions'.
func (f *fleet) snapshot(root string, recorders []recorder) (*snapshots.Snapshot, error) {
	from, err := snapshots.Load(os.DirFS(root), "local")
	if err != nil {
		return nil, err
	}
	inputs, err := snapshots.Inputs(os.DirFS(f.dir))
	if err != nil {
		return nil, err
	}
	manifests, err := filepath.Glob(filepath.Join(root, "functions", "*", "function.json"))
	if err != nil {
		return nil, err
	}
	resources := names.New(from.App, from.Env)
	out := &snapshots.Snapshot{App: from.App, Env: from.Env, Inputs: inputs, Templates: maps.Clone(from.Templates)}
	out.Stacks = slices.DeleteFunc(slices.Clone(from.Stacks), func(stack string) bool {
		return slices.ContainsFunc(manifests, func(m string) bool { return stack == resources.Stack(filepath.Base(filepath.Dir(m))) })
	})
	template, ok := from.Templates[resources.Stack(sampleFunction)]
	if !ok {
		return nil, fmt.Errorf("the snapshot of environment %q has no stack of function %s", from.Env, sampleFunction)
	}
	for _, r := range recorders {
		stack := resources.Stack(r.name)
		out.Stacks = append(out.Stacks, stack)
		if out.Templates[stack], err = f.stack(template, r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stack makes a recorder's template of the sample's.
func (f *fleet) stack(template []byte, r recorder) ([]byte, error) {
	text := strings.NewReplacer(
		sampleFunction, r.name,
		`"`+sampleEvent+`"`, `"`+recordedEvent+`"`,
		`"`+sampleSource+`"`, `"`+recordedSource+`"`,
	).Replace(string(template))
	var stack map[string]any
	if err := json.Unmarshal([]byte(text), &stack); err != nil {
		return nil, err
	}
	resources, _ := stack["Resources"].(map[string]any)
	edited := 0
	for _, resource := range resources {
		resource, _ := resource.(map[string]any)
		properties, _ := resource["Properties"].(map[string]any)
		switch resource["Type"] {
		case "AWS::Lambda::Function":
			environment, _ := properties["Environment"].(map[string]any)
			variables, _ := environment["Variables"].(map[string]any)
			variables["BENCH_RECORDS"] = f.records
			edited++
		case "AWS::Lambda::EventSourceMapping":
			properties["BatchSize"], properties["MaximumBatchingWindowInSeconds"] = r.batchSize, r.windowSeconds
			edited++
		}
	}
	if edited != 2 {
		return nil, fmt.Errorf("the stack of %s has %d functions and mappings: want one of each", sampleFunction, edited)
	}
	return json.MarshalIndent(stack, "", " ")
}

// dev starts `penstock dev` in the project. The caller must end it.
func (f *fleet) dev(ctx context.Context, b *bench) (*devtest.Dev, error) {
	return b.dev(ctx, f.dir, filepath.Join(f.dir, "data"))
}

// dev starts `penstock dev` in a project's folder.
func (b *bench) dev(ctx context.Context, root, dataDir string) (*devtest.Dev, error) {
	program, err := b.penstock(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "dev", "--port", "0", "--watch=false", "--data-dir", dataDir)
	cmd.Dir = root
	var said bytes.Buffer // what it is of interest for only when it does not start
	cmd.Stderr = &said
	// A group of its own, so that Ctrl-C at the terminal leaves it to us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dev, err := devtest.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, &said)
	}
	return dev, nil
}

// penstock is the compiled command.
func (b *bench) penstock(ctx context.Context) (string, error) {
	if b.program != "" {
		return b.program, nil
	}
	root, err := project.Root()
	if err != nil {
		return "", err
	}
	dir, err := b.tempDir()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "penstock")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./scripts/penstock")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./scripts/penstock: %w\n%s", err, out)
	}
	b.program = program
	return program, nil
}

// tempDir makes a directory that is removed at the end.
func (b *bench) tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "penstock-bench-")
	if err != nil {
		return "", err
	}
	b.closers = append(b.closers, func() { _ = os.RemoveAll(dir) })
	return dir, nil
}
