package schema

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/penstock-dev/penstock/events"
)

// Field is a field of an event type's data, for people.
type Field struct {
	// Path is the names with dots between them; behind a list stands [], and *
	// is any key of a map: "allocations[].quantity", "limits.*.amount".
	Path string `json:"path"`
	// Type is in plain words: "string", "whole number", "time", "list of
	// Allocation", "map of numbers", "anything".
	Type string `json:"type"`
	// Required says that every event has the field: within the object that it
	// is a field of.
	Required bool `json:"required"`
	// Nullable says that its value may be null.
	Nullable bool `json:"nullable,omitempty"`
	// Enum is all that its value may be, if that is listed; a list's or map's
	// are those of its elements.
	Enum []string `json:"enum,omitempty"`
	// Limits are what else holds of its value: "more than 0", "matches ^[A-Z]+$".
	Limits []string `json:"limits,omitempty"`
	// Open says that the value is an object of any keys: a map, or one that the
	// schema does not describe.
	Open bool `json:"open,omitempty"`
	// Description is the field's comment in the source.
	Description string `json:"description,omitempty"`
}

// Wanted says in one phrase what the field's value may be: "string or null",
// "string: EUR or CHF", "number, more than 0".
func (f Field) Wanted() string {
	text := f.Type
	if f.Nullable {
		text += " or null"
	}
	if len(f.Limits) > 0 {
		text += ", " + strings.Join(f.Limits, ", ")
	}
	if len(f.Enum) > 0 {
		text += ": " + oneOf(f.Enum, func(s string) string { return s })
	}
	return text
}

// maxFields bounds what Fields returns: definitions that refer to each other
// can multiply.
const maxFields = 2000

// Fields returns the fields of a type's data in the order of its schema, which
// is that of the Go struct; an object's or list's own fields follow it. A type
// within itself is not followed again.
func (s *Set) Fields(t events.Type) ([]Field, error) {
	file, err := s.Schema(t)
	if err != nil {
		return nil, err
	}
	w, root, err := newWalker(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	w.object("", root, nil)
	return w.fields, nil
}

// CodeKeyword is the member of a type's JSON Schema that holds its number, if
// it has one (see [events.Coded]). JSON Schema itself ignores it.
const CodeKeyword = "x-code"

// Info is what a type's schema says of the type as a whole.
type Info struct {
	Title       string // the name of its Go type
	Description string // the comment of its Go type, on one line
	Code        int    // its number, 0 if it has none
}

// Info returns what a type's schema says of the type as a whole.
func (s *Set) Info(t events.Type) (Info, error) {
	file, err := s.Schema(t)
	if err != nil {
		return Info{}, err
	}
	_, root, err := newWalker(file)
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", path.Join(Dir, File(t)), err)
	}
	return Info{root.Title, oneLine(root.Description), root.Code}, nil
}

// node is what Fields reads of a schema.
type node struct {
	Title            string          `json:"title"`
	Code             int             `json:"x-code"` // CodeKeyword
	Type             typeNames       `json:"type"`
	Ref              string          `json:"$ref"`
	Description      string          `json:"description"`
	Properties       properties      `json:"properties"`
	Additional       *node           `json:"additionalProperties"`
	Items            *node           `json:"items"`
	Required         []string        `json:"required"`
	AnyOf            []*node         `json:"anyOf"`
	OneOf            []*node         `json:"oneOf"`
	AllOf            []*node         `json:"allOf"`
	Enum             []any           `json:"enum"`
	Const            any             `json:"const"`
	Format           string          `json:"format"`
	ContentEncoding  string          `json:"contentEncoding"`
	Pattern          string          `json:"pattern"`
	Minimum          json.Number     `json:"minimum"`
	Maximum          json.Number     `json:"maximum"`
	ExclusiveMinimum json.Number     `json:"exclusiveMinimum"`
	ExclusiveMaximum json.Number     `json:"exclusiveMaximum"`
	MultipleOf       json.Number     `json:"multipleOf"`
	MinLength        json.Number     `json:"minLength"`
	MaxLength        json.Number     `json:"maxLength"`
	MinItems         json.Number     `json:"minItems"`
	MaxItems         json.Number     `json:"maxItems"`
	Defs             map[string]node `json:"$defs"`
}

