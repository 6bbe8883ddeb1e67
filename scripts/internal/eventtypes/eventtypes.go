// Package eventtypes is what commands need of a project's event types besides
// package schema: names as people write them, data as they give it, and events
// of a type that is known by name only.
package eventtypes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
)

// SampleFile is the path, in the project, of a type's sample: the data of an
// event that has a value for every field.
func SampleFile(t events.Type) string { return path.Join(schema.Dir, schema.SampleFile(t)) }

// Types are a project's event types, known from the files under schemas/.
type Types struct{ *schema.Set }

// Load finds the types of the project at root, which may be none.
func Load(root fs.FS) (*Types, error) {
	set, err := schema.LoadProject(root)
	if err != nil {
		return nil, err
	}
	return &Types{set}, nil
}

// Names returns the types as people write them, sorted.
func (t *Types) Names() []string {
	var names []string
	for _, one := range t.Types() {
		names = append(names, one.String())
	}
	return names
}

// Find returns the type that a person means by source/NAME, or by a NAME that
// only one source has. Its error is a misuse that offers the nearest names.
func (t *Types) Find(name string) (events.Type, error) {
	if !strings.Contains(name, "/") {
		return t.findBare(name)
	}
	found, err := t.Set.Find(name)
	return found, misuse(err)
}

// findBare finds a type by its name without the source.
func (t *Types) findBare(name string) (events.Type, error) {
	var bare []string
	full := map[string][]string{} // by bare name
	for _, one := range t.Types() {
		if full[one.Name] == nil {
			bare = append(bare, one.Name)
		}
		full[one.Name] = append(full[one.Name], one.String())
	}
	switch same := full[name]; {
	case len(same) == 1:
		return events.ParseType(same[0])
	case len(same) > 1:
		return events.Type{}, cli.Misusef("event type %q is more than one: say %s", name, strings.Join(same, " or "))
	}
	// A name alone is compared with names: a source would be distance.
	unknown := &schema.UnknownError{Name: name, None: len(bare) == 0}
	for _, near := range schema.Nearest(name, bare) {
		unknown.Near = append(unknown.Near, full[near][0])
	}
	if len(unknown.Near) == 0 && !unknown.None {
		return events.Type{}, cli.Unknown("event type", name, t.Names())
	}
	return events.Type{}, misuse(unknown)
}

// misuse makes an unknown name a misuse, unless there is no type at all.
func misuse(err error) error {
	if unknown, ok := errors.AsType[*schema.UnknownError](err); ok && !unknown.None {
		return cli.Misuse{Err: err}
	}
	return err
}

// Sample returns the data of a sample event, as it stands in its file.
func (t *Types) Sample(of events.Type) ([]byte, error) {
	data, err := t.Set.Sample(of)
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
	Code int // the type's number, 0 if it has none
	Data json.RawMessage
}

// EventType implements [events.Event].
func (r Raw) EventType() events.Type { return r.Type }

// EventCode implements [events.Coded].
func (r Raw) EventCode() int { return r.Code }

// Schema implements [events.Event].
func (r Raw) Schema() events.Event { return r }

// MarshalJSON returns the data.
func (r Raw) MarshalJSON() ([]byte, error) { return r.Data.MarshalJSON() }
