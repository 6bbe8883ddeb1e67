package pattern

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A drawn is a schema, as JSON and as what makes values of it.
type drawn struct {
	schema map[string]any
	value  func(*rapid.T) any
}

var fieldNames = []string{"a", "b", "c"}

// drawSchema draws a schema of those that Check understands.
func drawSchema(t *rapid.T, depth int) drawn {
	kinds := []string{"string", "text of an enum", "number", "whole number", "boolean", "null"}
	if depth > 0 {
		kinds = append(kinds, "object", "object", "list", "map", "nullable", "either", "definition")
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		longest := rapid.IntRange(0, 3).Draw(t, "longest")
		return drawn{map[string]any{"type": "string", "maxLength": longest}, func(t *rapid.T) any {
			return rapid.StringOfN(rapid.SampledFrom([]rune("ab1")), 0, longest, -1).Draw(t, "text")
		}}
	case "text of an enum":
		values := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "ab", "b", "1"}), 1, 3, rapid.ID).Draw(t, "enum")
		return drawn{map[string]any{"type": "string", "enum": values}, func(t *rapid.T) any { return rapid.SampledFrom(values).Draw(t, "text") }}
	case "number", "whole number":
		low := rapid.IntRange(-3, 3).Draw(t, "low")
		high := low + rapid.IntRange(0, 3).Draw(t, "span")
		name, part := "number", 2
		if kind == "whole number" {
			name, part = "integer", 1
		}
		return drawn{map[string]any{"type": name, "minimum": low, "maximum": high}, func(t *rapid.T) any {
			return float64(rapid.IntRange(low*part, high*part).Draw(t, "number")) / float64(part)
		}}
	case "boolean":
		return drawn{map[string]any{"type": "boolean"}, func(t *rapid.T) any { return rapid.Bool().Draw(t, "bool") }}
	case "null":
		return drawn{map[string]any{"type": "null"}, func(*rapid.T) any { return nil }}
	case "list":
		element := drawSchema(t, depth-1)
		return drawn{map[string]any{"type": "array", "items": element.schema}, func(t *rapid.T) any {
			list := []any{}
			for range rapid.IntRange(0, 2).Draw(t, "length") {
				list = append(list, element.value(t))
			}
			return list
		}}
	case "map":
		element := drawSchema(t, depth-1)
		return drawn{map[string]any{"type": "object", "additionalProperties": element.schema}, func(t *rapid.T) any {
			object := map[string]any{}
			for _, name := range fieldNames {
				if rapid.Bool().Draw(t, "there") {
					object[name] = element.value(t)
				}
			}
			return object
		}}
	case "nullable", "either":
		one, other := drawSchema(t, depth-1), drawn{map[string]any{"type": "null"}, func(*rapid.T) any { return nil }}
		if kind == "either" {
			other = drawSchema(t, depth-1)
		}
		return drawn{map[string]any{"anyOf": []any{one.schema, other.schema}}, func(t *rapid.T) any {
			if rapid.Bool().Draw(t, "one") {
				return one.value(t)
			}
			return other.value(t)
		}}
	case "definition": // as $ref would, without the name
		inner := drawSchema(t, depth-1)
		return drawn{map[string]any{"allOf": []any{inner.schema, map[string]any{}}}, inner.value}
	}
	return drawObject(t, depth)
}

func drawObject(t *rapid.T, depth int) drawn {
	fields, properties, required := map[string]drawn{}, map[string]any{}, []string{}
	for _, name := range fieldNames {
		if rapid.Bool().Draw(t, "has") {
			fields[name] = drawSchema(t, depth-1)
			properties[name] = fields[name].schema
			if rapid.Bool().Draw(t, "required") {
				required = append(required, name)
			}
		}
	}
	return drawn{map[string]any{"type": "object", "properties": properties, "required": required}, func(t *rapid.T) any {
		object := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if slices.Contains(required, name) || rapid.Bool().Draw(t, "there") {
				object[name] = fields[name].value(t)
			}
		}
		return object
	}}
}

// drawPattern draws a pattern of one path and one entry.
func drawPattern(t *rapid.T) any {
	entry := rapid.SampledFrom([]any{
		"a", "ab", "b", "1", "abb", 0, 1, -1, 0.5, 4, true, false, nil,
		map[string]any{"exists": true}, map[string]any{"exists": false},
		map[string]any{"prefix": "a"}, map[string]any{"prefix": map[string]any{"equals-ignore-case": "B"}},
		map[string]any{"suffix": "b"}, map[string]any{"suffix": map[string]any{"equals-ignore-case": "AB"}},
		map[string]any{"equals-ignore-case": "AB"}, map[string]any{"wildcard": "a*b"}, map[string]any{"wildcard": "*1*"},
		map[string]any{"numeric": []any{">", 0}}, map[string]any{"numeric": []any{"<=", 1}}, map[string]any{"numeric": []any{">", 0, "<", 1}},
		map[string]any{"anything-but": "a"}, map[string]any{"anything-but": []any{"a", "ab"}}, map[string]any{"anything-but": 1},
		map[string]any{"anything-but": map[string]any{"prefix": "a"}}, map[string]any{"cidr": "10.0.0.0/8"},
	}).Draw(t, "entry")
	p := any([]any{entry})
	for range rapid.IntRange(1, 3).Draw(t, "depth") {
		p = map[string]any{rapid.SampledFrom(fieldNames).Draw(t, "name"): p}
	}
	return p
}

func TestWhatCheckRefusesNeverMatchesAnEventOfTheSchema(t *testing.T) {
	impossible := 0
	rapid.Check(t, func(t *rapid.T) {
		schema := drawObject(t, 3)
		text, err := json.Marshal(schema.schema)
		if err != nil {
			t.Fatal(err)
		}
		patternText, err := json.Marshal(drawPattern(t))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Parse(patternText)
		if err != nil {
			t.Fatal(err)
		}
		fault := p.Check(text)
		if fault == nil {
			return
		}
		// These two also have faults that make them match always.
		if also := strings.Contains(p.String(), "anything-but") || strings.Contains(p.String(), `"exists":false`); also && !strings.Contains(fault.Error(), "never matches") {
			return
		}
		impossible++
		for range 10 {
			event, err := json.Marshal(schema.value(t))
			if err != nil {
				t.Fatal(err)
			}
			if matches, err := p.Match(event); err != nil || matches {
				t.Fatalf("pattern %s is refused (%v) for the schema\n%s\nand matches (error %v)\n%s", p, fault, text, err, event)
			}
		}
	})
	if impossible == 0 {
		t.Error("no pattern was refused")
	}
	t.Logf("%d impossible patterns", impossible)
}

// What an event of the schema matches is not refused: the events are drawn first, and patterns made of their
// values.
func TestCheckAllowsEveryValueThatAnEventHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		schema := drawObject(t, 3)
		text, err := json.Marshal(schema.schema)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(schema.value(t))
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		for path, values := range e.values {
			for _, v := range values {
				p, err := Parse([]byte(`{"` + path + `": [` + v.json() + `]}`))
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Check(text); err != nil {
					t.Fatalf("event %s of the schema\n%s\nmatches %s: %v", data, text, p, err)
				}
			}
		}
	})
}
