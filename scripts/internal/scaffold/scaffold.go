// Package scaffold writes what is new in a project: an event type, and a
// function.
//
// Of an event type it writes the struct, its sample, its package if the source
// is new, and its place in the catalogue. The packages of event types are beside that of the catalogue, one a source:
//
//	events/catalogue/catalogue.go   var All = events.NewCatalogue(…)
//	events/savings/savings.go       const Source = "savings", and the structs
//	events/savings/samples.go       their samples
package scaffold

import (
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// Catalogue is where a project's catalogue is, unless it says otherwise.
const Catalogue = "events/catalogue/catalogue.go"

// Options say what to write.
type Options struct {
	Type events.Type
	// GoType is the struct's name; it is derived from that of the type if
	// empty: savings/SAVINGS_DEPOSIT becomes Deposit.
	GoType string
	// Catalogue is the file with the catalogue, in the project and with
	// slashes; [Catalogue] if empty.
	Catalogue string
}

// Written is what [Event] wrote.
type Written struct {
	GoType string // with its package's name: savings.Deposit
	Struct File   // where the struct is
	Files  []File // every file, the struct's too
}

// File is a file of the project.
type File struct {
	Path string `json:"path"` // in the project, with slashes
	New  bool   `json:"new"`  // it was made, not changed
	data []byte
}

// ExistsError refuses to write what is there already.
type ExistsError struct {
	What  string
	Where string // the file, in the project
	Go    bool   // it is a Go name, and not the event type, that exists
}

func (e *ExistsError) Error() string { return fmt.Sprintf("%s exists already, in %s", e.What, e.Where) }

// Event writes a new event type into the project at root. If it returns an
// error then nothing is changed.
func Event(root string, o Options) (*Written, error) {
	written, err := plan(root, o)
	if err != nil {
		return nil, err
	}
	return written, write(root, written.Files)
}

// plan makes the contents of all files.
func plan(root string, o Options) (*Written, error) {
	if err := o.Type.Validate(); err != nil {
		return nil, err
	}
	if o.Catalogue == "" {
		o.Catalogue = Catalogue
	}
	module, err := findModule(root)
	if err != nil {
		return nil, err
	}
	list, err := readCatalogue(root, o.Catalogue)
	if err != nil {
		return nil, err
	}
	if file := path.Join(schema.Dir, schema.File(o.Type)); exists(root, file) {
		return nil, &ExistsError{What: "event type " + o.Type.String(), Where: file}
	}
	packages, err := sourcePackages(root, module, list)
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		if at, ok := p.declares(o.Type); ok {
			return nil, &ExistsError{What: "event type " + o.Type.String(), Where: at}
		}
	}
	home, err := homeOf(root, packages, list, o.Type.Source)
	if err != nil {
		return nil, err
	}
	goType := o.GoType
	switch {
	case goType == "":
		goType = goName(o.Type, home.name)
	case !token.IsIdentifier(goType) || !token.IsExported(goType):
		return nil, fmt.Errorf("%q is no name of an exported Go type: want one such as OrderPlaced", goType)
	}
	for _, name := range []string{goType, "Sample" + goType} {
		if at, taken := home.identifiers[name]; taken {
			return nil, &ExistsError{What: "the Go name " + home.name + "." + name, Where: at, Go: true}
		}
	}

	text := texts{root: root, home: home, goType: goType, event: o.Type}
	declaration, err := text.declaration()
	if err != nil {
		return nil, err
	}
	sample, err := text.sample()
	if err != nil {
		return nil, err
	}
	catalogue, err := list.with(path.Join(module.path, module.prefix, home.dir), home.name, goType)
	if err != nil {
		return nil, err
	}
	return &Written{
		GoType: home.name + "." + goType,
		Struct: declaration,
		Files:  []File{declaration, sample, {Path: o.Catalogue, data: catalogue}},
	}, nil
}

// module is the Go module that a project is in, or is itself.
type module struct {
	path   string
	prefix string // the project's folder in the module, with slashes; empty for its root
	file   string // its go.mod, absolute
	data   []byte // what is in that
}

var errNoModule = errors.New("no Go module")

func findModule(root string) (module, error) {
	for at := root; ; at = filepath.Dir(at) {
		file := filepath.Join(at, "go.mod")
		data, err := os.ReadFile(file)
		if err == nil {
			name := modfile.ModulePath(data)
			if name == "" {
				return module{}, fmt.Errorf("%s names no module", file)
			}
			prefix, err := filepath.Rel(at, root)
			return module{name, strings.TrimPrefix(filepath.ToSlash(prefix), "."), file, data}, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return module{}, err
		}
		if at == filepath.Dir(at) {
			return module{}, fmt.Errorf("%w: neither %s nor a folder above it holds go.mod (`go mod init` makes one)", errNoModule, root)
		}
	}
}

// folder returns the folder, in the project, of a package of the module.
func (m module) folder(importPath string) (string, bool) {
	rest, ok := strings.CutPrefix(importPath, path.Join(m.path, m.prefix)+"/")
	return rest, ok
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// formatted is a file whose text is formatted as gofmt does, which also proves
// that it is Go.
func formatted(file File) (File, error) {
	data, err := format.Source(file.data)
	if err != nil {
		return file, fmt.Errorf("%s: %w", file.Path, err)
	}
	file.data = data
	return file, nil
}

// write writes all files or none: each is written beside its place first, and
// what had been put in its place is taken back if a later one fails.
func write(root string, files []File) (err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	type move struct{ from, to string }
	var moves []move
	for _, file := range files {
		to := filepath.Join(root, filepath.FromSlash(file.Path))
		dir := filepath.Dir(to)
		if err := os.Mkdir(dir, 0o777); err == nil {
			undo = append(undo, func() { os.Remove(dir) })
		} else if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if file.New {
			// Nobody's file is overwritten, even one that was made just now.
			f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if err != nil {
				return err
			}
			undo = append(undo, func() { os.Remove(to) })
			_, err = f.Write(file.data)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(to)
		if err != nil {
			return err
		}
		from := to + ".new"
		if err := os.WriteFile(from, file.data, info.Mode().Perm()); err != nil {
			return err
		}
		undo = append(undo, func() { os.Remove(from) })
		moves = append(moves, move{from, to})
	}
	for _, m := range moves {
		old, err := os.ReadFile(m.to)
		if err != nil {
			return err
		}
		if err := os.Rename(m.from, m.to); err != nil {
			return err
		}
		undo = append(undo, func() { _ = os.WriteFile(m.to, old, 0o666) })
	}
	return nil
}
