// Package project finds the project that a program is run in.
package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-dev/penstock/infra/snapshots"
)

// marker is the file that stands in a project's root.
const marker = "cdk.json"

// Root returns the root of the project that the working directory is in: the
// nearest folder, upwards, that holds cdk.json.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return RootOf(dir)
}

// ErrNone is in the error where there is no project.
var ErrNone = errors.New("no project here")

// RootOf is Root for a folder, given as an absolute path, which need not exist.
func RootOf(dir string) (string, error) {
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(filepath.Join(at, marker))
		if err == nil {
			return at, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%w: neither %s nor a folder above it holds %s (run this inside the project)", ErrNone, dir, marker)
		}
	}
}

// App returns the application's name, which is part of every resource's: the
// one that the environment was synthesized with.
func App(root, env string) (string, error) {
	snapshot, err := snapshots.Load(os.DirFS(root), env)
	if err != nil {
		return "", err
	}
	return snapshot.App, nil
}
