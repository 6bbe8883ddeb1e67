package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// sources are the packages that define the types of events, by import path:
// what reflection does not tell of them.
type sources map[string]*source

// source is what a package's source says of its types.
type source struct {
	standard  bool                    // it is one of Go's own packages
	docs      map[string]string       // by Type, and by Type.Field
	constants map[string][]namedValue // by type, in the order of the source
}

// namedValue is an exported constant of a named type.
type namedValue struct {
	name, doc string
	value     constant.Value
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string
	Standard          bool
}

// readSources reads packages wherever they are: in this module, in one that it
// requires, vendored. Only `go list` knows where that is. It must be run within
// the module.
func readSources(importPaths []string) (sources, error) {
	args := append([]string{"list", "-find", "-json=ImportPath,Dir,GoFiles,CgoFiles,Standard", "--"}, importPaths...)
	out, err := exec.Command("go", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s", bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("go list finds the source of event types (they must be in packages that can be imported): %w", err)
	}
	all := sources{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		if all[p.ImportPath], err = readSource(p); err != nil {
			return nil, err
		}
	}
}

// readSource parses a package. Its constants are evaluated without what it
// imports, which is quick: a constant that depends on another package has no
// value, and is an error only where it matters.
func readSource(p listed) (*source, error) {
	s := &source{standard: p.Standard, docs: map[string]string{}, constants: map[string][]namedValue{}}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range append(p.GoFiles, p.CgoFiles...) {
		file, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	if s.standard {
		s.readDocs(files, nil)
		return s, nil
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{
		Importer:         noImports{},
		IgnoreFuncBodies: true,
		FakeImportC:      true,
		Error:            func(error) {}, // for what is imported; the compiler has passed the rest
	}
	_, _ = config.Check(p.ImportPath, fset, files, info)
	s.readDocs(files, info)
	return s, nil
}

type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not read", path)
}

func (s *source) readDocs(files []*ast.File, info *types.Info) {
	for _, file := range files {
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					doc := text(spec.Doc, spec.Comment)
					if doc == "" && !decl.Lparen.IsValid() {
						doc = text(decl.Doc)
					}
					s.docs[spec.Name.Name] = doc
					s.readFields(spec.Name.Name, spec.Type)
				case *ast.ValueSpec:
					if decl.Tok == token.CONST && info != nil {
						s.readConstants(spec, info)
					}
				}
			}
		}
	}
}

func (s *source) readFields(typeName string, expr ast.Expr) {
	structure, ok := expr.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		for _, name := range field.Names {
			s.docs[typeName+"."+name.Name] = text(field.Doc, field.Comment)
		}
	}
}

func (s *source) readConstants(spec *ast.ValueSpec, info *types.Info) {
	for _, name := range spec.Names {
		object, ok := info.Defs[name].(*types.Const)
		if !ok || !object.Exported() {
			continue
		}
		named, ok := object.Type().(*types.Named)
		if !ok || named.Obj().Pkg() != object.Pkg() {
			continue
		}
		typeName := named.Obj().Name()
		s.constants[typeName] = append(s.constants[typeName], namedValue{name.Name, text(spec.Doc, spec.Comment), object.Val()})
	}
}

// text is the first comment that says something, as plain text: a paragraph is
// one line, and links have no brackets.
func text(comments ...*ast.CommentGroup) string {
	for _, c := range comments {
		if c == nil || c.Text() == "" {
			continue
		}
		parsed := docParser.Parse(c.Text())
		return strings.TrimSpace(string((&comment.Printer{TextWidth: -1}).Text(parsed)))
	}
	return ""
}

// docParser takes every [Name] for a link, since none is looked up.
var docParser = comment.Parser{
	LookupSym:     func(string, string) bool { return true },
	LookupPackage: func(name string) (string, bool) { return name, true },
}

// wrapped is a description as a comment of lines that begin with prefix.
func wrapped(description, prefix string, width int) string {
	if description == "" {
		return ""
	}
	return string((&comment.Printer{TextPrefix: prefix, TextWidth: width}).Text((&comment.Parser{}).Parse(description)))
}
