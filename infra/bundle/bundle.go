// Package bundle makes of a function what Lambda runs: a program for arm64 in a zip.
// The CDK app deploys it and `penstock functions build` writes it; both make the same
// bytes.
package bundle

import (
	"archive/zip"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/penstock-dev/penstock/infra/internal/module"
	"github.com/penstock-dev/penstock/infra/names"
)

// Build compiles a program for Lambda with the go command, and returns the folder
// that holds it as "bootstrap": one of its own below dir. root is the project's
// folder, and code what names.CodeMetadata has of the program. What is being built
// is told to progress, in a line.
//
// The same source makes the same bytes, whoever compiles it and where, so that
// a program which did not change is not deployed again: no path, no version
// control, no build id, no setting of the machine's goes into it. The compiler
// is the one that go.mod's toolchain line names, and without one that at hand.
// The tag leaves out the RPC server of Lambda's retired Go runtime.
func Build(ctx context.Context, root, code, dir string, progress io.Writer) (string, error) {
	out, err := filepath.Abs(filepath.Join(dir, path.Base(code)))
	if err != nil {
		return "", err
	}
	toolchain, err := toolchain(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	in, pkg, err := module.Locate(ctx, root, names.Package(code))
	if err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "building %s\n", code)
	build := exec.CommandContext(ctx, "go", "build",
		"-mod=readonly", "-trimpath", "-buildvcs=false", "-tags=lambda.norpc", "-ldflags=-s -w -buildid=",
		"-o", filepath.Join(out, "bootstrap"), pkg)
	build.Dir = in
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "GOARM64=v8.0", "CGO_ENABLED=0",
		"GOFLAGS=", "GOEXPERIMENT=", "GOFIPS140=off", "GOTOOLCHAIN="+toolchain)
	if in != root {
		build.Env = append(build.Env, "GOWORK=off")
	}
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", code, err, output)
	}
	return out, nil
}

// toolchain is the value of GOTOOLCHAIN for a project with that go.mod.
func toolchain(gomod string) (string, error) {
	text, err := os.ReadFile(gomod)
	if err != nil {
		return "", fmt.Errorf("a project's root has a go.mod: %w", err)
	}
	parsed, err := modfile.Parse(gomod, text, nil)
	if err != nil {
		return "", err
	}
	if parsed.Toolchain == nil {
		return "local", nil
	}
	return cmp.Or(parsed.Toolchain.Name, "local"), nil
}

// packed is the time of every file in a zip: the first that a zip can tell.
var packed = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Pack writes to a zip for Lambda the files of a folder, and with them files of
// the project, which keep their paths. The same files make the same bytes: they
// are in the order of their names, of one time, and executable for all.
func Pack(file string, program, project fs.FS, files []string) (err error) {
	from := map[string]fs.FS{}
	for _, name := range files {
		from[name] = project
	}
	if err := fs.WalkDir(program, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			from[name] = program
		}
		return err
	}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, out.Close()) }()
	archive := zip.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(from)) {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: packed}
		header.SetMode(0o755)
		to, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		in, err := from[name].Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, in)
		if err := cmp.Or(err, in.Close()); err != nil {
			return err
		}
	}
	return archive.Close()
}
