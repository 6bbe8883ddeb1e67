package watch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Sources are what a program is built of, but for what cannot change: the
// standard library, and modules of a fixed version.
type Sources struct {
	// Dirs are the folders of its packages.
	Dirs map[string]bool
	// Embedded are the files that it embeds.
	Embedded map[string]bool
}

// Has reports whether a program is built anew because of a file: one of its Go
// files, no test, or one that it embeds.
func (s *Sources) Has(file string) bool {
	return s.Embedded[file] || IsGo(file) && s.Dirs[filepath.Dir(file)]
}

// IsGo reports whether a file is Go code, and no test.
func IsGo(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

// Programs returns the sources of packages of the module at root, by package.
// Packages are named as `go build` takes them. Code that does not compile is
// no error, as long as its imports can be read.
func Programs(ctx context.Context, root, tags string, packages []string) (map[string]*Sources, error) {
	args := append([]string{"list", "-e", "-deps", "-tags", tags, "-json=ImportPath,Dir,Standard,Module,Match,DepOnly,Deps,EmbedFiles"}, packages...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir = root
	var faults bytes.Buffer
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, strings.TrimSpace(faults.String()))
	}
	type module struct {
		Version string
		Replace *module
	}
	type listed struct {
		ImportPath, Dir   string
		Standard, DepOnly bool
		Module            *module
		Match             []string
		Deps              []string
		EmbedFiles        []string
	}
	all := map[string]*listed{}
	var programs []*listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &listed{}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all[p.ImportPath] = p
		if !p.DepOnly {
			programs = append(programs, p)
		}
	}
	changes := func(p *listed) bool {
		if p == nil || p.Standard || p.Dir == "" {
			return false
		}
		m := p.Module
		if m != nil && m.Replace != nil {
			m = m.Replace
		}
		return m == nil || m.Version == ""
	}
	result := map[string]*Sources{}
	for _, program := range programs {
		s := &Sources{Dirs: map[string]bool{}, Embedded: map[string]bool{}}
		for _, path := range append(program.Deps, program.ImportPath) {
			p := all[path]
			if !changes(p) {
				continue
			}
			s.Dirs[filepath.Clean(p.Dir)] = true
			for _, file := range p.EmbedFiles {
				s.Embedded[filepath.Join(p.Dir, file)] = true
			}
		}
		for _, name := range program.Match {
			result[name] = s
		}
	}
	return result, nil
}
