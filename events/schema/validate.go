package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/penstock-dev/penstock/events"
)

// Validate reports how data, one JSON value, violates the schema of its type.
// Formats are asserted: a field of format date-time holds one.
//
// The error is an [*Error] for data that is at fault, an [*UnknownError] for a
// type that has no schema, and else says what is wrong with the schema.
func (s *Set) Validate(t events.Type, data []byte) error { return s.validate(t, data, false) }

// ValidateStrict is Validate for data that a person has written. A field that
// the schema does not name is a violation, too: an open schema would let an
// optional field pass that is misspelt.
func (s *Set) ValidateStrict(t events.Type, data []byte) error { return s.validate(t, data, true) }

func (s *Set) validate(t events.Type, data []byte, closed bool) error {
	compiled, err := s.compile(t, closed)
	if err != nil {
		return err
	}
	if err := validate(t, compiled, data); err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return err
		}
		return fmt.Errorf("event %s: %w", t, err)
	}
	return nil
}

func (s *Set) compile(t events.Type, closed bool) (*jsonschema.Schema, error) {
	key := compilation{t, closed}
	s.mu.Lock()
	defer s.mu.Unlock()
	if compiled, ok := s.compiled[key]; ok {
		return compiled, nil
	}
	data, err := s.Schema(t)
	if err != nil {
		return nil, err
	}
	compiled, err := compile(File(t), data, closed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	s.compiled[key] = compiled
	return compiled, nil
}

// scheme is that of the addresses under which schemas are compiled, which
// nobody can load.
const scheme = "penstock:///"

func compile(file string, data []byte, closed bool) (*jsonschema.Schema, error) {
	document, err := decode(data)
	if err != nil {
		return nil, err
	}
	if closed {
		closeObjects(document)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.AssertContent()
	c.UseLoader(noLoader{})
	if err := c.AddResource(scheme+file, document); err != nil {
		return nil, err
	}
	return c.Compile(scheme + file)
}

// noLoader refuses every schema but the one that is compiled. (The library has
// those of JSON Schema itself built in.)
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("a schema may not refer to %s: only to its own $defs", url)
}

// closeObjects makes every object of a schema one that has no other fields than
// those that it names.
func closeObjects(schema any) {
	switch schema := schema.(type) {
	case []any:
		for _, one := range schema {
			closeObjects(one)
		}
	case map[string]any:
		_, named := schema["properties"]
		_, matched := schema["patternProperties"]
		_, said := schema["additionalProperties"]
		if named && !matched && !said {
			schema["additionalProperties"] = false
		}
		for _, keyword := range []string{"items", "prefixItems", "additionalProperties", "anyOf", "oneOf", "allOf"} {
			closeObjects(schema[keyword])
		}
		for _, keyword := range []string{"properties", "patternProperties", "$defs"} {
			byName, _ := schema[keyword].(map[string]any)
			for _, one := range byName {
				closeObjects(one)
			}
		}
	}
}

// What a value may be at most. A schema that refers to itself is walked as deep
// as the data goes, and numbers are compared exactly, whatever their size.
const (
	maxDepth    = 500
	maxDigits   = 400 // characters of a number
	maxExponent = 400 // beyond ±308 nothing fits a float64
)

// decode reads one JSON value, whose numbers keep their digits. What a value
// may not be is a Violation.
func decode(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	if v, ok := excess(value, nil); ok {
		return nil, v
	}
	return value, nil
}

// excess finds what of a value is too deep or too large a number.
func excess(value any, at []step) (Violation, bool) {
	if len(at) > maxDepth {
		return Violation{pathOf(at), fmt.Sprintf("is nested deeper than %d", maxDepth)}, true
	}
	switch value := value.(type) {
	case map[string]any:
		for name, one := range value {
			if v, ok := excess(one, append(at, step{name: name})); ok {
				return v, true
			}
		}
	case []any:
		for i, one := range value {
			if v, ok := excess(one, append(at, step{index: i, element: true})); ok {
				return v, true
			}
		}
	case json.Number:
		if !reasonable(string(value)) {
			return Violation{pathOf(at), "is too large or too long a number" + got(value)}, true
		}
	}
	return Violation{}, false
}

func reasonable(number string) bool {
	if len(number) > maxDigits {
		return false
	}
	i := strings.IndexAny(number, "eE")
	if i < 0 {
		return true
	}
	exponent, err := strconv.Atoi(number[i+1:])
	return err == nil && exponent >= -maxExponent && exponent <= maxExponent
}
