// Package eventtypes knows a project's event types from the files under
// schemas/, and from nothing else: a command that is installed once serves the
// types of every project.
package eventtypes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// Dir is the folder of all types in a project.
const Dir = "schemas"

// SampleSuffix ends the name of a file that holds a sample.
const SampleSuffix = ".sample.json"

// SampleFile is the path, in the project, of a type's sample: the data of an
// event that has a value for every field.
func SampleFile(t events.Type) string { return path.Join(Dir, t.Source, t.Name+SampleSuffix) }

// Types are a project's event types. They are only read, so that several
// goroutines may.
type Types struct {
	root fs.FS
	all  []events.Type
}

// Load finds the types of the project at root, which may be none. Samples are
// not read yet.
func Load(root fs.FS) (*Types, error) {
	files, err := fs.Glob(root, path.Join(Dir, "*", "*"+SampleSuffix))
	if err != nil {
		return nil, err
	}
	types := &Types{root: root}
	for _, file := range files {
		t := events.Type{Source: path.Base(path.Dir(file)), Name: strings.TrimSuffix(path.Base(file), SampleSuffix)}
		if err := t.Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		types.all = append(types.all, t)
	}
	slices.SortFunc(types.all, func(a, b events.Type) int { return cmp.Compare(a.String(), b.String()) })
	return types, nil
}

// All returns the types, sorted by source and name.
func (t *Types) All() []events.Type { return slices.Clone(t.all) }

// Names returns the types as people write them, sorted.
func (t *Types) Names() []string {
	names := make([]string, len(t.all))
	for i, one := range t.all {
		names[i] = one.String()
	}
	return names
}

// Find returns the type that a person means by source/NAME, or by a NAME that
// only one source has. Its error is a misuse that offers the nearest names.
func (t *Types) Find(name string) (events.Type, error) {
	if len(t.all) == 0 {
		return events.Type{}, fmt.Errorf("no event type %q: the project has no file %s: go generate ./... makes them", name, path.Join(Dir, "<source>", "<NAME>"+SampleSuffix))
	}
	var same []string
	for _, one := range t.all {
		if one.String() == name {
			return one, nil
		}
		if one.Name == name {
			same = append(same, one.String())
		}
	}
	switch len(same) {
	case 0:
		known := t.Names()
		if !strings.Contains(name, "/") {
			// A name alone is compared with names: a source would be distance.
			byName := map[string]string{}
			var bare []string
			for _, one := range t.all {
				if byName[one.Name] == "" {
					bare = append(bare, one.Name)
				}
				byName[one.Name] = one.String()
			}
			if near := cli.Nearest(name, bare); len(near) > 0 {
				for i, n := range near {
					near[i] = byName[n]
				}
				return events.Type{}, cli.Misusef("no event type %q: did you mean %s?", name, strings.Join(near, " or "))
			}
		}
		return events.Type{}, cli.Unknown("event type", name, known)
	case 1:
		return events.ParseType(same[0])
	}
	return events.Type{}, cli.Misusef("event type %q is more than one: say %s", name, strings.Join(same, " or "))
}

// Sample returns the data of a sample event, as it stands in its file.
func (t *Types) Sample(of events.Type) ([]byte, error) {
	data, err := fs.ReadFile(t.root, SampleFile(of))
	if err != nil {
		return nil, err
	}
	if _, err := decode(data); err != nil {
		return nil, fmt.Errorf("%s: %w", SampleFile(of), err)
	}
	return data, nil
}

// decode reads an event's data, which is one JSON object. Numbers keep their
// digits.
func decode(data []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("want one JSON object, the event's data: %w", err)
	}
	if object == nil {
		return nil, errors.New("want one JSON object, the event's data, and got null")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one JSON object, the event's data, and got more behind it")
	}
	return object, nil
}

// Raw is an event of a type that is known by name only. Its data is sent as it
// is.
type Raw struct {
	Type events.Type
	Data json.RawMessage
}

// EventType implements [events.Event].
func (r Raw) EventType() events.Type { return r.Type }

// Schema implements [events.Event].
func (r Raw) Schema() events.Event { return r }

// MarshalJSON returns the data.
func (r Raw) MarshalJSON() ([]byte, error) { return r.Data.MarshalJSON() }
