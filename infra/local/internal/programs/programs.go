// Package programs builds the Lambda programs that the templates name, for
// this machine.
package programs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-dev/penstock/infra/internal/module"
)

// Build compiles packages of the module at root, all in one `go build`, and
// returns the path of each one's program, by package. A program is left in dir
// under its name and a part of its hash: one that has changed stands beside the
// one before, which may be running, and one that has not keeps its path.
// Compiling unchanged code again takes little.
//
// Packages are as `go build` takes them, e.g. ./functions/withdrawal-fee or
// an import path; the last part of each must be its own. They are built as
// they are for Lambda (no cgo, the tag lambda.norpc), but for this machine's
// system and processor. A failed build's error holds the compiler's messages.
// When ctx ends, the go command is interrupted, so that it removes its
// temporary files.
func Build(ctx context.Context, root, dir string, packages []string) (map[string]string, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	compiled := filepath.Join(dir, "compiled")
	if err := os.MkdirAll(compiled, 0o755); err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, p := range packages {
		name := path.Base(p)
		if other, ok := taken[name]; ok && other != p {
			return nil, fmt.Errorf("packages %s and %s would both be built as %q: rename one folder", other, p, name)
		}
		taken[name] = p
	}
	in := map[string][]string{} // packages by the folder that they are built in
	for _, p := range packages {
		dir, local, err := module.Locate(ctx, root, p)
		if err != nil {
			return nil, err
		}
		in[dir] = append(in[dir], local)
	}
	for _, folder := range slices.Sorted(maps.Keys(in)) {
		if err := build(ctx, folder, compiled, in[folder]); err != nil {
			return nil, err
		}
	}
	out := map[string]string{}
	for name, p := range taken {
		if out[p], err = place(filepath.Join(compiled, name), dir); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// build compiles packages in a folder, into the folder compiled.
func build(ctx context.Context, folder, compiled string, packages []string) error {
	args := append([]string{"build", "-tags", Tags, "-o", compiled + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		text := strings.TrimSpace(output.String())
		if text == "" {
			text = err.Error()
		}
		return fmt.Errorf("building the functions failed:\n%s", text)
	}
	return nil
}

// Tags are the build tags of programs.
const Tags = "lambda.norpc"

// unfinishedPrefix begins the names of what is being written, or was when the
// process died.
const unfinishedPrefix = "unfinished-"

// place copies a program into dir, under a name that has its hash, unless it is
// there. It is not linked: the go command may write to what it compiled before.
func place(program, dir string) (string, error) {
	from, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer from.Close()
	h := sha256.New()
	if _, err := io.Copy(h, from); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-%x", filepath.Base(program), h.Sum(nil)[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	// A process that is forked now would hold the file open for writing for a
	// moment, in which it could not be run ("text file busy").
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.CreateTemp(dir, unfinishedPrefix)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Chmod(0o755), to.Close()); err != nil {
		_ = os.Remove(to.Name())
		return "", err
	}
	return path, os.Rename(to.Name(), path)
}

// Prune removes the programs and the folders of files in dir that earlier calls
// left. Those in use must all be in keep, as Build and Files returned them.
func Prune(dir string, keep map[string]string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever built: templates without functions
	}
	if err != nil {
		return err
	}
	inUse := map[string]bool{}
	for _, program := range keep {
		inUse[filepath.Base(program)] = true
	}
	for _, e := range entries {
		ours := e.Type().IsRegular() || strings.HasPrefix(e.Name(), filesPrefix) || strings.HasPrefix(e.Name(), unfinishedPrefix)
		if ours && !inUse[e.Name()] {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
