package schemastest

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// eventsPath is the package that says what an event is.
const eventsPath = "github.com/penstock-dev/penstock/events"

// declaration is a Go type in the source that implements events.Event by a
// method of its own. (What only embeds an event is another's.)
type declaration struct {
	path, pkg, name string // of the package, its name, the type's
	at              string // file:line, in the project
}

func (d declaration) fault(format string, args ...any) string {
	return fmt.Sprintf("%s: %s.%s ", d.at, d.pkg, d.name) + fmt.Sprintf(format, args...)
}

// find returns the event types that the project's source declares, and what is
// wrong with how they are declared.
func find(root string, patterns []string) ([]declaration, []string, error) {
	if err := dependOn(root, patterns); err != nil {
		return nil, nil, err
	}
	candidates, err := importers(root, patterns)
	if err != nil || len(candidates) == 0 {
		return nil, nil, err
	}
	loaded, err := load(root, packages.NeedName|packages.NeedFiles|packages.NeedCompiledGoFiles|packages.NeedImports|
		packages.NeedTypes|packages.NeedTypesSizes|packages.NeedSyntax|packages.NeedTypesInfo, candidates)
	if err != nil {
		return nil, nil, err
	}
	var declared []declaration
	var faults []string
	for _, p := range loaded {
		for _, name := range p.Types.Scope().Names() {
			typeName, ok := p.Types.Scope().Lookup(name).(*types.TypeName)
			if !ok || typeName.IsAlias() || types.IsInterface(typeName.Type()) {
				continue
			}
			d := declaration{p.PkgPath, p.Name, name, position(root, p.Fset, typeName.Pos())}
			event, found := d.examine(p, typeName.Type())
			if event {
				declared = append(declared, d)
			}
			faults = append(faults, found...)
		}
	}
	return declared, faults, nil
}

// importers returns the packages of the patterns that import package events:
// only these can say what an event's type is. To type-check the others would
// only take time.
func importers(root string, patterns []string) ([]string, error) {
	all, err := load(root, packages.NeedName|packages.NeedFiles|packages.NeedImports, patterns)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no package matches %s in %s", strings.Join(patterns, " "), root)
	}
	var paths []string
	for _, p := range all {
		if p.Imports[eventsPath] != nil && p.PkgPath != eventsPath && !strings.HasSuffix(p.Name, "test") {
			paths = append(paths, p.PkgPath)
		}
	}
	return paths, nil
}

func load(root string, mode packages.LoadMode, patterns []string) ([]*packages.Package, error) {
	loaded, err := packages.Load(&packages.Config{Mode: mode, Dir: root}, patterns...)
	if err != nil {
		return nil, fmt.Errorf("reading the source of %s: %w", strings.Join(patterns, " "), err)
	}
	var faults []error
	for _, p := range loaded {
		for _, err := range p.Errors {
			faults = append(faults, err)
		}
	}
	slices.SortFunc(loaded, func(a, b *packages.Package) int { return cmp.Compare(a.PkgPath, b.PkgPath) })
	return loaded, errors.Join(faults...)
}

// examine reports whether a type is an event, and what is wrong with it if it
// is meant to be one.
func (d declaration) examine(p *packages.Package, t types.Type) (event bool, faults []string) {
	pointer := types.NewMethodSet(types.NewPointer(t))
	eventType := pointer.Lookup(p.Types, "EventType")
	schema := pointer.Lookup(p.Types, "Schema")
	if eventType == nil || len(eventType.Index()) > 1 || !returns(eventType, eventsPath, "Type") ||
		schema == nil || !returns(schema, eventsPath, "Event") {
		return false, nil
	}
	if _, isStruct := t.Underlying().(*types.Struct); !isStruct {
		return false, []string{d.fault("is an event type, and no struct: an event is a struct, whose exported fields are its data")}
	}
	value := types.NewMethodSet(t)
	for _, method := range []string{"EventType", "Schema", "EventCode"} {
		if pointer.Lookup(p.Types, method) != nil && value.Lookup(p.Types, method) == nil {
			faults = append(faults, d.fault("has %s with a pointer receiver: an event has value receivers, func (%s) %s", method, d.name, method))
		}
	}
	if len(faults) > 0 {
		return false, faults
	}
	if !constantType(p, d.name) {
		faults = append(faults, d.fault("has an EventType that is not constant: it must be one return of an events.Type literal whose Source and Name are constants"))
	}
	if code := value.Lookup(p.Types, "EventCode"); code != nil && len(code.Index()) == 1 {
		if result := onlyResult(declarationOf(p, d.name, "EventCode")); result == nil || p.TypesInfo.Types[result].Value == nil {
			faults = append(faults, d.fault("has an EventCode that is not constant: it must be one return of a constant"))
		}
	}
	return true, faults
}

