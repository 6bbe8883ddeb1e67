package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/events"
)

// Detail returns the JSON Schema of a type's whole detail on the bus, which is
// what a subscription's filter looks at: {"metadata": …, "data": …}. The
// definitions that the data refers to stand in its own $defs.
func (s *Set) Detail(t events.Type) ([]byte, error) {
	file, err := s.Schema(t)
	if err != nil {
		return nil, err
	}
	data, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	meta, err := parse(metadata)
	if err != nil {
		return nil, fmt.Errorf("metadata.schema.json: %w", err)
	}
	_ = meta.take("$defs") // there are none, see the test
	_, _ = meta.take("$schema"), meta.take("$id")
	dialect, definitions := data.take("$schema"), data.take("$defs")
	_ = data.take("$id")
	var detail members
	if dialect != nil {
		detail.put("$schema", dialect)
	}
	detail.put("title", quote(t.String()))
	detail.put("type", quote("object"))
	detail.put("properties", (&members{{"metadata", meta.json()}, {"data", data.json()}}).json())
	detail.put("required", jsontext.Value(`["metadata","data"]`))
	if definitions != nil {
		detail.put("$defs", definitions)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, detail.json(), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func quote(s string) jsontext.Value {
	text, _ := jsontext.AppendQuote(nil, s) // invalid UTF-8 is replaced
	return text
}

// members are the members of a JSON object, in their order.
type members []member

type member struct {
	name  string
	value jsontext.Value
}

// parse reads a schema, which is an object for an event type.
func parse(data []byte) (*members, error) {
	if value, err := decode(data); err != nil { // bounds its depth
		return nil, err
	} else if _, ok := value.(map[string]any); !ok {
		return nil, errors.New("the schema of an event's data must be a JSON object")
	}
	var m members
	if err := jsonv2.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	return &m, nil
}

// UnmarshalJSONFrom reads an object.
func (m *members) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if kind := d.PeekKind(); kind != '{' {
		return fmt.Errorf("want an object, not %s", kind)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		*m = append(*m, member{text, value.Clone()})
	}
	_, err := d.ReadToken()
	return err
}

// take removes a member, and returns its value; nil if there is none.
func (m *members) take(name string) jsontext.Value {
	for i, one := range *m {
		if one.name == name {
			*m = append((*m)[:i:i], (*m)[i+1:]...)
			return one.value
		}
	}
	return nil
}

// put sets a member.
func (m *members) put(name string, value jsontext.Value) {
	for i, one := range *m {
		if one.name == name {
			(*m)[i].value = value
			return
		}
	}
	*m = append(*m, member{name, value})
}

func (m *members) json() jsontext.Value {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range *m {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(one.name))
		b.WriteByte(':')
		b.Write(one.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}
