package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/snapshots"
	"github.com/penstock-dev/penstock/scripts/internal/cdkcli"
)

// A tool is a program that the project needs on this machine.
type tool struct {
	name    string
	version []string // the command that prints its version
	major   int      // the least major and minor version; 0.0 for any
	minor   int
	deploys bool // needed to deploy, and to make snapshots, but for nothing else
	wayOut  string
}

var tools = []tool{
	{name: "Go", version: []string{"go", "env", "GOVERSION"}, major: 1, minor: 26, wayOut: "install Go 1.26 or later: https://go.dev/dl"},
	{name: "git", version: []string{"git", "--version"}, wayOut: "install git: `penstock events check` compares with what it keeps"},
	{name: "Node", version: []string{"node", "--version"}, major: 20, deploys: true, wayOut: "install Node 20 or later, in which the CDK runs: https://nodejs.org"},
	{name: "CDK command", version: []string{"cdk", "--version"}, major: cdkcli.Major, minor: cdkcli.Minor, deploys: true,
		wayOut: "npm install --global " + cdkcli.Package + ", or call it by npx " + cdkcli.Package},
}

var versionNumber = regexp.MustCompile(`(\d+)(?:\.(\d+))?(?:\.\d+)?`)

// toolTimeout bounds how long a tool may take to tell its version.
const toolTimeout = 30 * time.Second

// tools checks the programs on this machine. On an environment on this machine,
// what only a deployment needs is no failure.
func (d *doctor) tools(ctx context.Context) ([]finding, error) {
	var findings []finding
	for _, t := range tools {
		f := finding{Check: t.name, State: ok}
		missing := failure
		if t.deploys && !d.onAWS() {
			missing = warning
		}
		version, err := t.ask(ctx)
		switch {
		case errors.Is(err, exec.ErrNotFound) && t.version[0] == "cdk" && onPath("npx"):
			f.Detail = "run by npx " + cdkcli.Package
		case err != nil:
			f.State, f.Detail, f.WayOut = missing, err.Error(), t.wayOut
		case t.older(version):
			f.State, f.Detail, f.WayOut = missing, fmt.Sprintf("version %s is older than %d.%d", version, t.major, t.minor), t.wayOut
		default:
			f.Detail = version
		}
		findings = append(findings, f)
	}
	return findings, nil
}

func onPath(program string) bool { _, err := exec.LookPath(program); return err == nil }

// ask returns the tool's version.
func (t tool) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, t.version[0], t.version[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(t.version, " "), err)
	}
	version := versionNumber.FindString(string(out))
	if version == "" {
		return "", fmt.Errorf("%s prints no version: %q", strings.Join(t.version, " "), strings.TrimSpace(string(out)))
	}
	return version, nil
}

// older says whether a version is below the least that will do.
func (t tool) older(version string) bool {
	m := versionNumber.FindStringSubmatch(version)
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	return major < t.major || major == t.major && minor < t.minor
}

// snapshots checks that what is kept in git is what would be deployed.
func (d *doctor) snapshots(context.Context) ([]finding, error) {
	root := os.DirFS(d.Root)
	snapshot, err := snapshots.Load(root, d.Env.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return []finding{{State: failure, Detail: "there is none", WayOut: "run " + snapshots.Command}}, nil
	}
	if err != nil {
		return nil, err
	}
	newer, err := snapshot.Stale(root)
	if err != nil {
		return nil, err
	}
	if len(newer) > 0 {
		return []finding{{State: warning, Detail: "newer than the snapshot: " + strings.Join(newer, ", "), WayOut: "run " + snapshots.Command}}, nil
	}
	return []finding{{State: ok, Detail: fmt.Sprintf("%d stacks, as their files have them", len(snapshot.Stacks))}}, nil
}
