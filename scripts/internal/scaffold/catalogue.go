package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// catalogue is the file with a project's list of event types.
type catalogue struct {
	path   string // in the project, with slashes
	data   []byte
	file   *ast.File
	events string        // the name of the import of package events
	list   *ast.CallExpr // events.NewCatalogue(…)
	offset func(token.Pos) int
}

func readCatalogue(root, name string) (*catalogue, error) {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(`no catalogue at %s: say where it is with --catalogue, or make it:

	package catalogue

	import %q

	//go:generate go run …the program that calls schemas.Main(catalogue.All)

	var All = events.NewCatalogue()`, name, eventsPath)
	}
	if err != nil {
		return nil, err
	}
	return parseCatalogue(name, data)
}

func parseCatalogue(name string, data []byte) (*catalogue, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	c := &catalogue{path: name, data: data, file: file, offset: func(p token.Pos) int { return fset.Position(p).Offset }}
	for _, spec := range file.Imports {
		if importPath, _ := strconv.Unquote(spec.Path.Value); importPath == eventsPath {
			c.events = importName(spec)
		}
	}
	calls := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && c.calls(call.Fun, "NewCatalogue") {
			calls++
			c.list = call
		}
		return true
	})
	switch {
	case calls != 1:
		return nil, fmt.Errorf("%s: want one call of events.NewCatalogue, to which the type is added (found %d)", name, calls)
	case c.list.Ellipsis.IsValid():
		return nil, fmt.Errorf("%s: events.NewCatalogue is given a list of descriptions: a type can only be added to arguments, events.Describe[…]() for each", name)
	}
	return c, nil
}

// calls reports whether an expression is a function of package events.
func (c *catalogue) calls(e ast.Expr, function string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != function {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && c.events != "" && x.Name == c.events
}

// with returns the file's text with one type more, after the others of its
// package if there are any.
func (c *catalogue) with(importPath, pkg, goType string) ([]byte, error) {
	data, known, err := withImport(c.path, c.data, importPath, pkg)
	if err != nil {
		return nil, err
	}
	if c, err = parseCatalogue(c.path, data); err != nil {
		return nil, err
	}
	description := fmt.Sprintf("%s.Describe[%s.%s]()", c.events, known, goType)
	data = c.insert(description, known)
	_, err = parseCatalogue(c.path, data)
	return data, err
}

// insert puts a description on a line of its own, and leaves every other byte
// as it is.
func (c *catalogue) insert(description, pkg string) []byte {
	if len(c.list.Args) == 0 {
		at := c.offset(c.list.Lparen) + 1
		rest := bytes.TrimLeft(c.data[at:], " \t")
		if !bytes.HasPrefix(rest, []byte("\n")) {
			description += ",\n"
			rest = c.data[at:]
		} else {
			description += ","
		}
		return splice(c.data[:at], "\n\t"+description, rest)
	}
	after := c.list.Args[len(c.list.Args)-1]
	for _, argument := range c.list.Args {
		if c.describes(argument, pkg) {
			after = argument
		}
	}
	begin, end := c.offset(after.Pos()), c.offset(after.End())
	indent := c.data[bytes.LastIndexByte(c.data[:begin], '\n')+1 : begin]
	if len(bytes.TrimSpace(indent)) > 0 {
		indent = []byte("\t") // it is not the first on its line
	}
	line, _, _ := bytes.Cut(c.data[end:], []byte("\n"))
	rest, comma := strings.CutPrefix(strings.TrimSpace(string(line)), ",")
	rest = strings.TrimSpace(rest)
	if comma && (rest == "" || strings.HasPrefix(rest, "//")) {
		end += len(line) // past a comment, which is about the argument before
		return splice(c.data[:end], "\n"+string(indent)+description+",", c.data[end:])
	}
	return splice(c.data[:end], ",\n"+string(indent)+description, c.data[end:])
}

// describes reports whether an argument is a Describe of a package's type.
func (c *catalogue) describes(e ast.Expr, pkg string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	index, ok := call.Fun.(*ast.IndexExpr)
	if !ok || !c.calls(index.X, "Describe") {
		return false
	}
	selector, ok := index.Index.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func splice(before []byte, text string, after []byte) []byte {
	return []byte(string(before) + text + string(after))
}
