// Package schema knows event types from the files under schemas/, and from
// nothing else: what reads it serves the types of every project, without
// compiling them in.
//
//	schemas/<source>/<NAME>.schema.json   a JSON Schema of the event's data
//	schemas/<source>/<NAME>.sample.json   the data of a sample event
//
// The files are generated from the Go types; `go generate ./...` makes them.
package schema

import (
	"bytes"
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

const (
	schemaSuffix = ".schema.json"
	sampleSuffix = ".sample.json"
)

// File is the path, within [Dir], of a type's JSON Schema.
func File(t events.Type) string { return path.Join(t.Source, t.Name+schemaSuffix) }

// SampleFile is the path, within [Dir], of a type's sample.
func SampleFile(t events.Type) string { return path.Join(t.Source, t.Name+sampleSuffix) }

// Set is the event types of a project. Its methods may be called from several
// goroutines. A schema is read when it is first used.
type Set struct {
	files fs.FS
	types []events.Type

	mu       sync.Mutex
	compiled map[events.Type]*jsonschema.Schema
}

// Load finds the event types that have a schema among the files of a schemas
// folder: os.DirFS("schemas"), or the FS that is generated into it. There may
// be none.
func Load(files fs.FS) (*Set, error) {
	found, err := fs.Glob(files, "*/*"+schemaSuffix)
	if err != nil {
		return nil, err
	}
	set := &Set{files: files, compiled: map[events.Type]*jsonschema.Schema{}}
	for _, file := range found {
		t := events.Type{Source: path.Dir(file), Name: strings.TrimSuffix(path.Base(file), schemaSuffix)}
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(Dir, file), err)
		}
		set.types = append(set.types, t)
	}
	slices.SortFunc(set.types, func(a, b events.Type) int { return cmp.Compare(a.String(), b.String()) })
	return set, nil
}

// Types returns the event types, sorted by source and name.
func (s *Set) Types() []events.Type { return slices.Clone(s.types) }

// Has reports whether there is a schema for a type.
func (s *Set) Has(t events.Type) bool { return slices.Contains(s.types, t) }

// Schema returns the JSON Schema of a type's data, as it stands in its file.
func (s *Set) Schema(t events.Type) ([]byte, error) { return fs.ReadFile(s.files, File(t)) }

// Sample returns the data of a sample event, as it stands in its file.
func (s *Set) Sample(t events.Type) ([]byte, error) { return fs.ReadFile(s.files, SampleFile(t)) }

// Validate reports how data, one JSON value, violates the schema of its type.
func (s *Set) Validate(t events.Type, data []byte) error {
	compiled, err := s.compile(t)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("event %s: %w", t, err)
	}
	if err := compiled.Validate(value); err != nil {
		return fmt.Errorf("event %s: %w", t, err)
	}
	return nil
}

func (s *Set) compile(t events.Type) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if compiled, ok := s.compiled[t]; ok {
		return compiled, nil
	}
	data, err := s.Schema(t)
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(File(t), document); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	compiled, err := c.Compile(File(t))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	s.compiled[t] = compiled
	return compiled, nil
}
