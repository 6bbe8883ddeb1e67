package schemas

import (
	"encoding/json"
	"fmt"
	"go/constant"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// What a schema says besides what JSON Schema knows. Tools that make code use
// the latter two for an enum's constants.
const (
	codeKeyword          = schema.CodeKeyword
	constantsKeyword     = "x-enum-varnames"
	constantDocsKeyword  = "x-enum-descriptions"
	definitionsReference = "#/$defs/"
)

// described is an event type and what the files say of it.
type described struct {
	events.Description
	name   string             // its Go type's, unique in the source
	schema *jsonschema.Schema // of its data
	text   []byte             // the schema as JSON
	sample []byte             // the sample's data as JSON
}

// describer makes schemas of the Go types of one source's events.
//
// The library describes one struct at a time: its fields, their names, comments
// and tags. What a field's type is, the describer says (schemaOf), since only
// it knows enums, what may be null, and which structs have which name.
type describer struct {
	sources sources
	names   *names
	enums   map[reflect.Type]*jsonschema.Schema
	structs map[reflect.Type]*jsonschema.Schema

	within []reflect.Type // the named lists and maps that checkType is in
}

func newDescriber(s sources, n *names) *describer {
	return &describer{sources: s, names: n, enums: map[reflect.Type]*jsonschema.Schema{}, structs: map[reflect.Type]*jsonschema.Schema{}}
}

// root returns the schema of a type with everything that it refers to.
func (d *describer) root(t reflect.Type) (*jsonschema.Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	for _, marshaler := range marshalerTypes {
		if reflect.PointerTo(t).Implements(marshaler) {
			return nil, fmt.Errorf("%s has %s (perhaps of what it embeds), so that its data would not be its fields", t, marshaler.Method(0).Name)
		}
	}
	definitions := jsonschema.Definitions{}
	if err := d.define(t, definitions); err != nil {
		return nil, err
	}
	s := *definitions[d.names.of[t]]
	recursive := false
	for _, one := range definitions {
		recursive = recursive || slices.Contains(references(one), d.names.of[t])
	}
	if !recursive {
		delete(definitions, d.names.of[t])
	}
	s.Version = jsonschema.Version
	s.Title = d.names.of[t]
	s.Definitions = definitions
	return &s, nil
}

// define adds the schemas of a struct or enum, and of those it refers to.
func (d *describer) define(t reflect.Type, definitions jsonschema.Definitions) error {
	name := d.names.of[t]
	if definitions[name] != nil {
		return nil
	}
	if t.Kind() != reflect.Struct {
		s, err := d.enum(t)
		definitions[name] = s
		return err
	}
	s := d.structs[t]
	if s == nil {
		var err error
		if s, err = d.object(t); err != nil {
			return err
		}
		d.structs[t] = s
	}
	definitions[name] = s
	for _, other := range references(s) {
		if err := d.define(d.names.types[other], definitions); err != nil {
			return err
		}
	}
	return nil
}

// object describes one struct.
func (d *describer) object(t reflect.Type) (*jsonschema.Schema, error) {
	fields, err := fieldsOf(t)
	if err != nil {
		return nil, fmt.Errorf("%s.%w", t, err)
	}
	for _, f := range fields {
		if err := d.checkField(f); err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		of := d.schemaOf(f.Type)
		if f.quoted {
			of = &jsonschema.Schema{Type: "string"}
		}
		if err := checkTag(f.Tag.Get("jsonschema"), of); err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
	}
	reflector := jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true, AllowAdditionalProperties: true,
		LookupComment: d.comment,
		Namer:         func(t reflect.Type) string { return d.names.of[t] },
		Mapper: func(of reflect.Type) *jsonschema.Schema {
			if of == t {
				return nil
			}
			return d.schemaOf(of)
		},
	}
	s := reflector.ReflectFromType(t)
	s.Version, s.Definitions = "", nil
	if s.Type != "object" || s.Properties == nil {
		return nil, fmt.Errorf("%s describes itself with a method of package jsonschema, which is not supported: remove it", t)
	}
	for _, f := range fields {
		property, ok := s.Properties.Get(f.name)
		if !ok {
			return nil, fmt.Errorf("%s.%s: is not described", t, f.Name)
		}
		if f.quoted { // bounds are of numbers
			property.Minimum, property.Maximum = "", ""
		}
		if !f.optional && mayBeNil(f.Type) {
			s.Properties.Set(f.name, orNull(property))
		}
	}
	return s, nil
}

