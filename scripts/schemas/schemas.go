// Package schemas writes the files under schemas/, from the event types of a
// catalogue. They are what everything but the publisher's own code knows of an
// event type: the manifests' validation, the command, the CDK app and the
// pipelines read them, and other teams do.
//
//	schemas/<source>/<NAME>.schema.json   a JSON Schema (2020-12) of the event's data
//	schemas/<source>/<NAME>.sample.json   the data of a sample event
//	schemas/<source>/<NAME>.d.ts          the same as TypeScript
//	schemas/<source>/<source>.go          the same as Go, all of a source, to copy
//	schemas/asyncapi.yaml                 the bus, its events and who uses them (AsyncAPI 3.0)
//	schemas/README.md                     a catalogue to read
//	schemas/schemas.go                    the schemas and samples, embedded, for validation at run time
//
// The JSON Schema is made from the Go type and its comments, and everything else
// from the JSON Schema, so that all say the same. It says what encoding/json
// does with the type:
//
//   - A field without omitempty or omitzero is required. A pointer, slice or map
//     is null when nil, unless it is left out then.
//   - A named string or whole number with exported constants in its package is
//     an enum of these; a constant must not depend on another package's.
//   - time.Time is a date-time, []byte base64, and a type that has MarshalText a
//     string.
//   - A field's tag may say more, as in `jsonschema:"minimum=0"`: minimum,
//     maximum, exclusiveMinimum, exclusiveMaximum and multipleOf of numbers;
//     minLength, maxLength, pattern and format of strings; minItems, maxItems
//     and uniqueItems of lists, besides those of the elements; enum, title and
//     description. A comma within a value is written \\,.
//
// What has no form that every reader can rely on, such as a type that has
// MarshalJSON, is an error that names the field.
//
// A project has a program of one line that calls [Main] with its catalogue, and
// `go generate ./...` runs it.
package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// Command is the one command that makes all files anew.
const Command = "go generate ./..."

// Main writes the files of the project that the working directory is in, and
// ends the program with status 1 if it cannot.
func Main(c *events.Catalogue) {
	root, err := project.Root()
	if err == nil {
		err = Write(root, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "schemas:", err)
		os.Exit(1)
	}
}

// Files returns the files of a catalogue, by their path in the project at root,
// whose manifests say which functions publish and receive which type. The same
// project gives the same bytes. The working directory must be in the module
// that compiles the catalogue, whose packages are read for their comments.
func Files(root fs.FS, c *events.Catalogue) (map[string][]byte, error) {
	p, err := describe(root, c)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, s := range p.sources {
		for _, e := range s.types {
			files[path.Join(schema.Dir, schema.File(e.Type))] = e.text
			files[path.Join(schema.Dir, schema.SampleFile(e.Type))] = e.sample
			files[path.Join(schema.Dir, e.Type.Source, e.Type.Name+typescriptSuffix)] = typescript(p, e)
		}
		if files[path.Join(schema.Dir, s.name, s.name+".go")], err = goFile(p, s); err != nil {
			return nil, fmt.Errorf("source %s: %w", s.name, err)
		}
	}
	if files[path.Join(schema.Dir, asyncapiFile)], err = asyncAPI(p); err != nil {
		return nil, err
	}
	if files[path.Join(schema.Dir, readmeFile)], err = readme(p, files); err != nil {
		return nil, err
	}
	files[path.Join(schema.Dir, embedFile)] = embedded(p)
	if p.own {
		files[metadataFile] = p.metadataText
	}
	return files, distinct(files)
}

// distinct reports files that would be one where case makes no difference, and
// a file that would be a folder: sources and types named like files of ours.
func distinct(files map[string][]byte) error {
	names := slices.Sorted(maps.Keys(files))
	taken := map[string]string{}
	for _, name := range names {
		folded := strings.ToLower(name)
		if other, ok := taken[folded]; ok {
			return fmt.Errorf("%s and %s are one file where case makes no difference: rename an event type", other, name)
		}
		taken[folded] = name
	}
	for _, name := range names {
		if other, ok := taken[strings.ToLower(path.Dir(name))]; ok {
			return fmt.Errorf("%s is both a file and the folder of %s: rename the source", other, name)
		}
	}
	return nil
}

// Write makes the files under the project's root those of the catalogue. It
// leaves alone what is right already, and removes files of types that the
// catalogue no longer has.
func Write(root string, c *events.Catalogue) error {
	files, err := Files(os.DirFS(root), c)
	if err != nil {
		return err
	}
	stale, err := compare(os.DirFS(root), files)
	if err != nil {
		return err
	}
	for _, name := range stale {
		file := filepath.Join(root, filepath.FromSlash(name))
		data, wanted := files[name]
		if !wanted {
			if err := os.Remove(file); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(file)) // if nothing else is in it
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Stale returns the files of the project at root that are not as the catalogue
// says: missing, different, or of a type that it does not have. They are
// sorted; none if all are current.
func Stale(root fs.FS, c *events.Catalogue) ([]string, error) {
	files, err := Files(root, c)
	if err != nil {
		return nil, err
	}
	return compare(root, files)
}

func compare(root fs.FS, files map[string][]byte) ([]string, error) {
	stale := map[string]bool{}
	for name, want := range files {
		got, err := fs.ReadFile(root, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !bytes.Equal(got, want) {
			stale[name] = true
		}
	}
	there, err := fs.Glob(root, path.Join(schema.Dir, "*", "*"))
	if err != nil {
		return nil, err
	}
	for _, name := range there {
		if files[name] != nil {
			continue
		}
		if ours, err := generated(root, name); err != nil {
			return nil, err
		} else if ours {
			stale[name] = true
		}
	}
	return slices.Sorted(maps.Keys(stale)), nil
}

// generated reports whether a file in a source's folder is one that the
// generator makes: JSON by its name, source by its first line as well.
func generated(root fs.FS, name string) (bool, error) {
	source := path.Base(path.Dir(name))
	switch base := path.Base(name); {
	case strings.HasSuffix(base, schemaSuffix), strings.HasSuffix(base, sampleSuffix):
		return true, nil
	case strings.HasSuffix(base, typescriptSuffix), base == source+".go":
		data, err := fs.ReadFile(root, name)
		return bytes.HasPrefix(data, []byte(generatedLine)), err
	}
	return false, nil
}

// generatedLine begins every file of source code, as Go's tools know it.
const generatedLine = "// Code generated from the event types by go generate; DO NOT EDIT.\n"

const (
	schemaSuffix = ".schema.json"
	sampleSuffix = ".sample.json"
)
