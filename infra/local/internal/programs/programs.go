// Package programs builds the Lambda programs that the templates name, for
// this machine.
package programs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Build compiles packages of the module at root, all in one `go build`, and
// returns the path of each one's program, by package. The programs are left in
// dir: what is current there is not linked again, so that a second build of
// unchanged code takes little.
//
// Packages are as `go build` takes them, e.g. ./functions/withdrawal-fee or
// an import path; the last part of each must be its own. They are built as
// they are for Lambda (no cgo, the tag lambda.norpc), but for this machine's
// system and processor. A failed build's error holds the compiler's messages.
func Build(ctx context.Context, root, dir string, packages []string) (map[string]string, error) {
	if len(packages) == 0 {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	out := map[string]string{}
	taken := map[string]string{}
	for _, p := range packages {
		name := path.Base(p)
		if other, ok := taken[name]; ok && other != p {
			return nil, fmt.Errorf("packages %s and %s would both be built as %q: rename one folder", other, p, name)
		}
		taken[name] = p
		out[p] = filepath.Join(dir, name)
	}
	args := append([]string{"build", "-tags", "lambda.norpc", "-o", dir + string(filepath.Separator)}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(output.String())
		if text == "" {
			text = err.Error()
		}
		return nil, fmt.Errorf("building the functions failed:\n%s", text)
	}
	return out, nil
}
