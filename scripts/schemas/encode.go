package schemas

import (
	"bytes"
	"encoding/json"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/invopop/jsonschema"
)

// keywordOrder is the order of a schema's keywords in a file: what a person
// reads first stands first. The others come before it ends, as they are.
var keywordOrder = []string{"$schema", "title", "description", codeKeyword, "$ref", "type", "format", "enum", "properties", "required"}

// lastKeywords are the long ones.
var lastKeywords = []string{"$defs", "examples"}

// encodeSchema writes a schema as JSON.
func encodeSchema(s *jsonschema.Schema) ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := jsontext.NewEncoder(&out, jsontext.WithIndent("  "), jsontext.EscapeForHTML(false))
	if err := writeSchema(encoder, data); err != nil {
		return nil, err
	}
	return append(bytes.TrimRight(out.Bytes(), "\n"), '\n'), nil
}

// writeSchema writes a schema with its keywords in order.
func writeSchema(e *jsontext.Encoder, schema jsontext.Value) error {
	if schema.Kind() != '{' {
		return e.WriteValue(schema)
	}
	keywords, err := membersOf(schema)
	if err != nil {
		return err
	}
	slices.SortStableFunc(keywords, func(a, b member) int { return rank(a.name) - rank(b.name) })
	return writeObject(e, keywords, func(m member) error {
		switch m.name {
		case "properties", "$defs":
			named, err := membersOf(m.value)
			if err != nil {
				return err
			}
			return writeObject(e, named, func(m member) error { return writeSchema(e, m.value) })
		case "items", "additionalProperties", "propertyNames":
			return writeSchema(e, m.value)
		case "anyOf":
			var schemas []jsontext.Value
			if err := jsonv2.Unmarshal(m.value, &schemas); err != nil {
				return err
			}
			if err := e.WriteToken(jsontext.BeginArray); err != nil {
				return err
			}
			for _, one := range schemas {
				if err := writeSchema(e, one); err != nil {
					return err
				}
			}
			return e.WriteToken(jsontext.EndArray)
		}
		return e.WriteValue(m.value)
	})
}

func rank(keyword string) int {
	if i := slices.Index(keywordOrder, keyword); i >= 0 {
		return i
	}
	return len(keywordOrder) + 1 + slices.Index(lastKeywords, keyword)
}

// member is a member of a JSON object.
type member struct {
	name  string
	value jsontext.Value
}

// membersOf returns an object's members in their order.
func membersOf(object jsontext.Value) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	var members []member
	_, err := d.ReadToken() // {
	for err == nil && d.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err != nil {
			break
		}
		m := member{name: name.String()}
		var value jsontext.Value
		value, err = d.ReadValue()
		m.value = value.Clone()
		members = append(members, m)
	}
	return members, err
}

func writeObject(e *jsontext.Encoder, members []member, write func(member) error) error {
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, m := range members {
		if err := e.WriteToken(jsontext.String(m.name)); err != nil {
			return err
		}
		if err := write(m); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}
