package compat_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/compat"
)

// set makes the schemas of some files, by type.
func set(t testing.TB, files map[string]string) *schema.Set {
	t.Helper()
	fs := fstest.MapFS{}
	for eventType, text := range files {
		fs[eventType+".schema.json"] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.Load(fs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// compare writes what Compare says of two versions of one type, without its
// name.
func compare(t testing.TB, old, new string) string {
	t.Helper()
	const name = "shop/ORDER"
	changes, err := compat.Compare(set(t, map[string]string{name: old}), set(t, map[string]string{name: new}))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range changes {
		lines = append(lines, strings.Replace(c.String(), ": "+name, "", 1))
	}
	return strings.Join(lines, "\n")
}

// object is a schema of fields, of which those are required whose name ends in
// "!".
func object(fields ...string) string {
	var properties, required []string
	for i := 0; i < len(fields); i += 2 {
		name, must := strings.CutSuffix(fields[i], "!")
		properties = append(properties, fmt.Sprintf("%q: %s", name, fields[i+1]))
		if must {
			required = append(required, fmt.Sprintf("%q", name))
		}
	}
	return fmt.Sprintf(`{"type": "object", "properties": {%s}, "required": [%s]}`, strings.Join(properties, ", "), strings.Join(required, ", "))
}

const (
	text       = `{"type": "string"}`
	integer    = `{"type": "integer"}`
	number     = `{"type": "number"}`
	textOrNull = `{"type": ["string", "null"]}`
	anyOfNull  = `{"anyOf": [{"type": "string"}, {"type": "null"}]}`
)

func TestChangesOfAField(t *testing.T) {
	for _, c := range []struct {
		what, old, new string // of the field "f"
		want           string // after "f: ", of both directions if there is a "|"
	}{
		{"nothing", text, text, ""},
		{"for people only", text, `{"type": "string", "title": "T", "description": "D", "examples": ["e"], "default": "e", "deprecated": true, "$comment": "c"}`, "|"},
		{"null", textOrNull, text, "breaking: may no longer be null|note: may be null now"},
		{"null as anyOf", anyOfNull, text, "breaking: may no longer be null|note: may be null now"},
		{"two ways to say null", anyOfNull, textOrNull, "|"},
		{"an enum that has null", `{"enum": ["a", null]}`, `{"enum": ["a"], "type": "string"}`, "breaking: may no longer be null|note: may be null now"},
		{"number and integer", number, integer, "breaking: type narrowed from number to integer|note: type widened from integer to number"},
		{"another type", text, number, "breaking: type changed from string to number|breaking: type changed from number to string"},
		{"another type, null aside", textOrNull, `{"type": ["boolean", "null"]}`, "breaking: type changed from string to boolean|breaking: type changed from boolean to string"},
		{"one of two types", `{"type": ["string", "boolean"]}`, text, "breaking: type narrowed from string or boolean to string|note: type widened from string to string or boolean"},
		{"an enum's values", `{"type": "string", "enum": ["A", "B", "C"]}`, `{"type": "string", "enum": ["C", "A", "D"]}`,
			"breaking: enum value removed: \"B\"\nnote: enum value added: \"D\"|breaking: enum value removed: \"D\"\nnote: enum value added: \"B\""},
		{"an enum", text, `{"type": "string", "enum": ["A"]}`, "breaking: is limited to \"A\" now|note: is no longer limited to \"A\""},
		{"const is an enum of one", `{"const": "A"}`, `{"type": "string", "enum": ["A"]}`, "|"},
		{"minimum", number, `{"type": "number", "minimum": 0}`, "breaking: minimum is 0 now|note: minimum 0 is gone"},
		{"a minimum raised", `{"type": "number", "minimum": 0}`, `{"type": "number", "minimum": 0.5}`, "breaking: minimum was 0 and is 0.5|note: minimum was 0.5 and is 0"},
		{"a maximum lowered", `{"type": "string", "maxLength": 10}`, `{"type": "string", "maxLength": 5}`, "breaking: maxLength was 10 and is 5|note: maxLength was 5 and is 10"},
		{"a least size that says nothing", text, `{"type": "string", "minLength": 0}`, "|"},
		{"multipleOf", number, `{"type": "number", "multipleOf": 2}`, "breaking: multipleOf was none and is 2|note: multipleOf 2 is gone"},
		{"multipleOf a divisor", `{"type": "number", "multipleOf": 4}`, `{"type": "number", "multipleOf": 2}`, "note: multipleOf was 4 and is 2|breaking: multipleOf was 2 and is 4"},
		{"a pattern", text, `{"type": "string", "pattern": "^a"}`, "breaking: pattern was none and is ^a|note: pattern ^a is gone"},
		{"a format", `{"type": "string", "format": "uuid"}`, `{"type": "string", "format": "email"}`, "breaking: format was uuid and is email|breaking: format was email and is uuid"},
		{"an encoding", text, `{"type": "string", "contentEncoding": "base64"}`, "breaking: contentEncoding was none and is base64|breaking: contentEncoding was base64 and is none"},
		{"uniqueItems", `{"type": "array"}`, `{"type": "array", "uniqueItems": true}`, "breaking: its elements must be different from each other now|note: its elements need no longer be different from each other"},
		{"another keyword", `{"not": {"const": 1}}`, `{"not": {"const": 2}}`, "breaking: not changed, and whether that allows less cannot be told|breaking: not changed, and whether that allows less cannot be told"},
		{"an extension", text, `{"type": "string", "x-order": 1}`, "|"},
		{"everything", `true`, text, "breaking: may no longer be null\nbreaking: type narrowed from anything to string|note: may be null now\nnote: type widened from string to anything"},
		{"nothing at all", text, `false`, "breaking: nothing is allowed any more|note: is allowed, which it was not"},
		{"a form", `{"oneOf": [{"type": "string"}, {"type": "array"}]}`, `{"oneOf": [{"type": "string"}, {"type": "object"}]}`,
			"breaking: form 2 of 2 is no longer allowed as it was\nnote: form 2 of 2 is new|breaking: form 2 of 2 is no longer allowed as it was\nnote: form 2 of 2 is new"},
		{"forms in another order", `{"oneOf": [{"type": "string"}, {"type": "array"}]}`, `{"oneOf": [{"type": "array"}, {"type": "string"}]}`, "|"},
		{"a form more", `{"anyOf": [{"type": "string"}, {"type": "array"}]}`, `{"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "boolean"}]}`, "note: form 3 of 3 is new|breaking: form 3 of 3 is no longer allowed as it was"},
		{"a form wider", `{"anyOf": [{"type": "integer"}, {"type": "string"}]}`, `{"anyOf": [{"type": "number"}, {"type": "string"}]}`, "|breaking: form 1 of 2 is no longer allowed as it was\nnote: form 1 of 2 is new"},
		{"two types instead of alternatives", `{"anyOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]}`, `{"type": ["string", "integer", "null"]}`, "|"},
		{"one form instead of alternatives", `{"anyOf": [{"type": "integer"}, {"type": "string"}]}`, `{"type": "string"}`, "breaking: form 1 of 2 is no longer allowed as it was|note: form 1 of 2 is new"},
	} {
		t.Run(c.what, func(t *testing.T) {
			there, back, both := strings.Cut(c.want, "|")
			check := func(old, new, want string) {
				t.Helper()
				var lines []string
				for line := range strings.Lines(want) {
					lines = append(lines, strings.Replace(line, ": ", ": f: ", 1))
				}
				if got, want := compare(t, object("f!", old), object("f!", new)), strings.Join(lines, ""); got != want {
					t.Errorf("from %s to %s\ngot  %s\nwant %s", old, new, got, want)
				}
			}
			check(c.old, c.new, there)
			if both {
				check(c.new, c.old, back)
			}
		})
	}
}

func TestChangesOfWhatThereIs(t *testing.T) {
	for _, c := range []struct{ what, old, new, want string }{
		{"a field removed", object("a!", text, "b", text), object("a!", text), "breaking: b: removed"},
		{"an optional field added", object("a!", text), object("a!", text, "b", text), "addition: b: added"},
		{"a required field added", object("a!", text), object("a!", text, "b!", text), "note: b: added and required: events that are already on their way do not have it (omitempty makes it optional)"},
		{"optional made required", object("a", text), object("a!", text), "breaking: a: was optional and is required"},
		{"required made optional", object("a!", text), object("a", text), "note: a: was required and is optional"},
		{"renamed", object("a!", text), object("A", text), "addition: A: added\nbreaking: a: removed"},
		{"in an object", object("a!", object("b!", textOrNull, "c", text)), object("a!", object("b!", text)), "breaking: a.b: may no longer be null\nbreaking: a.c: removed"},
		{"in a list", object("a!", `{"type": "array", "items": `+object("b!", number)+`}`), object("a!", `{"type": "array", "items": `+object("b!", integer)+`}`),
			"breaking: a[].b: type narrowed from number to integer"},
		{"of a list's elements", object("a!", `{"type": "array"}`), object("a!", `{"type": "array", "items": `+text+`}`), "breaking: a[]: was anything, and is limited now"},
		{"in a map", object("a!", `{"type": "object", "additionalProperties": `+number+`}`), object("a!", `{"type": "object", "additionalProperties": `+integer+`}`),
			"breaking: a.*: type narrowed from number to integer"},
		{"an object closed", object("a!", `{"type": "object"}`), object("a!", `{"type": "object", "additionalProperties": false}`), "breaking: a: other fields are no longer allowed"},
		{"an object opened", object("a!", `{"type": "object", "additionalProperties": false}`), object("a!", `{"type": "object", "additionalProperties": true}`), "note: a.*: is anything now"},
		{"a number", `{"x-code": 1000}`, `{"x-code": 1001}`, "breaking: the type's number was 1000 and is 1001"},
		{"a number gone", `{"x-code": 1000}`, `{}`, "breaking: the type's number 1000 is gone"},
		{"a number given", `{}`, `{"x-code": 1000}`, "addition: the type has the number 1000"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := compare(t, c.old, c.new); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestAReferenceIsWhatItRefersTo(t *testing.T) {
	old := `{"type": "object", "properties": {
		"one":  {"$ref": "#/$defs/Part"},
		"null": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]},
		"list": {"type": "array", "items": {"$ref": "#/$defs/Part"}}},
		"$defs": {"Part": ` + object("n!", number) + `}}`
	new := `{"type": "object", "properties": {
		"one":  {"$ref": "#/$defs/Renamed", "description": "beside"},
		"null": {"$ref": "#/$defs/Renamed"},
		"list": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/Renamed"}]}}},
		"$defs": {"Renamed": ` + object("n!", integer) + `}}`
	const want = `breaking: list[].n: type narrowed from number to integer
breaking: null: may no longer be null
breaking: null.n: type narrowed from number to integer
breaking: one.n: type narrowed from number to integer`
	if got := compare(t, old, new); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestATypeMayContainItself(t *testing.T) {
	tree := func(value string) string {
		return `{"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": {
			"value": ` + value + `, "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}}}}`
	}
	if got := compare(t, tree(number), tree(integer)); got != "breaking: value: type narrowed from number to integer" {
		t.Errorf("got %s", got)
	}
}

func TestTypesComeAndGo(t *testing.T) {
	changes, err := compat.Compare(
		set(t, map[string]string{"shop/OLD": `{}`, "shop/SAME": `{}`}),
		set(t, map[string]string{"shop/SAME": `{}`, "shop/NEW": `{}`}),
	)
	if got := fmt.Sprint(changes); err != nil || got != "[addition: shop/NEW: a new type breaking: shop/OLD: the type is gone]" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWhatIsNoSchemaIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                               "shop/ORDER.schema.json",
		`[]`:                              "a schema is an object",
		`{"$ref": "#/$defs/Gone"}`:        `there is no "$defs"`,
		`{"$ref": "other.json"}`:          "not within the file",
		`{"$ref": "#"}`:                   "leads back to itself",
		`{"properties": {"a": "string"}}`: "a schema is an object",
	} {
		_, err := compat.Compare(set(t, map[string]string{"shop/ORDER": `{"properties": {"a": {}}}`}), set(t, map[string]string{"shop/ORDER": text}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestTheSuccessorOfATypeIsItsNextVersion(t *testing.T) {
	for name, want := range map[string]string{"FEE_CHARGED": "FEE_CHARGED.v2", "FEE_CHARGED.v2": "FEE_CHARGED.v3", "X.v9": "X.v10"} {
		if got := compat.Successor(events.Type{Source: "savings", Name: name}); got.Name != want || got.Source != "savings" {
			t.Errorf("after %s: %s, want %s", name, got, want)
		}
	}
}
