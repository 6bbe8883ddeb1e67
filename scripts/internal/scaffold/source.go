package scaffold

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/events"
)

// eventsPath is the package that says what an event is.
const eventsPath = "github.com/penstock-dev/penstock/events"

// sourcePackage is a Go package that holds the event types of a source, or is
// about to.
type sourcePackage struct {
	dir  string // in the project, with slashes
	name string
	new  bool // it is not there yet

	constants   map[string]string // string constants, by name
	identifiers map[string]string // what the package declares, by name, and the file it is in
	types       []eventType
}

// eventType is a type that a package declares.
type eventType struct {
	events.Type
	file string // in the project, with slashes
}

// readPackage reads a package's declarations. Its tests' count too, where names
// are concerned.
func readPackage(root, dir string) (*sourcePackage, error) {
	p := &sourcePackage{dir: dir, constants: map[string]string{}, identifiers: map[string]string{}}
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		return nil, err
	}
	parsed := map[string]*ast.File{}
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		name := path.Join(dir, entry.Name())
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(file.Name.Name, "_test") {
			continue
		}
		p.name = file.Name.Name
		parsed[name] = file
		p.declarations(name, file)
	}
	for name, file := range parsed {
		p.eventTypes(name, file)
	}
	return p, nil
}

// declarations notes what a file declares.
func (p *sourcePackage) declarations(name string, file *ast.File) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				p.identifiers[d.Name.Name] = name
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					p.identifiers[spec.Name.Name] = name
				case *ast.ValueSpec:
					for i, id := range spec.Names {
						p.identifiers[id.Name] = name
						if d.Tok == token.CONST && i < len(spec.Values) {
							if text, ok := p.text(spec.Values[i]); ok {
								p.constants[id.Name] = text
							}
						}
					}
				}
			}
		}
	}
}

// eventTypes notes the types that a file's EventType methods return.
func (p *sourcePackage) eventTypes(name string, file *ast.File) {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv == nil || f.Name.Name != "EventType" || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			var t events.Type
			for i, element := range literal.Elts {
				field := &t.Source
				if pair, keyed := element.(*ast.KeyValueExpr); keyed {
					if id, ok := pair.Key.(*ast.Ident); ok && id.Name == "Name" {
						field = &t.Name
					}
					element = pair.Value
				} else if i == 1 {
					field = &t.Name
				}
				*field, _ = p.text(element)
			}
			p.types = append(p.types, eventType{t, name})
			return false
		})
	}
}

// text is the value of a string literal, or of a constant that is one.
func (p *sourcePackage) text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		text, ok := p.constants[e.Name]
		return text, ok
	}
	return "", false
}

// declares finds an event type in the package. Two types whose names differ
// only in case would be one file on some machines.
func (p *sourcePackage) declares(t events.Type) (file string, ok bool) {
	i := slices.IndexFunc(p.types, func(d eventType) bool { return strings.EqualFold(d.String(), t.String()) })
	if i < 0 {
		return "", false
	}
	return p.types[i].file, true
}

// of reports whether the package is that of a source.
func (p *sourcePackage) of(source string) bool {
	return p.constants["Source"] == source || slices.ContainsFunc(p.types, func(t eventType) bool { return t.Source == source })
}

// file is where the package's structs are: beside the source's name.
func (p *sourcePackage) file() string {
	if name, ok := p.identifiers["Source"]; ok {
		return name
	}
	if len(p.types) > 0 {
		return slices.MinFunc(p.types, func(a, b eventType) int { return strings.Compare(a.file, b.file) }).file
	}
	return path.Join(p.dir, p.name+".go")
}

// sourcePackages reads the packages that the catalogue imports, and those in
// folders beside its own.
func sourcePackages(root string, m module, c *catalogue) ([]*sourcePackage, error) {
	var dirs []string
	for _, imported := range c.file.Imports {
		importPath, _ := strconv.Unquote(imported.Path.Value)
		if dir, ok := m.folder(importPath); ok && exists(root, dir) && importPath != eventsPath {
			dirs = append(dirs, dir)
		}
	}
	beside := path.Dir(path.Dir(c.path))
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(beside)))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		dir := path.Join(beside, entry.Name())
		if entry.IsDir() && !slices.Contains(dirs, dir) && !strings.HasSuffix(entry.Name(), "test") {
			dirs = append(dirs, dir)
		}
	}
	var packages []*sourcePackage
	for _, dir := range dirs {
		p, err := readPackage(root, dir)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// homeOf is the package that a source's types go to: the one it has, or a new
// one beside the catalogue.
func homeOf(root string, packages []*sourcePackage, c *catalogue, source string) (*sourcePackage, error) {
	if i := slices.IndexFunc(packages, func(p *sourcePackage) bool { return p.of(source) }); i >= 0 {
		return packages[i], nil
	}
	name := packageName(source)
	dir := path.Join(path.Dir(path.Dir(c.path)), name)
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir)))
	switch {
	case err == nil:
		return nil, fmt.Errorf("source %q would have its types in %s, which is there and holds something else: give the package of the source a constant Source = %q, or choose another source", source, dir, source)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return &sourcePackage{dir: dir, name: name, new: true, identifiers: map[string]string{"Source": path.Join(dir, name+".go")}}, nil
}
