package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// A jsonSchema is what Check understands of a JSON Schema. What it does not understand says nothing: no fault comes of it.
type jsonSchema struct {
	types      []string // nil if the schema does not say
	properties map[string]*jsonSchema
	required   []string
	additional *jsonSchema // of an object's other fields; nil if the schema does not say
	anyKey     bool        // an object has fields whose names the schema does not list
	items      *jsonSchema
	enum       []any // nil if the schema does not say
	enumSaid   bool
	bounds     bounds
	format     string
	ref        string
	anyOf      []*jsonSchema // and oneOf: one of each list
	oneOf      []*jsonSchema
	allOf      []*jsonSchema
	never      bool // the schema false
}

// bounds limit the numbers and strings that a value may be.
type bounds struct {
	low, high         float64 // infinite where there is no limit
	openLow, openHigh bool
	whole             bool // a number without a fraction
	minLength         int
	maxLength         int // -1 if there is no limit
	match             []*regexp.Regexp
	formats           []string
}

var unbounded = bounds{low: math.Inf(-1), high: math.Inf(1), maxLength: -1}

// maxSchemaDepth bounds how deep a schema nests. It is far above what a type has.
const maxSchemaDepth = 200

// parseSchema reads a JSON Schema and its $defs.
func parseSchema(data []byte) (root *jsonSchema, defs map[string]*jsonSchema, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, nil, fmt.Errorf("not JSON: %w", err)
	}
	if root, err = newSchema(document, 0); err != nil {
		return nil, nil, err
	}
	defs = map[string]*jsonSchema{}
	if fields, ok := document.(map[string]any); ok {
		if defs, err = newSchemas(fields["$defs"], 0); err != nil {
			return nil, nil, err
		}
	}
	return root, defs, nil
}

func newSchema(document any, depth int) (*jsonSchema, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxSchemaDepth)
	}
	s := &jsonSchema{bounds: unbounded}
	fields, ok := document.(map[string]any)
	if !ok {
		says, ok := document.(bool)
		if !ok {
			return nil, fmt.Errorf("a schema must be an object, true or false, not %s", kindOf(asObject(document)))
		}
		s.never = !says
		return s, nil
	}
	var err error
	one := func(keyword string) (schema *jsonSchema) {
		if v, ok := fields[keyword]; ok && err == nil {
			schema, err = newSchema(v, depth+1)
		}
		return schema
	}
	list := func(keyword string) (schemas []*jsonSchema) {
		values, _ := fields[keyword].([]any)
		for _, v := range values {
			if err == nil {
				var schema *jsonSchema
				schema, err = newSchema(v, depth+1)
				schemas = append(schemas, schema)
			}
		}
		return schemas
	}
	switch t := fields["type"].(type) {
	case string:
		s.types = []string{t}
	case []any:
		s.types = texts(t)
	}
	s.required = texts(fields["required"])
	s.items, s.additional = one("items"), one("additionalProperties")
	s.anyOf, s.oneOf, s.allOf = list("anyOf"), list("oneOf"), list("allOf")
	if _, ok := fields["prefixItems"]; ok {
		s.items = nil // elements differ by their place: nothing is said
	}
	if err != nil {
		return nil, err
	}
	if s.properties, err = newSchemas(fields["properties"], depth); err != nil {
		return nil, err
	}
	_, matched := fields["patternProperties"]
	s.anyKey = matched || s.additional != nil && !s.additional.never
	if matched {
		s.additional = nil
	}
	s.enum, s.enumSaid = fields["enum"].([]any)
	if v, ok := fields["const"]; ok {
		s.enum, s.enumSaid = []any{v}, true
	}
	s.format, _ = fields["format"].(string)
	s.ref, _ = fields["$ref"].(string)
	s.readBounds(fields)
	return s, nil
}

func newSchemas(document any, depth int) (map[string]*jsonSchema, error) {
	fields, _ := document.(map[string]any)
	schemas := make(map[string]*jsonSchema, len(fields))
	for name, v := range fields {
		schema, err := newSchema(v, depth+1)
		if err != nil {
			return nil, err
		}
		schemas[name] = schema
	}
	return schemas, nil
}

