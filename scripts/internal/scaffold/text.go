package scaffold

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"golang.org/x/tools/go/ast/astutil"

	"github.com/penstock-dev/penstock/events"
)

// texts are those of one new event type.
type texts struct {
	root   string
	home   *sourcePackage
	goType string
	event  events.Type
}

// declaration is the file with the struct.
func (t texts) declaration() (File, error) {
	source := "Source"
	if !t.home.new && t.home.constants["Source"] != t.event.Source {
		source = strconv.Quote(t.event.Source)
	}
	text := func(events string) string {
		return fmt.Sprintf(`// %[1]s: say what happened, in one sentence. It is the description that
// everybody reads who may receive the event.
type %[1]s struct {
	// ID names what it happened to. Put the event's own fields here: each with
	// a comment, a name in JSON, and a value in Sample%[1]s.
	ID string `+"`json:\"id\"`"+`
}

// EventType implements [%[2]s.Event].
func (%[1]s) EventType() %[2]s.Type {
	return %[2]s.Type{Source: %[3]s, Name: %[4]q}
}

// Schema implements [%[2]s.Event].
func (%[1]s) Schema() %[2]s.Event { return Sample%[1]s() }
`, t.goType, events, source, t.event.Name)
	}
	if !t.home.new {
		return t.appended(t.home.file(), eventsPath, text)
	}
	return formatted(File{Path: path.Join(t.home.dir, t.home.name+".go"), New: true, data: fmt.Appendf(nil, `// Package %[1]s holds the events of the %[2]s module: say what it does.
package %[1]s

import "%[3]s"

// Source is the module's name on the bus.
const Source = %[2]q

%[4]s`, t.home.name, t.event.Source, eventsPath, text("events"))})
}

// sample is the file with the sample.
func (t texts) sample() (File, error) {
	text := fmt.Sprintf(`// Sample%[1]s returns an event with a value for every field, changed by
// edit. It is the type's schema sample, and the factory for tests.
func Sample%[1]s(edit ...func(*%[1]s)) %[1]s {
	sample := %[1]s{
		ID: "%[2]s-1",
	}
	for _, e := range edit {
		e(&sample)
	}
	return sample
}
`, t.goType, t.event.Source)
	file := path.Join(t.home.dir, "samples.go")
	if t.home.new || !exists(t.root, file) {
		return formatted(File{Path: file, New: true, data: []byte("package " + t.home.name + "\n\n" + text)})
	}
	return t.appended(file, "", func(string) string { return text })
}

// appended is a file with declarations at its end, and otherwise as it is. If
// they need an import then text is given its name, and the file has it.
func (t texts) appended(name, needs string, text func(imported string) string) (File, error) {
	data, err := os.ReadFile(filepath.Join(t.root, filepath.FromSlash(name)))
	if err != nil {
		return File{}, err
	}
	imported := ""
	if needs != "" {
		if data, imported, err = withImport(name, data, needs, path.Base(needs)); err != nil {
			return File{}, err
		}
	}
	data = append(bytes.TrimRight(data, "\n"), "\n\n"+text(imported)...)
	_, err = parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
	return File{Path: name, data: data}, err
}

// withImport returns a file's text with an import, and the name that the file
// knows it by. A text that has the import is returned as it is. base is the
// imported package's own name.
func withImport(name string, data []byte, importPath, base string) ([]byte, string, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, "", err
	}
	taken := map[string]bool{}
	for _, spec := range file.Imports {
		known := importName(spec)
		if imported, _ := strconv.Unquote(spec.Path.Value); imported == importPath && known != "_" && known != "." {
			if spec.Name == nil {
				known = base
			}
			return data, known, nil
		}
		taken[known] = true
	}
	alias, known := "", base
	if taken[base] || path.Base(importPath) != base {
		for alias = base; taken[alias]; alias += "events" {
		}
		known = alias
	}
	astutil.AddNamedImport(fset, file, alias, importPath)
	var out bytes.Buffer
	if err := format.Node(&out, fset, file); err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	return out.Bytes(), known, nil
}

// importName is the name by which a file knows an import: that of the last
// part of its path, if it gives it no other.
func importName(spec *ast.ImportSpec) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	importPath, _ := strconv.Unquote(spec.Path.Value)
	return path.Base(importPath)
}