// schemaOf describes what a value of a type is that is not null.
func (d *describer) schemaOf(t reflect.Type) *jsonschema.Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		return d.schemaOf(t.Elem())
	case t == timeType:
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case t == numberType:
		return &jsonschema.Schema{Type: "number"}
	case t == rawType:
		return &jsonschema.Schema{}
	case d.isDefined(t):
		return &jsonschema.Schema{Ref: definitionsReference + d.names.of[t]}
	case t.Kind() != reflect.Interface && t.Implements(textMarshaler):
		return &jsonschema.Schema{Type: "string", Format: textFormat(t)}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.String:
		return &jsonschema.Schema{Type: "string"}
	case reflect.Float32, reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	case reflect.Slice, reflect.Array:
		if isBytes(t) {
			return &jsonschema.Schema{Type: "string", ContentEncoding: "base64"}
		}
		s := &jsonschema.Schema{Type: "array", Items: d.elementOf(t.Elem())}
		if t.Kind() == reflect.Array {
			s.MinItems, s.MaxItems = new(uint64(t.Len())), new(uint64(t.Len()))
		}
		return s
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", PropertyNames: d.keyOf(t.Key()), AdditionalProperties: d.elementOf(t.Elem())}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer(t)
	}
	return &jsonschema.Schema{} // any, and what checkType refuses
}

func (d *describer) elementOf(t reflect.Type) *jsonschema.Schema {
	if mayBeNil(t) {
		return orNull(d.schemaOf(t))
	}
	return d.schemaOf(t)
}

// keyOf describes a map's keys; nil for any string.
func (d *describer) keyOf(t reflect.Type) *jsonschema.Schema {
	switch {
	case d.isEnum(t) && t.Kind() == reflect.String && !t.Implements(textMarshaler):
		return d.schemaOf(t)
	case t.Kind() == reflect.String || t.Implements(textMarshaler):
		return nil
	case t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64:
		return &jsonschema.Schema{Pattern: "^[0-9]+$"}
	}
	return &jsonschema.Schema{Pattern: "^-?[0-9]+$"}
}

// integer describes a whole number, with the bounds of its Go type: a decoder
// refuses what is beyond. Those of int64 are left out, as nobody's business.
func integer(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "integer"}
	bits := t.Bits()
	switch {
	case t.Kind() >= reflect.Uint:
		s.Minimum, s.Maximum = "0", json.Number(fmt.Sprint(^uint64(0)>>(64-bits)))
	case bits < 64:
		s.Minimum, s.Maximum = json.Number(fmt.Sprint(int64(-1)<<(bits-1))), json.Number(fmt.Sprint(int64(1)<<(bits-1)-1))
	}
	return s
}

// textFormat is the format of a type that is text, if it is a known one.
func textFormat(t reflect.Type) string {
	if t.Name() == "UUID" && t.Kind() == reflect.Array && t.Len() == 16 {
		return "uuid"
	}
	return ""
}

// mayBeNil reports whether a value that is always sent can be null.
func mayBeNil(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map
}

// orNull returns a schema that also allows null. What is said of the field is
// said outside.
func orNull(s *jsonschema.Schema) *jsonschema.Schema {
	if s.Type == "" && s.Ref == "" {
		return s // anything
	}
	inner := *s
	inner.Title, inner.Description = "", ""
	return &jsonschema.Schema{Title: s.Title, Description: s.Description, AnyOf: []*jsonschema.Schema{&inner, {Type: "null"}}}
}