// UnmarshalJSON reads a schema; true and false are schemas, too, of which
// nothing is to tell.
func (n *node) UnmarshalJSON(data []byte) error {
	if text := string(data); text == "true" || text == "false" {
		return nil
	}
	type plain node
	return json.Unmarshal(data, (*plain)(n))
}

// typeNames are one name, or a list of them.
type typeNames []string

func (t *typeNames) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(t))
	}
	*t = make(typeNames, 1)
	return json.Unmarshal(data, &(*t)[0])
}

// properties are the fields of an object, in their order.
type properties []property

type property struct {
	name   string
	schema *node
}

func (p *properties) UnmarshalJSON(data []byte) error {
	var m members
	if err := jsonv2.Unmarshal(data, &m); err != nil {
		return err
	}
	for _, one := range m {
		schema := &node{}
		if err := json.Unmarshal(one.value, schema); err != nil {
			return err
		}
		*p = append(*p, property{one.name, schema})
	}
	return nil
}

// walker gathers the fields of a schema.
type walker struct {
	defs   map[string]node
	fields []Field
}

func newWalker(file []byte) (*walker, *node, error) {
	if _, err := decode(file); err != nil { // bounds its depth
		return nil, nil, err
	}
	root := &node{}
	if err := json.Unmarshal(file, root); err != nil {
		return nil, nil, err
	}
	return &walker{defs: root.Defs}, root, nil
}

// shape is a schema whose references and alternatives are resolved.
type shape struct {
	*node
	name     string // of the definition it is
	nullable bool
	seen     []string // the definitions around it, with its own
}

// resolve follows a $ref, and takes the one alternative that is not null.
func (w *walker) resolve(n *node, seen []string) shape {
	s := shape{node: n, seen: seen}
	for range maxDepth {
		switch alternatives := slices.Concat(s.AnyOf, s.OneOf, s.AllOf); {
		case s.Ref != "":
			name := strings.TrimPrefix(s.Ref, "#/$defs/")
			definition, ok := w.defs[name]
			if !ok || slices.Contains(s.seen, name) {
				s.node, s.name = &node{Description: s.Description}, name
				return s
			}
			s.name, s.seen = name, append(s.seen[:len(s.seen):len(s.seen)], name)
			s.node = described(&definition, s.Description)
		case len(s.Type) == 0 && len(alternatives) > 0:
			var others []*node
			for _, a := range alternatives {
				if slices.Equal(a.Type, typeNames{"null"}) {
					s.nullable = true
				} else {
					others = append(others, a)
				}
			}
			if len(others) != 1 {
				return s
			}
			s.node = described(others[0], s.Description)
		default:
			s.nullable = s.nullable || len(s.Type) > 1 && slices.Contains(s.Type, "null")
			return s
		}
	}
	return s
}

// described gives a schema the description of where it stands, if that has one.
func described(n *node, description string) *node {
	if description == "" {
		return n
	}
	copied := *n
	copied.Description = description
	return &copied
}

// object gathers the fields of an object at a path.
func (w *walker) object(at string, n *node, seen []string) {
	for _, p := range n.Properties {
		where := fieldName(p.name)
		if at != "" && where[0] != '[' {
			where = "." + where
		}
		w.field(at+where, p.schema, slices.Contains(n.Required, p.name), seen)
	}
}

func fieldName(name string) string { return pathOf([]step{{name: name}}) }

// field gathers a field, and those that its value has.
func (w *walker) field(at string, n *node, required bool, seen []string) {
	if len(w.fields) >= maxFields {
		return
	}
	s := w.resolve(n, seen)
	f := Field{Path: at, Required: required, Nullable: s.nullable, Description: oneLine(s.Description)}
	f.Type = w.word(&f, s, false, 0)
	f.Open = len(s.Properties) == 0 && (s.is("object") || len(s.Type) == 0 && len(s.Enum) == 0 && s.Const == nil)
	w.fields = append(w.fields, f)
	below, inner := at, s
	for range maxDepth {
		switch {
		case inner.Items != nil:
			below += "[]"
			inner = w.resolve(inner.Items, inner.seen)
			continue
		case len(inner.Properties) == 0 && inner.Additional != nil && inner.is("object"):
			below += ".*"
			inner = w.resolve(inner.Additional, inner.seen)
			continue
		}
		w.object(below, inner.node, inner.seen)
		return
	}
}