// returns reports whether a method takes nothing and returns one value of a
// named type. Names are compared, so that it does not matter how a package was
// read.
func returns(method *types.Selection, path, name string) bool {
	signature := method.Type().(*types.Signature)
	if signature.Params().Len() != 0 || signature.Results().Len() != 1 {
		return false
	}
	named, ok := types.Unalias(signature.Results().At(0).Type()).(*types.Named)
	return ok && named.Obj().Name() == name && named.Obj().Pkg() != nil && named.Obj().Pkg().Path() == path
}

// constantType reports whether a type's EventType is one return of a literal
// made of constants.
func constantType(p *packages.Package, typeName string) bool {
	result := onlyResult(declarationOf(p, typeName, "EventType"))
	if result == nil {
		return false
	}
	literal, ok := ast.Unparen(result).(*ast.CompositeLit)
	if !ok {
		return false
	}
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			element = pair.Value
		}
		if p.TypesInfo.Types[element].Value == nil {
			return false
		}
	}
	return true
}

// declarationOf finds a method in a package's source.
func declarationOf(p *packages.Package, typeName, method string) *ast.FuncDecl {
	for _, file := range p.Syntax {
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if ok && f.Recv != nil && f.Name.Name == method && receiver(f) == typeName {
				return f
			}
		}
	}
	return nil
}

func receiver(f *ast.FuncDecl) string {
	t := ast.Unparen(f.Recv.List[0].Type)
	for {
		switch at := t.(type) {
		case *ast.StarExpr:
			t = at.X
		case *ast.IndexExpr:
			t = at.X
		case *ast.IndexListExpr:
			t = at.X
		case *ast.Ident:
			return at.Name
		default:
			return ""
		}
	}
}

// onlyResult is what a function returns that does nothing else.
func onlyResult(f *ast.FuncDecl) ast.Expr {
	if f == nil || f.Body == nil || len(f.Body.List) != 1 {
		return nil
	}
	r, ok := f.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(r.Results) != 1 {
		return nil
	}
	return r.Results[0]
}

func position(root string, fset *token.FileSet, pos token.Pos) string {
	at := fset.Position(pos)
	if rel, err := filepath.Rel(root, at.Filename); err == nil {
		at.Filename = filepath.ToSlash(rel)
	}
	return fmt.Sprintf("%s:%d", at.Filename, at.Line)
}

// goType names a Go type as a declaration does. An instance of a generic type
// is named as the type.
func goType(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return t.PkgPath() + "." + name
}

// dependOn reads the folders in which the patterns look. The go command keeps
// a test's result until a file changes that the test itself has opened; what
// packages are there is found by another process, and a package that is added
// would not be noticed.
func dependOn(root string, patterns []string) error {
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, pattern := range patterns {
		folder := "." // a pattern that is no path may be anywhere in the module
		if strings.HasPrefix(pattern, "./") {
			folder = strings.TrimSuffix(pattern, "...")
		}
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(path.Clean(folder))), func(at string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			name := entry.Name()
			if at != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules") {
				return fs.SkipDir // where the go command does not look, or nobody keeps events
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
