// Package module finds where a Lambda program is built.
//
// A function of a project is built in the project. One of Penstock's own
// programs is built in Penstock's module, wherever the project has it from: the
// module cache, a replacement, or the project itself. There it has the very
// dependencies that it was tested with, and needs none of them in the project's
// go.sum.
package module

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Path is Penstock's own module.
const Path = "github.com/penstock-dev/penstock"

// Locate returns the folder of the module that a program is built in, and its
// package as it is called there. pkg is as names.Package returns it, and root is
// the project's folder.
func Locate(ctx context.Context, root, pkg string) (dir, local string, err error) {
	rest, own := strings.CutPrefix(pkg, Path+"/")
	if !own {
		return root, pkg, nil
	}
	dir, err = find(ctx, root)
	if err == nil && dir == "" { // vendored, or the cache was cleaned
		if _, err = run(ctx, root, "mod", "download", Path); err == nil {
			dir, err = find(ctx, root)
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("finding the module of %s: %w", pkg, err)
	}
	if dir == "" {
		return "", "", fmt.Errorf("finding the module of %s: the module cache does not have %s", pkg, Path)
	}
	return dir, "./" + rest, nil
}

func find(ctx context.Context, root string) (string, error) {
	return run(ctx, root, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", Path)
}

func run(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
