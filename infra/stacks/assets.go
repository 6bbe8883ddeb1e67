package stacks

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/penstock-dev/penstock/infra/names"
)

// goBuild returns the Build that compiles with the go command, each program to
// a folder of its own below dir.
//
// The same source makes the same bytes, whoever compiles it and where, so that
// a program which did not change is not deployed again: no path, no version
// control, no build id, no setting of the machine's GOFLAGS goes into it. The
// tag leaves out the RPC server of Lambda's retired Go runtime.
func goBuild(dir string) func(code string) (string, error) {
	return func(code string) (string, error) {
		out, err := filepath.Abs(filepath.Join(dir, path.Base(code)))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "building %s\n", code)
		build := exec.Command("go", "build",
			"-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w -buildid=",
			"-o", filepath.Join(out, "bootstrap"), names.Package(code))
		build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0", "GOFLAGS=")
		if output, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", code, err, output)
		}
		return out, nil
	}
}

// noBuild returns the Build that compiles nothing: each program is the same
// stand-in below dir. A template does not depend on what a program does.
func noBuild(dir string) func(code string) (string, error) {
	return func(string) (string, error) {
		dir := filepath.Join(dir, "none")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		return dir, os.WriteFile(filepath.Join(dir, "bootstrap"), []byte("not built"), 0o755)
	}
}
