// Package schema knows event types from the files under schemas/, and from
// nothing else: what reads it serves the types of every project, without
// compiling them in.
//
//	schemas/<source>/<NAME>.schema.json   a JSON Schema of the event's data
//	schemas/<source>/<NAME>.sample.json   the data of a sample event
//
// The files are generated from the Go types; `go generate ./...` makes them. A
// schema is open: a field that it does not name is allowed, so that a type may
// gain fields under its consumers.
//
// Nothing but these files is ever read: a schema that refers to another file or
// to an address is an error.
package schema

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/penstock-dev/penstock/events"
)

// Dir is the folder of all schemas in a project.
const Dir = "schemas"

// Suffix is what the name of a type's schema has behind the type's own.
const Suffix = ".schema.json"

const sampleSuffix = ".sample.json"

// File is the path, within [Dir], of a type's JSON Schema.
func File(t events.Type) string { return path.Join(t.Source, t.Name+Suffix) }

// SampleFile is the path, within [Dir], of a type's sample.
func SampleFile(t events.Type) string { return path.Join(t.Source, t.Name+sampleSuffix) }

// Set is the event types of a project. Its methods may be called from several
// goroutines. A schema is read when it is first used.
type Set struct {
	files fs.FS
	types []events.Type // sorted
	known map[events.Type]bool

	mu       sync.Mutex
	compiled map[compilation]*jsonschema.Schema
}

// compilation names a compiled schema: that of a type, as it is or closed.
type compilation struct {
	events.Type
	closed bool
}

// Load finds the event types that have a schema among the files of a schemas
// folder: os.DirFS("schemas"), or the FS that is generated into it. There may
// be none.
func Load(files fs.FS) (*Set, error) {
	found, err := fs.Glob(files, "*/*"+Suffix)
	if err != nil {
		return nil, err
	}
	set := &Set{files: files, known: map[events.Type]bool{}, compiled: map[compilation]*jsonschema.Schema{}}
	for _, file := range found {
		t := events.Type{Source: path.Dir(file), Name: strings.TrimSuffix(path.Base(file), Suffix)}
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(Dir, file), err)
		}
		set.types = append(set.types, t)
		set.known[t] = true
	}
	slices.SortFunc(set.types, func(a, b events.Type) int { return cmp.Compare(a.String(), b.String()) })
	return set, nil
}

// LoadProject is Load for the folder [Dir] of the project at root.
func LoadProject(root fs.FS) (*Set, error) {
	files, err := fs.Sub(root, Dir)
	if err != nil {
		return nil, err
	}
	return Load(files)
}

// Types returns the event types, sorted by source and name.
func (s *Set) Types() []events.Type { return slices.Clone(s.types) }

// Has reports whether there is a schema for a type.
func (s *Set) Has(t events.Type) bool { return s.known[t] }

// Find returns the type that is written "source/NAME", or an [*UnknownError].
func (s *Set) Find(name string) (events.Type, error) {
	if t, err := events.ParseType(name); err == nil && s.Has(t) {
		return t, nil
	}
	names := make([]string, len(s.types))
	for i, t := range s.types {
		names[i] = t.String()
	}
	return events.Type{}, &UnknownError{Name: name, Near: Nearest(name, names), None: len(names) == 0}
}

// UnknownError is an event type that has no schema.
type UnknownError struct {
	Name string
	Near []string // the names of up to three types that are most like it
	None bool     // there is no type at all
}

func (e *UnknownError) Error() string {
	if e.None {
		return fmt.Sprintf("no event type %q: there is no file %s: `go generate ./...` makes them", e.Name, path.Join(Dir, "<source>", "<NAME>"+Suffix))
	}
	if len(e.Near) > 0 {
		return fmt.Sprintf("no event type %q: did you mean %s?", e.Name, strings.Join(e.Near, " or "))
	}
	return fmt.Sprintf("no event type %q: there is no file %s", e.Name, path.Join(Dir, e.Name+Suffix))
}

// Schema returns the JSON Schema of a type's data, as it stands in its file.
func (s *Set) Schema(t events.Type) ([]byte, error) { return s.read(t, File(t)) }

// Sample returns the data of a sample event, as it stands in its file.
func (s *Set) Sample(t events.Type) ([]byte, error) { return s.read(t, SampleFile(t)) }

func (s *Set) read(t events.Type, file string) ([]byte, error) {
	if !s.Has(t) {
		_, err := s.Find(t.String())
		return nil, err
	}
	data, err := fs.ReadFile(s.files, file)
	if err != nil {
		return nil, fmt.Errorf("event %s: %s: %w", t, path.Join(Dir, file), err)
	}
	return data, nil
}
