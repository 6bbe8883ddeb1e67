package scaffold

import (
	"bytes"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/modfile"
	modpath "golang.org/x/mod/module"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

//go:embed functions
var functionTemplates embed.FS

// FunctionTemplates are the kinds of functions that [Function] can write: one
// folder of templates each.
func FunctionTemplates() []string {
	entries, err := functionTemplates.ReadDir("functions")
	if err != nil {
		panic(err) // it is embedded
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// FunctionOptions say which function to write, and where.
type FunctionOptions struct {
	Template string // one of FunctionTemplates
	Name     string // letters, digits and hyphens; a part of every name that it has on AWS

	// Dir is the folder to make. In a project it is functions/NAME. It may be
	// there if it is empty.
	Dir string

	// Module is the path of a new Go module to put the function into, where
	// there is none yet. Empty: none is made.
	Module string

	// Update takes a name that is taken by the function that is in Dir: it
	// writes the files that the folder lacks, and changes none that it has.
	Update bool
}

// WrittenFunction is what [Function] wrote.
type WrittenFunction struct {
	Dir     string   // the folder, absolute
	Project string   // the root of the project that it is in, absolute; empty: in none
	Module  string   // the Go module that it is in; empty: in none
	Made    []string // the files that were made, absolute
	Kept    []string // the files that were there and were left alone, absolute

	// Needs are the commands to run before the function builds, in its folder.
	Needs []string
	// MissingTypes are the Go types of events that the project's catalogue
	// lacks, as in savings.Withdrawal.
	MissingTypes []string
}

// InvalidError refuses options: a name, a folder, a template that cannot be
// used. Nothing was written.
type InvalidError struct{ err error }

func (e *InvalidError) Error() string { return e.err.Error() }
func (e *InvalidError) Unwrap() error { return e.err }

func invalidf(format string, args ...any) error { return &InvalidError{fmt.Errorf(format, args...)} }

// Function writes a new function: all of it, or with an error nothing.
func Function(o FunctionOptions) (*WrittenFunction, error) {
	if known := FunctionTemplates(); !slices.Contains(known, o.Template) {
		return nil, invalidf("template %q: there is %s", o.Template, strings.Join(known, ", "))
	}
	if err := manifest.CheckFunctionName(o.Name); err != nil {
		return nil, &InvalidError{err}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	w := &WrittenFunction{Dir: dir}
	if w.Project, err = project.RootOf(dir); err != nil && !errors.Is(err, project.ErrNone) {
		return nil, err
	}
	if err := w.checkPlace(o); err != nil {
		return nil, err
	}
	there, err := w.checkTaken(o)
	if err != nil {
		return nil, err
	}
	goMod, err := w.module(o)
	if err != nil {
		return nil, err
	}
	if err := w.types(); err != nil {
		return nil, err
	}
	files, err := w.render(o)
	if err != nil {
		return nil, err
	}
	if err := w.checkManifest(files[manifest.FileName]); err != nil {
		return nil, err
	}
	return w, w.write(files, there, goMod)
}

// checkPlace checks the folder: a function's has its name, since it is found by
// that, and is where a project has its functions.
func (w *WrittenFunction) checkPlace(o FunctionOptions) error {
	if w.Project != "" {
		if want := filepath.Join(w.Project, manifest.FunctionsDir, o.Name); w.Dir != want {
			return invalidf("folder %s: this project has the function %q in %s", w.Dir, o.Name, want)
		}
		return nil
	}
	if base := filepath.Base(w.Dir); base != o.Name {
		return invalidf("folder %s: a function's folder has its name: want %s", w.Dir, filepath.Join(filepath.Dir(w.Dir), o.Name))
	}
	return nil
}

// checkTaken checks that neither the name nor the folder is in use, except by
// the function that is to be updated. It returns the files that are there.
func (w *WrittenFunction) checkTaken(o FunctionOptions) ([]string, error) {
	siblings, err := os.ReadDir(filepath.Dir(w.Dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, s := range siblings {
		// The same name in another case is the same folder on some machines, and
		// the same resource on AWS.
		if s.Name() != o.Name && strings.EqualFold(s.Name(), o.Name) {
			return nil, invalidf("the name %q is taken by %s: choose another", o.Name, filepath.Join(filepath.Dir(w.Dir), s.Name()))
		}
	}
	entries, err := os.ReadDir(w.Dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var there []string
	for _, e := range entries {
		there = append(there, e.Name())
	}
	data, err := os.ReadFile(filepath.Join(w.Dir, manifest.FileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, invalidf("folder %s is not empty, and holds no function: choose another name", w.Dir)
	case err != nil:
		return nil, err
	case !o.Update:
		return nil, invalidf("the name %q is taken by the function in %s: choose another, or add what files it lacks with --update", o.Name, w.Dir)
	}
	f, err := manifest.Parse(filepath.Join(w.Dir, manifest.FileName), data)
	if err == nil && f.Name != o.Name {
		err = invalidf("%s is the manifest of %q", filepath.Join(w.Dir, manifest.FileName), f.Name)
	}
	return there, err
}

// penstock is the module that a function needs, and dynamodb one more that its
// main.go imports.
const (
	penstock = "github.com/penstock-dev/penstock"
	dynamodb = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// newModule is a go.mod to be made.
type newModule struct {
	file string // absolute
	data []byte
}

// module finds the module that the function joins, or makes one.
func (w *WrittenFunction) module(o FunctionOptions) (*newModule, error) {
	m, err := findModule(w.Dir)
	if errors.Is(err, errNoModule) {
		if o.Module == "" {
			w.Needs = []string{"go mod init example.com/" + o.Name, "go get " + penstock + "@latest", "go mod tidy"}
			return nil, nil
		}
		if err := modpath.CheckImportPath(o.Module); err != nil {
			return nil, invalidf("module %q: %w", o.Module, err)
		}
		w.Module = o.Module
		made := &newModule{filepath.Join(w.Dir, "go.mod"), fmt.Appendf(nil, "module %s\n\ngo 1.26.0\n", o.Module)}
		if w.Project != "" {
			// `go build` runs in the project's root, and so the module is there.
			made.file = filepath.Join(w.Project, "go.mod")
		}
		if version := ownVersion(); version != "" {
			made.data = fmt.Appendf(made.data, "\nrequire %s %s\n", penstock, version)
		} else {
			w.Needs = append(w.Needs, "go get "+penstock+"@latest")
		}
		w.Needs = append(w.Needs, "go mod tidy")
		return made, nil
	}
	if err != nil {
		return nil, err
	}
	if o.Module != "" {
		return nil, invalidf("module %q: the function joins the module %s of %s: leave out --module", o.Module, m.path, m.file)
	}
	w.Module = m.path
	if m.path == penstock {
		return nil, nil
	}
	file, err := modfile.ParseLax(m.file, m.data, nil)
	if err != nil {
		return nil, err
	}
	requires := func(path string) bool {
		return slices.ContainsFunc(file.Require, func(r *modfile.Require) bool { return r.Mod.Path == path })
	}
	if !requires(penstock) {
		w.Needs = append(w.Needs, "go get "+penstock+"@latest")
	}
	if !requires(penstock) || !requires(dynamodb) {
		w.Needs = append(w.Needs, "go mod tidy")
	}
	return nil, nil
}

// ownVersion is the version of Penstock that this program is, or empty if it is
// none that was published.
func ownVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == penstock && m.Replace == nil && modpath.Check(m.Path, m.Version) == nil && !strings.Contains(m.Version, "+") {
			return m.Version
		}
	}
	return ""
}

// types finds which of the function's event types the project lacks.
func (w *WrittenFunction) types() error {
	if w.Project == "" {
		return nil
	}
	known, err := schema.LoadProject(os.DirFS(w.Project))
	if errors.Is(err, fs.ErrNotExist) {
		known, err = &schema.Set{}, nil
	}
	if err != nil {
		return err
	}
	if !known.Has(savings.Withdrawal{}.EventType()) {
		w.MissingTypes = append(w.MissingTypes, "savings.Withdrawal")
	}
	if !known.Has(savings.FeeCharged{}.EventType()) {
		w.MissingTypes = append(w.MissingTypes, "savings.FeeCharged")
	}
	return nil
}

// Command is how to run the penstock command in the function's project.
func (w *WrittenFunction) Command() string {
	if w.Module == penstock {
		return "go run ./scripts/penstock"
	}
	return "penstock"
}

// render makes the contents of the function's files, by name.
func (w *WrittenFunction) render(o FunctionOptions) (map[string][]byte, error) {
	texts, err := template.ParseFS(functionTemplates, path.Join("functions", o.Template, "*.tmpl"))
	if err != nil {
		return nil, err
	}
	about := map[string]any{
		"Name":    o.Name,
		"Project": w.Project,
		"Typed":   w.Project != "" && len(w.MissingTypes) == 0, // its tests can check events against schemas
		"Needs":   w.Needs,
		"Command": w.Command(),
	}
	files := map[string][]byte{}
	for _, t := range texts.Templates() {
		var text bytes.Buffer
		if err := t.Execute(&text, about); err != nil {
			return nil, err
		}
		file := File{Path: strings.TrimSuffix(t.Name(), ".tmpl"), data: text.Bytes()}
		if strings.HasSuffix(file.Path, ".go") {
			if file, err = formatted(file); err != nil {
				return nil, err
			}
		}
		files[file.Path] = file.data
	}
	return files, nil
}

// checkManifest validates the new manifest, also in each environment that the
// project is synthesized for: a long name may be too long on AWS.
func (w *WrittenFunction) checkManifest(data []byte) error {
	f, err := manifest.Parse(path.Join(manifest.FunctionsDir, filepath.Base(w.Dir), manifest.FileName), data)
	if err != nil {
		return err
	}
	if err := f.Validate(nil); err != nil {
		return &InvalidError{err}
	}
	if w.Project == "" {
		return nil
	}
	environments, err := manifest.LoadEnvironments(os.DirFS(w.Project))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, env := range environments {
		app, err := project.App(w.Project, env.Name)
		if err != nil {
			continue // not synthesized yet: the synthesis checks it
		}
		if err := manifest.Check([]manifest.Function{f}, names.New(app, env.Name)); err != nil {
			return invalidf("in environment %q: %w", env.Name, err)
		}
	}
	return nil
}

// write writes the files into the function's folder, which holds those that are
// there, and the new module's. It leaves nothing behind if it fails.
func (w *WrittenFunction) write(files map[string][]byte, there []string, goMod *newModule) (err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range slices.Backward(undo) {
				f()
			}
		}
	}()
	if goMod != nil {
		if goMod.file == filepath.Join(w.Dir, "go.mod") {
			files["go.mod"] = goMod.data
		} else {
			if err := writeNew(goMod.file, goMod.data); err != nil {
				return err
			}
			undo = append(undo, func() { os.Remove(goMod.file) })
			w.Made = append(w.Made, goMod.file)
		}
	}
	// The manifest is last: without one a folder holds no function.
	order := slices.DeleteFunc(slices.Sorted(maps.Keys(files)), func(name string) bool { return name == manifest.FileName })
	var made []string
	for _, name := range append(order, manifest.FileName) {
		if file := filepath.Join(w.Dir, name); slices.Contains(there, name) {
			w.Kept = append(w.Kept, file)
		} else {
			made = append(made, name)
			w.Made = append(w.Made, file)
		}
	}

	// A folder that is there may be somebody's working directory, and stays. A
	// new one is made beside the others and moved to its place as a whole.
	into := w.Dir
	if _, err := os.Stat(w.Dir); errors.Is(err, fs.ErrNotExist) {
		var missing []string
		at := filepath.Dir(w.Dir)
		for ; !exists(at, ""); at = filepath.Dir(at) {
			missing = append(missing, at)
		}
		for _, dir := range slices.Backward(missing) {
			if err := os.Mkdir(dir, 0o777); err != nil {
				return err
			}
			undo = append(undo, func() { os.Remove(dir) })
		}
		if w.Project != "" {
			at = w.Project // what is in the folder of functions is a function
		}
		into = filepath.Join(at, ".penstock-new-"+rand.Text())
		if err := os.Mkdir(into, 0o777); err != nil {
			return err
		}
		undo = append(undo, func() { os.RemoveAll(into) })
	}
	for _, name := range made {
		file := filepath.Join(into, name)
		if err := writeNew(file, files[name]); err != nil {
			return err
		}
		undo = append(undo, func() { os.Remove(file) })
	}
	if into == w.Dir {
		return nil
	}
	return os.Rename(into, w.Dir)
}

// writeNew writes a file that must not be there.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
