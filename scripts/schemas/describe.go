package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"
	"golang.org/x/mod/modfile"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/infra/manifest"
)

// bus is all that the files tell of.
type bus struct {
	sources      []*module
	functions    []manifest.Function
	metadata     *jsonschema.Schema
	metadataText []byte
	own          bool // the project is Penstock itself
}

// module is a source with its event types.
type module struct {
	name        string
	types       []*described
	definitions jsonschema.Definitions // all that the types' schemas have
	names       *names
}

// metadataFile is what package schema embeds.
const metadataFile = "events/schema/metadata.schema.json"

// describe reads everything that the files are made from.
func describe(root fs.FS, c *events.Catalogue) (*bus, error) {
	metadataType := reflect.TypeFor[events.Metadata]()
	packages := map[string]bool{metadataType.PkgPath(): true}
	for d := range c.All() {
		for t := range allTypes(reflect.TypeOf(d.Sample)) {
			if t.Name() != "" && t.PkgPath() != "" {
				packages[t.PkgPath()] = true
			}
		}
	}
	read, err := readSources(slices.Sorted(maps.Keys(packages)))
	if err != nil {
		return nil, err
	}
	b := &bus{}
	if b.functions, err = manifest.Load(root); err != nil {
		return nil, err
	}
	if b.own, err = isPenstock(root, metadataType.PkgPath()); err != nil {
		return nil, err
	}
	own := newNames()
	own.add(metadataType)
	if b.metadata, err = newDescriber(read, own).root(metadataType); err != nil {
		return nil, err
	}
	if b.metadataText, err = encodeSchema(b.metadata); err != nil {
		return nil, err
	}
	for d := range c.All() {
		if last := len(b.sources) - 1; last < 0 || b.sources[last].name != d.Type.Source {
			b.sources = append(b.sources, &module{name: d.Type.Source})
		}
		m := b.sources[len(b.sources)-1]
		m.types = append(m.types, &described{Description: d})
	}
	for _, m := range b.sources {
		if err := m.describe(read); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// describe makes the schemas of a source's types.
func (m *module) describe(read sources) error {
	m.names, m.definitions = newNames(), jsonschema.Definitions{}
	d := newDescriber(read, m.names)
	// The events' names count first, then those of their own packages.
	for _, e := range m.types {
		m.names.add(reflect.TypeOf(e.Sample))
	}
	for _, own := range []bool{true, false} {
		for _, e := range m.types {
			event := reflect.TypeOf(e.Sample)
			for t := range allTypes(event) {
				if d.isDefined(t) && (t.PkgPath() == event.PkgPath()) == own {
					m.names.add(t)
				}
			}
		}
	}
	for _, e := range m.types {
		if err := e.describe(d); err != nil {
			return fmt.Errorf("event type %s: %w", e.Type, err)
		}
		maps.Copy(m.definitions, e.schema.Definitions)
	}
	return nil
}

// describe makes the schema and the sample of a type.
func (e *described) describe(d *describer) error {
	t := reflect.TypeOf(e.Sample)
	e.name = d.names.of[t]
	s, err := d.root(t)
	if err != nil {
		return err
	}
	var sample bytes.Buffer
	encoder := json.NewEncoder(&sample)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(e.Sample); err != nil {
		return fmt.Errorf("the sample: %w", err)
	}
	e.sample = sample.Bytes()
	s.Examples = []any{json.RawMessage(e.sample)}
	if e.Code != 0 {
		s.Extras = map[string]any{codeKeyword: e.Code}
	}
	e.schema = s
	e.text, err = encodeSchema(s)
	return err
}

// isPenstock reports whether the project at root is the module that defines
// the metadata.
func isPenstock(root fs.FS, metadataPackage string) (bool, error) {
	data, err := fs.ReadFile(root, "go.mod")
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && path.Join(modfile.ModulePath(data), "events") == metadataPackage, err
}

// publishers are the functions that may publish a type, by name.
func (b *bus) publishers(t events.Type) []string {
	var names []string
	for _, f := range b.functions {
		if slices.Contains(f.Publishes, t.String()) {
			names = append(names, f.Name)
		}
	}
	return names
}

// subscription is a function's subscription.
type subscription struct {
	function string
	manifest.Subscription
}

// subscribers are the subscriptions to a type.
func (b *bus) subscribers(t events.Type) []subscription {
	var all []subscription
	for _, f := range b.functions {
		for _, s := range f.Subscriptions {
			if s.Event == t.String() {
				all = append(all, subscription{f.Name, s})
			}
		}
	}
	return all
}