// notNull returns what orNull was given, and whether it was.
func notNull(s *jsonschema.Schema) (*jsonschema.Schema, bool) {
	if len(s.AnyOf) == 2 && s.AnyOf[1].Type == "null" {
		return s.AnyOf[0], true
	}
	return s, false
}

// isDefined reports whether a type has a definition of its own in a schema: a
// struct or an enum.
func (d *describer) isDefined(t reflect.Type) bool {
	return d.isEnum(t) || t.Kind() == reflect.Struct && t.Name() != "" && t != timeType && !t.Implements(textMarshaler)
}

// isEnum reports whether a type is a named string or whole number that has
// constants in its package. Go's own are not, or every time.Duration would be
// one of six.
func (d *describer) isEnum(t reflect.Type) bool {
	return d.sources.isEnum(t)
}

func (s sources) isEnum(t reflect.Type) bool {
	if t.Kind() != reflect.String && (t.Kind() < reflect.Int || t.Kind() > reflect.Uint64) {
		return false
	}
	from := s[t.PkgPath()]
	return from != nil && len(from.constants[t.Name()]) > 0
}

// enum describes an enum: its constants, as they are in JSON.
func (d *describer) enum(t reflect.Type) (*jsonschema.Schema, error) {
	if s := d.enums[t]; s != nil {
		return s, nil
	}
	s := &jsonschema.Schema{Description: d.comment(t, "")}
	var constants, docs []string
	taken := map[string]bool{}
	for _, c := range d.sources[t.PkgPath()].constants[t.Name()] {
		value := reflect.New(t).Elem()
		number, whole := constant.Int64Val(constant.ToInt(c.value))
		positive, natural := constant.Uint64Val(constant.ToInt(c.value))
		switch {
		case t.Kind() == reflect.String && c.value.Kind() == constant.String:
			value.SetString(constant.StringVal(c.value))
		case value.CanInt() && whole:
			value.SetInt(number)
		case value.CanUint() && natural:
			value.SetUint(positive)
		default:
			return nil, fmt.Errorf("%s: the value of %s cannot be told from its package alone: write it as a literal", t, c.name)
		}
		data, err := json.Marshal(value.Interface())
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", t, c.name, err)
		}
		if taken[string(data)] {
			continue // another name for the same
		}
		taken[string(data)] = true
		kind := "integer"
		if data[0] == '"' {
			kind = "string"
		}
		if s.Type != "" && s.Type != kind || kind == "integer" && !json.Valid(data) {
			return nil, fmt.Errorf("%s: %s is %s in JSON: an enum is all strings or all whole numbers", t, c.name, data)
		}
		s.Type = kind
		s.Enum = append(s.Enum, json.RawMessage(data))
		constants, docs = append(constants, c.name), append(docs, c.doc)
	}
	s.Extras = map[string]any{constantsKeyword: constants}
	if slices.ContainsFunc(docs, func(doc string) bool { return doc != "" }) {
		s.Extras[constantDocsKeyword] = docs
	}
	d.enums[t] = s
	return s, nil
}

// comment is the comment of a type, or of a struct's field.
func (d *describer) comment(t reflect.Type, field string) string {
	from := d.sources[t.PkgPath()]
	if from == nil {
		return ""
	}
	name := genericName(t)
	if field != "" {
		name += "." + field
	}
	return from.docs[name]
}

// references returns the names of the definitions that a schema refers to.
func references(s *jsonschema.Schema) []string {
	var names []string
	var within func(s *jsonschema.Schema)
	within = func(s *jsonschema.Schema) {
		if s == nil {
			return
		}
		if name, ok := strings.CutPrefix(s.Ref, definitionsReference); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
		within(s.Items)
		within(s.AdditionalProperties)
		within(s.PropertyNames)
		for _, one := range s.AnyOf {
			within(one)
		}
		for _, property := range properties(s) {
			within(property)
		}
	}
	within(s)
	return names
}
