package stacks

import (
	"context"
	"os"
	"path/filepath"

	"github.com/penstock-dev/penstock/infra/bundle"
)

// goBuild returns the Build that compiles with the go command, each program to
// a folder of its own below dir. It works in the project's root.
func goBuild(dir string) func(code string) (string, error) {
	return func(code string) (string, error) {
		return bundle.Build(context.Background(), ".", code, dir, os.Stderr)
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

// onceEach returns the Build that builds each program once: functions without
// code share the one that runs them.
func onceEach(build func(code string) (string, error)) func(code string) (string, error) {
	built := map[string]string{}
	return func(code string) (string, error) {
		if dir, ok := built[code]; ok {
			return dir, nil
		}
		dir, err := build(code)
		if err == nil {
			built[code] = dir
		}
		return dir, err
	}
}
