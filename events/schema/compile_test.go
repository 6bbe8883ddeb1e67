package schema

import (
	"strings"
	"testing"
)

func TestASchemaOfNoEventTypeNamesThePathOfAViolation(t *testing.T) {
	s, err := Compile([]byte(`{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}}, "$defs": {"line": {"properties": {"price": {"minimum": 0}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{
		`{"id": "a"}`: "",
		`{"lines": [{"price": 1}, {"price": -2}]}`: "id is required; lines[1].price must be at least 0 (got -2)",
		`[]`: "the data must be an object (got a list)",
		`{"id": 12345678901234567890, "lines": []}`: "id must be a string (got 12345678901234567890)",
	} {
		got := ""
		if err := s.Validate([]byte(data)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}

func TestWhatIsNoSchemaIsRefused(t *testing.T) {
	for definition, want := range map[string]string{
		`{"type": "text"}`:                  `not a JSON Schema: type must be "array", "boolean"`,
		`{"$ref": "https://example.org/x"}`: "a schema may not refer to https://example.org/x",
		`{"type": `:                         "unexpected EOF",
	} {
		if _, err := Compile([]byte(definition)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", definition, err, want)
		}
	}
}
