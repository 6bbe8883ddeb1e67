// Package synth synthesizes a project's templates by running its CDK app, as
// `cdk synth` would, without the CDK's command and without compiling the
// functions. It needs Node, which the CDK itself runs in.
package synth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/infra/snapshots"
)

// Needs is what a synthesis needs, for people.
const Needs = "a synthesis needs Node 20 or later, and there is no `node` on the PATH"

// ErrNoNode is returned where there is no Node.
var ErrNoNode = errors.New(Needs)

// Config says what to synthesize.
type Config struct {
	Root string // the project's folder, which holds cdk.json
	App  string // the application's name, which the CDK app gives itself
	Env  string // the environment
	// Dir is the folder that the compiled CDK app is kept in: made if there is
	// none. The app is compiled again only when its code has changed; manifests
	// are read when it runs.
	Dir string
}

// Run synthesizes, and returns the templates in the form of a snapshot; nothing
// is written into the project. An error holds what the compiler, or the app,
// says is wrong. When ctx ends, what runs is interrupted, and Run returns when
// nothing of it is left.
func Run(ctx context.Context, config Config) (_ *snapshots.Snapshot, err error) {
	if _, err := exec.LookPath("node"); err != nil {
		return nil, ErrNoNode
	}
	root := os.DirFS(config.Root)
	// Before the app reads them: what is saved meanwhile counts as newer.
	inputs, err := snapshots.Inputs(root)
	if err != nil {
		return nil, err
	}
	settings, err := readSettings(filepath.Join(config.Root, "cdk.json"))
	if err != nil {
		return nil, err
	}
	// Everything that the compiler, the app, and Node below it, leave behind is in
	// here.
	dir, err := os.MkdirTemp("", "penstock-synth-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	app, err := compiled(ctx, &config, settings.App, dir)
	if err != nil {
		return nil, err
	}
	settings.Context["env"] = config.Env
	settings.Context[names.BuildContext] = false
	cdkContext, err := json.Marshal(settings.Context)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "cdk.out")
	variables := []string{"CDK_OUTDIR=" + out, "CDK_CONTEXT_JSON=" + string(cdkContext), "TMPDIR=" + dir}
	if major := nodeVersion(ctx); major != "" {
		variables = append(variables, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION="+major)
	}
	if text, err := run(ctx, config.Root, variables, app...); err != nil {
		return nil, fmt.Errorf("the CDK app (%s) failed:\n%s", settings.App, text)
	}
	s := &snapshots.Snapshot{App: config.App, Env: config.Env, Inputs: inputs}
	return s, s.ReadAssembly(out)
}

// settings are what a synthesis takes from cdk.json.
type settings struct {
	App     string         `json:"app"`
	Context map[string]any `json:"context"`
}

func readSettings(file string) (*settings, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	s := &settings{Context: map[string]any{}}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.App == "" {
		return nil, fmt.Errorf(`%s names no app: want a command such as "app": "go run ./infra"`, file)
	}
	return s, nil
}

// goRun is the app of cdk.json that can be kept compiled.
var goRun = regexp.MustCompile(`^go run (\.\S*)$`)

// compiled returns the command that runs the CDK app: the program compiled from
// it, or what cdk.json says where that is not `go run` of a folder.
func compiled(ctx context.Context, config *Config, app, temp string) ([]string, error) {
	match := goRun.FindStringSubmatch(app)
	if match == nil {
		return []string{"sh", "-c", app}, nil
	}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil {
		return nil, err
	}
	program, err := filepath.Abs(filepath.Join(config.Dir, "app"))
	if err != nil {
		return nil, err
	}
	if text, err := run(ctx, config.Root, []string{"TMPDIR=" + temp}, "go", "build", "-o", program, match[1]); err != nil {
		return nil, fmt.Errorf("building the CDK app failed:\n%s", text)
	}
	return []string{program}, nil
}

// run runs a command in a folder, in a process group of its own: when ctx ends, the
// group is interrupted as a whole, once, and what is still there after the command
// has ended is killed. (The go command ends without waiting for what it runs, and
// Ctrl-C at the terminal would reach some of it twice.) With an error goes the text
// to show: what the command printed, or else the error itself.
func run(ctx context.Context, dir string, variables []string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func(s syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, s) }
	cmd.Cancel = func() error { return group(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), variables...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if ctx.Err() != nil {
		if cmd.Process != nil {
			_ = group(syscall.SIGKILL) // there may be nobody left
		}
		err = ctx.Err()
	}
	text := strings.TrimSpace(output.String())
	if err != nil && (text == "" || ctx.Err() != nil) {
		text = err.Error()
	}
	return text, err
}

// nodeVersion is the major version of Node, which is how the CDK is told not to
// warn of it.
func nodeVersion(ctx context.Context) string {
	version, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return ""
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(version)), "v"), ".")
	return major
}