func (s *jsonSchema) readBounds(fields map[string]any) {
	number := func(keyword string) (float64, bool) {
		text, _ := fields[keyword].(json.Number)
		n, err := text.Float64()
		return n, err == nil
	}
	if n, ok := number("minimum"); ok {
		s.bounds.low = n
	}
	if n, ok := number("exclusiveMinimum"); ok && n >= s.bounds.low {
		s.bounds.low, s.bounds.openLow = n, true
	}
	if n, ok := number("maximum"); ok {
		s.bounds.high = n
	}
	if n, ok := number("exclusiveMaximum"); ok && n <= s.bounds.high {
		s.bounds.high, s.bounds.openHigh = n, true
	}
	if n, ok := number("minLength"); ok {
		s.bounds.minLength = int(min(n, 1e9))
	}
	if n, ok := number("maxLength"); ok && n >= 0 {
		s.bounds.maxLength = int(min(n, 1e9))
	}
	if text, ok := fields["pattern"].(string); ok {
		if re, err := regexp.Compile(text); err == nil {
			s.bounds.match = []*regexp.Regexp{re}
		}
	}
	if s.format != "" {
		s.bounds.formats = []string{s.format}
	}
}

// and is what holds if both hold.
func (b bounds) and(other bounds) bounds {
	if other.low > b.low || other.low == b.low && other.openLow {
		b.low, b.openLow = other.low, other.openLow
	}
	if other.high < b.high || other.high == b.high && other.openHigh {
		b.high, b.openHigh = other.high, other.openHigh
	}
	b.whole = b.whole || other.whole
	b.minLength = max(b.minLength, other.minLength)
	if b.maxLength < 0 || other.maxLength >= 0 && other.maxLength < b.maxLength {
		b.maxLength = other.maxLength
	}
	b.match = slices.Concat(b.match, other.match)
	b.formats = slices.Concat(b.formats, other.formats)
	return b
}

