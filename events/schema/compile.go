package schema

import (
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/penstock-dev/penstock/events"
)

// Schema is a JSON Schema that belongs to no event type. It is safe for
// concurrent use. Only [Compile] makes one.
type Schema struct{ compiled *jsonschema.Schema }

// Compile reads a JSON Schema, of draft 2020-12 unless it says otherwise.
// Formats are asserted, and what it refers to is in it.
func Compile(definition []byte) (*Schema, error) {
	compiled, err := compile("schema", definition, false)
	if err == nil {
		return &Schema{compiled}, nil
	}
	var found *jsonschema.ValidationError
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok && errors.As(invalid.Err, &found) {
		value, _ := decode(definition) // it has been read before
		return nil, fmt.Errorf("not a JSON Schema: %w", newError(events.Type{}, value, nil, found))
	}
	return nil, err
}

// Validate reports how a JSON value violates the schema: an [*Error] without a
// type.
func (s *Schema) Validate(data []byte) error { return validate(events.Type{}, s.compiled, data) }

// validate holds data against a compiled schema.
func validate(t events.Type, compiled *jsonschema.Schema, data []byte) error {
	value, err := decode(data)
	if err != nil {
		var v Violation
		if errors.As(err, &v) {
			return &Error{Type: t, Violations: []Violation{v}}
		}
		return &Error{Type: t, Violations: []Violation{{Reason: "is not JSON: " + err.Error()}}}
	}
	err = compiled.Validate(value)
	var found *jsonschema.ValidationError
	if err == nil || !errors.As(err, &found) {
		return err
	}
	return newError(t, value, compiled, found)
}