func (s shape) is(name string) bool { return slices.Contains(s.Type, name) }

// word is the type of a shape in plain words. The enum and limits of the
// innermost element are the field's.
func (w *walker) word(f *Field, s shape, plural bool, depth int) string {
	some := func(one, many string) string {
		if plural {
			return many
		}
		return one
	}
	var kinds []string
	for _, t := range s.Type {
		if t != "null" {
			kinds = append(kinds, t)
		}
	}
	limited := depth == 0 || len(f.Limits) == 0
	switch {
	case depth > 20:
		return some("anything", "anything")
	case len(kinds) > 1:
		return oneOf(kinds, func(s string) string { return s })
	case len(kinds) == 0 && s.name != "":
		return s.name
	case len(kinds) == 0 && (len(s.AnyOf) > 0 || len(s.OneOf) > 0):
		var words []string
		for _, a := range append(s.AnyOf, s.OneOf...) {
			if !slices.Equal(a.Type, typeNames{"null"}) {
				words = append(words, w.word(f, w.resolve(a, s.seen), plural, depth+1))
			}
		}
		return oneOf(words, func(s string) string { return s })
	case len(kinds) == 0 && len(s.Enum) == 0 && s.Const == nil:
		return "anything"
	}
	for _, v := range append(s.Enum[:len(s.Enum):len(s.Enum)], constant(s.Const)...) {
		if v == nil {
			continue
		}
		text, isText := v.(string)
		if !isText {
			data, _ := json.Marshal(v)
			text = string(data)
		}
		if !slices.Contains(f.Enum, text) {
			f.Enum = append(f.Enum, text)
		}
	}
	if limited {
		f.Limits = append(f.Limits, s.limits()...)
	}
	if len(kinds) == 0 {
		return some("value", "values")
	}
	switch kinds[0] {
	case "array":
		if s.Items == nil {
			return some("list", "lists")
		}
		return some("list of ", "lists of ") + w.word(f, w.resolve(s.Items, s.seen), true, depth+1)
	case "object":
		switch {
		case len(s.Properties) == 0 && s.Additional != nil:
			return some("map of ", "maps of ") + w.word(f, w.resolve(s.Additional, s.seen), true, depth+1)
		case s.name != "":
			return s.name
		}
		return some("object", "objects")
	case "integer":
		return some("whole number", "whole numbers")
	case "boolean":
		return some("true or false", "true or false")
	case "string":
		switch {
		case s.ContentEncoding != "":
			return some("bytes in ", "bytes in ") + s.ContentEncoding
		case s.Format == "date-time":
			return some("time", "times")
		case s.Format == "date":
			return some("date", "dates")
		case s.Format == "uuid":
			return some("UUID", "UUIDs")
		case s.Format != "":
			return some("string", "strings") + " (" + s.Format + ")"
		}
	}
	return kinds[0] + some("", "s")
}

func constant(v any) []any {
	if v == nil {
		return nil
	}
	return []any{v}
}

// limits says in words what holds of a value besides its type.
func (n *node) limits() []string {
	var limits []string
	for _, limit := range []struct {
		words string
		bound json.Number
	}{
		{"at least %s", n.Minimum}, {"more than %s", n.ExclusiveMinimum}, {"at most %s", n.Maximum}, {"less than %s", n.ExclusiveMaximum},
		{"a multiple of %s", n.MultipleOf}, {"at least %s characters", n.MinLength}, {"at most %s characters", n.MaxLength},
		{"at least %s elements", n.MinItems}, {"at most %s elements", n.MaxItems},
	} {
		if limit.bound != "" {
			limits = append(limits, fmt.Sprintf(limit.words, limit.bound))
		}
	}
	if n.Pattern != "" {
		limits = append(limits, "matches "+n.Pattern)
	}
	return limits
}

// oneLine is a comment without its line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