// texts are the strings of a list.
func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, one := range list {
		if text, ok := one.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// asObject makes what encoding/json decoded what readJSON would have made of it, as far as kindOf cares.
func asObject(v any) any {
	if _, ok := v.(map[string]any); ok {
		return object{}
	}
	return v
}

// A shape is what may stand at a path of an event, by its schema. EventBridge looks into arrays, so that the shape of an
// array is also that of its elements.
type shape struct {
	anything bool // the schema says nothing
	scalars  []scalar
	object   bool // an object may stand there
	list     bool // an array may
	fields   map[string]shapeField
	anyKey   bool          // the object may have other fields than these,
	others   []*jsonSchema // which all of these hold for
}

// A shapeField is a field of an object.
type shapeField struct {
	all    []*jsonSchema // what holds for its value
	always bool          // every value at the path is an object that has the field
}

// A scalar is a kind of leaf: strings, numbers, true, false or null, and which of them.
type scalar struct {
	kind   kind
	values []value // nil if they are not listed
	bounds bounds
}

// nothing is the shape of what cannot be.
func nothing() shape { return shape{} }

// maxScalars bounds what alternatives multiply to; beyond it nothing is said.
const maxScalars = 100

// A shaper finds the shapes of schemas that refer to one another.
type shaper struct {
	defs  map[string]*jsonSchema
	known map[*jsonSchema]shape
	open  map[*jsonSchema]bool // those whose shape is being found
	steps int
}

// maxSteps bounds the work for schemas that multiply; beyond it nothing is said.
const maxSteps = 100_000

// all is the shape of a value for which all of the schemas hold.
func (r *shaper) all(schemas []*jsonSchema) shape {
	s := shape{anything: true}
	for _, one := range schemas {
		s = and(s, r.of(one))
	}
	return s
}

func (r *shaper) of(s *jsonSchema) shape {
	if known, ok := r.known[s]; ok {
		return known
	}
	if r.steps++; r.open[s] || r.steps > maxSteps {
		return shape{anything: true} // a type that is made of itself alone
	}
	r.open[s] = true
	found := r.find(s)
	delete(r.open, s)
	r.known[s] = found
	return found
}

func (r *shaper) find(s *jsonSchema) shape {
	if s.never {
		return nothing()
	}
	found := r.own(s)
	if s.ref != "" {
		if definition, ok := r.defs[strings.TrimPrefix(s.ref, "#/$defs/")]; ok {
			found = and(found, r.of(definition))
		} else {
			return shape{anything: true}
		}
	}
	for _, one := range s.allOf {
		found = and(found, r.of(one))
	}
	for _, alternatives := range [][]*jsonSchema{s.anyOf, s.oneOf} {
		if len(alternatives) == 0 {
			continue
		}
		either := nothing()
		for _, one := range alternatives {
			either = union(either, r.of(one))
		}
		found = and(found, either)
	}
	return found
}

// own is the shape by a schema's own keywords.
func (r *shaper) own(s *jsonSchema) shape {
	if s.types == nil && !s.enumSaid && len(s.properties) == 0 && s.items == nil && s.bounds.says() == false {
		return shape{anything: true}
	}
	types := s.types
	if types == nil {
		types = []string{"string", "number", "boolean", "null", "object", "array"}
	}
	found := nothing()
	for _, t := range types {
		switch t {
		case "string":
			found.scalars = append(found.scalars, scalar{kind: isString, bounds: s.bounds})
		case "number", "integer":
			b := s.bounds
			b.whole = t == "integer"
			found.scalars = append(found.scalars, scalar{kind: isNumber, bounds: b})
		case "boolean":
			for _, v := range []bool{false, true} {
				found.scalars = append(found.scalars, only(newValue(v)))
			}
		case "null":
			found.scalars = append(found.scalars, only(newValue(nil)))
		case "object":
			found.object = true
		case "array":
			found.list = true
		}
	}
	if s.enumSaid {
		found = and(found, enumerated(s.enum))
	}
	if found.object {
		found.addFields(s)
	}
	if found.list {
		if s.items == nil {
			return shape{anything: true}
		}
		elements := r.of(s.items)
		found = union(found, elements)
		found.list = true
		for name, f := range found.fields { // there may be no element
			f.always = false
			found.fields[name] = f
		}
	}
	return found
}

func (b bounds) says() bool {
	return !math.IsInf(b.low, -1) || !math.IsInf(b.high, 1) || b.minLength > 0 || b.maxLength >= 0 || b.match != nil || b.formats != nil
}

func only(v value) scalar { return scalar{kind: v.kind, values: []value{v}, bounds: unbounded} }

// enumerated is the shape of what a schema lists.
func enumerated(values []any) shape {
	s := nothing()
	byKind := map[kind][]value{}
	for _, v := range values {
		switch v.(type) {
		case map[string]any, []any:
			return shape{anything: true}
		}
		leaf := newValue(v)
		byKind[leaf.kind] = append(byKind[leaf.kind], leaf)
	}
	for k := isNull; k <= isString; k++ {
		if len(byKind[k]) > 0 {
			s.scalars = append(s.scalars, scalar{kind: k, values: byKind[k], bounds: unbounded})
		}
	}
	return s
}

// addFields adds the fields of an object's schema.
func (s *shape) addFields(schema *jsonSchema) {
	s.anyKey = schema.anyKey || len(schema.properties) == 0 && (schema.additional == nil || !schema.additional.never)
	if schema.additional != nil && !schema.additional.never {
		s.others = []*jsonSchema{schema.additional}
	}
	s.fields = map[string]shapeField{}
	for name, p := range schema.properties {
		s.fields[name] = shapeField{all: []*jsonSchema{p}, always: s.onlyObject() && slices.Contains(schema.required, name)}
	}
}

func (s shape) onlyObject() bool { return s.object && !s.list && !s.anything && len(s.scalars) == 0 }

// union is the shape of what has one shape or the other.
func union(a, b shape) shape {
	if a.anything || b.anything {
		return shape{anything: true}
	}
	s := shape{
		scalars: slices.Concat(a.scalars, b.scalars),
		object:  a.object || b.object,
		list:    a.list || b.list,
		anyKey:  a.object && a.anyKey || b.object && b.anyKey,
	}
	switch {
	case !b.object:
		s.others = a.others
	case !a.object:
		s.others = b.others
	case slices.Equal(a.others, b.others):
		s.others = a.others
	}
	if len(s.scalars) > maxScalars {
		return shape{anything: true}
	}
	if !s.object {
		return s
	}
	s.fields = map[string]shapeField{}
	for _, side := range []struct{ mine, other shape }{{a, b}, {b, a}} {
		for name, f := range side.mine.fields {
			other, both := side.other.fields[name]
			switch {
			case !both && side.other.object:
				// The other kind of object does not have it, or has it as one of its unnamed ones.
				f.always = false
				if side.other.anyKey {
					f.all = nil
				}
			case !both:
				f.always = f.always && s.onlyObject()
			case !slices.Equal(f.all, other.all):
				f = shapeField{all: []*jsonSchema{either(f.all, other.all)}, always: f.always && other.always}
			default:
				f.always = f.always && other.always
			}
			s.fields[name] = f
		}
	}
	return s
}

// either is a schema of what one list of schemas holds for, or the other.
func either(a, b []*jsonSchema) *jsonSchema {
	return &jsonSchema{bounds: unbounded, anyOf: []*jsonSchema{{bounds: unbounded, allOf: a}, {bounds: unbounded, allOf: b}}}
}

// and is the shape of what has both shapes.
func and(a, b shape) shape {
	if a.anything {
		return b
	}
	if b.anything {
		return a
	}
	s := shape{object: a.object && b.object, list: a.list && b.list}
	for _, x := range a.scalars {
		for _, y := range b.scalars {
			if both, ok := x.and(y); ok {
				s.scalars = append(s.scalars, both)
			}
		}
	}
	if len(s.scalars) > maxScalars {
		return shape{anything: true}
	}
	if !s.object {
		return s
	}
	s.anyKey = a.anyKey && b.anyKey
	s.others = slices.Concat(a.others, b.others)
	s.fields = map[string]shapeField{}
	for _, side := range []struct{ mine, other shape }{{a, b}, {b, a}} {
		for name, f := range side.mine.fields {
			if other, both := side.other.fields[name]; both {
				f.all = slices.Concat(f.all, other.all)
				f.always = f.always || other.always
			} else {
				f.all = slices.Concat(f.all, side.other.others)
			}
			f.always = f.always && s.onlyObject()
			s.fields[name] = f
		}
	}
	return s
}

// and is what is of both kinds, if anything can be.
func (a scalar) and(b scalar) (scalar, bool) {
	if a.kind != b.kind {
		return scalar{}, false
	}
	both := scalar{kind: a.kind, values: a.values, bounds: a.bounds.and(b.bounds)}
	switch {
	case a.values == nil:
		both.values = b.values
	case b.values != nil:
		both.values = nil
		for _, v := range a.values {
			if slices.ContainsFunc(b.values, v.equal) {
				both.values = append(both.values, v)
			}
		}
		if both.values == nil {
			return scalar{}, false
		}
	}
	return both, true
}

func (v value) equal(other value) bool {
	return v.kind == other.kind && (v.text == other.text || v.kind == isNumber && v.number == other.number)
}

// newValue is the leaf that a decoded JSON string, number, bool or nil is.
func newValue(v any) value {
	leaf := value{kind: isNull}
	switch v := v.(type) {
	case string:
		leaf.kind, leaf.text = isString, v
	case json.Number:
		leaf.kind, leaf.text = isNumber, v.String()
		leaf.number, leaf.inRange = parseNumber(leaf.text)
	case bool:
		leaf.kind = isFalse
		if v {
			leaf.kind = isTrue
		}
	}
	return leaf
}
