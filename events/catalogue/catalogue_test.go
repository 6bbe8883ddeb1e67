package catalogue_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/catalogue"
)

const root = "github.com/penstock-dev/penstock/events"

// TestEveryEventTypeIsInTheCatalogue looks at the source: a type that is
// missing in the catalogue cannot be found by running it.
func TestEveryEventTypeIsInTheCatalogue(t *testing.T) {
	described := map[string]bool{} // by Go type
	for d := range catalogue.All.All() {
		goType := reflect.TypeOf(d.Sample)
		described[goType.PkgPath()+"."+goType.Name()] = true
	}

	compiled := compiledPackages(t)
	eventsPackage, err := compiled.Import(root)
	if err != nil {
		t.Fatal(err)
	}
	event := eventsPackage.Scope().Lookup("Event").Type().Underlying().(*types.Interface)
	found := 0
	for _, p := range sourcePackages(t, compiled) {
		for _, name := range p.Scope().Names() {
			typeName, ok := p.Scope().Lookup(name).(*types.TypeName)
			if !ok || types.IsInterface(typeName.Type()) {
				continue
			}
			if !types.Implements(typeName.Type(), event) {
				if types.Implements(types.NewPointer(typeName.Type()), event) {
					t.Errorf("%s.%s: an event is implemented with value receivers", p.Path(), name)
				}
				continue
			}
			found++
			if !described[p.Path()+"."+name] {
				t.Errorf("%s.%s is an event type and not in the catalogue: add events.Describe[%s.%s]() to catalogue.All", p.Path(), name, p.Name(), name)
			}
		}
	}
	if found < len(described) {
		t.Errorf("found %d event types in the source, and the catalogue has %d", found, len(described))
	}
}

// compiledPackages imports what the compiler made of the packages under events
// and of what they import.
func compiledPackages(t *testing.T) types.Importer {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", root+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	})
}

// sourcePackages type-checks the packages below events. They are read here, not
// taken from compiledPackages, so that go test knows on which files its result
// depends, and because a compiled package does not show its unexported types.
func sourcePackages(t *testing.T, imports types.Importer) []*types.Package {
	t.Helper()
	fset := token.NewFileSet()
	sources := map[string][]*ast.File{} // by import path
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		dir := filepath.ToSlash(filepath.Dir(path))
		if err != nil || dir == ".." || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err // package events itself has the interface and Envelope, which wraps an event
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		importPath := root + strings.TrimPrefix(dir, "..")
		sources[importPath] = append(sources[importPath], file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var packages []*types.Package
	for path, files := range sources {
		p, err := (&types.Config{Importer: imports}).Check(path, fset, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	return packages
}

func TestEverySampleIsComplete(t *testing.T) {
	for d := range catalogue.All.All() {
		t.Run(d.Type.String(), func(t *testing.T) {
			for _, path := range empty(reflect.ValueOf(d.Sample), "") {
				t.Errorf("the sample has no value for %s", strings.TrimPrefix(path, "."))
			}
		})
	}
}

// empty returns the paths of what has no value in v.
func empty(v reflect.Value, path string) []string {
	var paths []string
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return empty(v.Elem(), path)
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array || v.Kind() == reflect.Map:
		if v.Len() == 0 {
			return []string{path}
		}
		if v.Kind() == reflect.Map {
			for _, key := range v.MapKeys() {
				paths = append(paths, empty(v.MapIndex(key), fmt.Sprintf("%s[%v]", path, key))...)
			}
			return paths
		}
		for i := range v.Len() {
			paths = append(paths, empty(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case v.Kind() == reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() { // time.Time and its like have none
				paths = append(paths, empty(value, path+"."+field.Name)...)
			}
		}
	}
	return paths
}

func TestEverySampleComesBackFromJSONAsItWas(t *testing.T) {
	for d := range catalogue.All.All() {
		t.Run(d.Type.String(), func(t *testing.T) {
			text, err := json.Marshal(d.Sample)
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.New(reflect.TypeOf(d.Sample))
			if err := json.Unmarshal(text, got.Interface()); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Elem().Interface(), any(d.Sample)) {
				t.Errorf("got %+v, want %+v", got.Elem(), d.Sample)
			}
		})
	}
}

func TestEverySampleIsOfItsOwnType(t *testing.T) {
	for d := range catalogue.All.All() {
		zero := reflect.Zero(reflect.TypeOf(d.Sample)).Interface().(events.Event)
		if zero.EventType() != d.Type {
			t.Errorf("%T is %s, and its zero value %s", d.Sample, d.Type, zero.EventType())
		}
		if again := d.Sample.Schema(); reflect.TypeOf(again) != reflect.TypeOf(d.Sample) {
			t.Errorf("the sample of %T is a %T", d.Sample, again)
		}
	}
}
