package catalogue_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/constant"
	"go/types"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/go/packages"
	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/events/schema"
)

// What a Go type can hold is drawn from the Go type alone, and what its schema
// allows is read from the schema alone: each tests the other.

func TestEveryValueOfATypeIsWhatItsSchemaAllows(t *testing.T) {
	set, d := projectSchemas(t), newDrawer(t)
	for described := range catalogue.All.All() {
		t.Run(described.Type.String(), rapid.MakeCheck(func(t *rapid.T) {
			data := d.event(t, described)
			if err := set.Validate(described.Type, data); err != nil {
				t.Fatalf("%v\n%s", err, data)
			}
		}))
	}
}

func TestWhatIsNotOfATypeIsNotAllowed(t *testing.T) {
	set, d := projectSchemas(t), newDrawer(t)
	for described := range catalogue.All.All() {
		text, err := set.Schema(described.Type)
		if err != nil {
			t.Fatal(err)
		}
		var document map[string]any
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		t.Run(described.Type.String(), rapid.MakeCheck(func(t *rapid.T) {
			var value any
			decoder := json.NewDecoder(bytes.NewReader(d.event(t, described)))
			decoder.UseNumber()
			if err := decoder.Decode(&value); err != nil {
				t.Fatal(err)
			}
			m := mutations{document: document}
			m.of(document, value, "", func(any) { t.Fatal("the root stays an object") })
			chosen := rapid.SampledFrom(m.found).Draw(t, "mutation")
			chosen.do()
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			var invalid *schema.Error
			if err := set.Validate(described.Type, data); !errors.As(err, &invalid) {
				t.Fatalf("%s was allowed (%v): %s", chosen, err, data)
			}
		}))
	}
}

func projectSchemas(t *testing.T) *schema.Set {
	t.Helper()
	set, err := schema.LoadProject(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// drawer draws values of Go types.
type drawer struct {
	constants map[string][]any // strings and int64s, by Go type
}

// newDrawer reads the constants of the types that events are made of.
func newDrawer(t *testing.T) *drawer {
	t.Helper()
	paths := map[string]bool{}
	for d := range catalogue.All.All() {
		packagesOf(reflect.TypeOf(d.Sample), paths)
	}
	var patterns []string
	for path := range paths {
		patterns = append(patterns, path)
	}
	loaded, err := packages.Load(&packages.Config{Mode: packages.NeedName | packages.NeedTypes}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	d := &drawer{constants: map[string][]any{}}
	for _, p := range loaded {
		if len(p.Errors) > 0 {
			t.Fatal(p.Errors)
		}
		for _, name := range p.Types.Scope().Names() {
			if c, ok := p.Types.Scope().Lookup(name).(*types.Const); ok && c.Exported() {
				if named, ok := c.Type().(*types.Named); ok {
					d.constants[named.String()] = append(d.constants[named.String()], constant.Val(c.Val()))
				}
			}
		}
	}
	if len(d.constants) == 0 {
		t.Fatal("no type has constants: the values of enums cannot be known")
	}
	return d
}

// packagesOf notes the packages of the named types that a type is made of.
func packagesOf(t reflect.Type, paths map[string]bool) {
	if _, known := known[t]; known {
		return
	}
	if strings.Contains(t.PkgPath(), ".") {
		paths[t.PkgPath()] = true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		packagesOf(t.Elem(), paths)
	case reflect.Struct:
		for field := range t.Fields() {
			packagesOf(field.Type, paths)
		}
	}
}

// known draws values of types that are one text in JSON.
var known = map[reflect.Type]func(*rapid.T) any{
	reflect.TypeFor[time.Time](): func(t *rapid.T) any {
		at := anyTime.Draw(t, "time")
		return at.In(time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "zone")))
	},
	reflect.TypeFor[events.Type](): func(t *rapid.T) any {
		return events.Type{
			Source: rapid.StringMatching(`[a-z][a-z0-9]{0,9}(-[a-z]{1,5})?`).Draw(t, "source"),
			Name:   rapid.StringMatching(`[A-Z][A-Z_]{0,9}(\.v[1-9])?`).Draw(t, "name"),
		}
	},
}

// anyTime is within the years that JSON's text of a time can tell, whatever
// the zone.
var anyTime = rapid.Custom(func(t *rapid.T) time.Time {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9998, 12, 31, 0, 0, 0, 0, time.UTC)
	return time.Unix(rapid.Int64Range(first.Unix(), last.Unix()).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).UTC()
})

// formats draws texts of a format.
var formats = map[string]*rapid.Generator[string]{
	"date":     rapid.Custom(func(t *rapid.T) string { return anyTime.Draw(t, "day").Format(time.DateOnly) }),
	"duration": rapid.StringMatching(`P([1-9][0-9]{0,2}Y)?[1-9][0-9]{0,2}M|P[1-9]W|P[0-9]{1,3}DT[0-9]{1,2}H|PT[0-9]{1,3}M`),
	"email":    rapid.StringMatching(`[a-z]{1,9}(\.[a-z]{1,9})?@[a-z]{1,9}\.example`),
}

// event draws the data of an event.
func (d *drawer) event(t *rapid.T, described events.Description) []byte {
	data, err := json.Marshal(d.value(t, reflect.TypeOf(described.Sample), rule{}).Interface())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rule is what a field's tag says of its value, by keyword of JSON Schema.
type rule map[string]string

func ruleOf(field reflect.StructField) rule {
	r := rule{}
	for part := range strings.SplitSeq(field.Tag.Get("jsonschema"), ",") {
		name, value, _ := strings.Cut(part, "=")
		r[name] = value
	}
	return r
}

func (r rule) number(t *rapid.T, name string, otherwise float64) float64 {
	text, ok := r[name]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *drawer) value(t *rapid.T, of reflect.Type, r rule) reflect.Value {
	v := reflect.New(of).Elem()
	if draw, ok := known[of]; ok {
		v.Set(reflect.ValueOf(draw(t)))
		return v
	}
	if constants := d.constants[of.PkgPath()+"."+of.Name()]; len(constants) > 0 {
		v.Set(reflect.ValueOf(rapid.SampledFrom(constants).Draw(t, of.Name())).Convert(of))
		return v
	}
	const most = 1 << 53
	switch of.Kind() {
	case reflect.Struct:
		for field := range of.Fields() {
			d.field(t, v, field)
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(of.Elem()))
			v.Elem().Set(d.value(t, of.Elem(), r))
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "elements"); n >= 0 {
			v.Set(reflect.MakeSlice(of, n, n))
			for i := range n {
				v.Index(i).Set(d.value(t, of.Elem(), rule{}))
			}
		}
	case reflect.Map:
		if n := rapid.IntRange(-1, 3).Draw(t, "entries"); n >= 0 {
			v.Set(reflect.MakeMap(of))
			for range n {
				v.SetMapIndex(d.value(t, of.Key(), rule{}), d.value(t, of.Elem(), rule{}))
			}
		}
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	case reflect.Int, reflect.Int64:
		least := int64(r.number(t, "minimum", -most))
		if _, exclusive := r["exclusiveMinimum"]; exclusive {
			least = int64(r.number(t, "exclusiveMinimum", 0)) + 1
		}
		v.SetInt(rapid.Int64Range(least, int64(r.number(t, "maximum", most))).Draw(t, "integer"))
	case reflect.Float64:
		least := r.number(t, "minimum", -1e300)
		if _, exclusive := r["exclusiveMinimum"]; exclusive {
			least = r.number(t, "exclusiveMinimum", 0) + 1e-9
		}
		v.SetFloat(rapid.Float64Range(least, r.number(t, "maximum", 1e300)).Draw(t, "number"))
	case reflect.String:
		switch {
		case r["format"] != "":
			v.SetString(formats[r["format"]].Draw(t, r["format"]))
		case r["pattern"] != "":
			v.SetString(rapid.StringMatching(r["pattern"]).Draw(t, r["pattern"]))
		default:
			v.SetString(rapid.String().Draw(t, "text"))
		}
	default:
		t.Fatalf("no values of %s are drawn: teach this test to", of)
	}
	return v
}

// field draws a struct's field. What may be left out sometimes is.
func (d *drawer) field(t *rapid.T, v reflect.Value, field reflect.StructField) {
	_, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	optional := slices.ContainsFunc(strings.Split(options, ","), func(o string) bool { return o == "omitempty" || o == "omitzero" })
	if optional && rapid.Bool().Draw(t, "without "+field.Name) {
		return
	}
	v.FieldByIndex(field.Index).Set(d.value(t, field.Type, ruleOf(field)))
}

// mutations collects what would make a value one that its schema does not
// allow.
type mutations struct {
	document map[string]any
	found    []mutation
}

type mutation struct {
	what string
	do   func()
}

func (m mutation) String() string { return m.what }

// of collects the mutations of the value at a path, which set replaces.
func (m *mutations) of(s map[string]any, value any, at string, set func(any)) {
	s = m.resolve(s, value)
	if at != "" {
		for kind, other := range map[string]any{"null": nil, "boolean": true, "number": 1.5, "string": "such text", "array": []any{}, "object": map[string]any{}} {
			if !slices.Contains(m.kinds(s, value == nil), kind) {
				m.found = append(m.found, mutation{fmt.Sprintf("%s as %s", at, kind), func() { set(other) }})
			}
		}
	}
	if s["enum"] != nil && value != nil {
		m.found = append(m.found, mutation{at + " outside its enum", func() { set("such text") }})
	}
	switch value := value.(type) {
	case map[string]any:
		required, _ := s["required"].([]any)
		for _, name := range required {
			m.found = append(m.found, mutation{fmt.Sprintf("no %s.%s", at, name), func() { delete(value, name.(string)) }})
		}
		properties, _ := s["properties"].(map[string]any)
		others, _ := s["additionalProperties"].(map[string]any)
		for name, one := range value {
			of, ok := properties[name].(map[string]any)
			if !ok {
				of = others
			}
			if of != nil {
				m.of(of, one, at+"."+name, func(v any) { value[name] = v })
			}
		}
	case []any:
		items, _ := s["items"].(map[string]any)
		for i, one := range value {
			m.of(items, one, fmt.Sprintf("%s[%d]", at, i), func(v any) { value[i] = v })
		}
	}
	slices.SortFunc(m.found, func(a, b mutation) int { return strings.Compare(a.what, b.what) }) // a failure is found again
}

// resolve follows references, and chooses the alternative that a value is.
func (m *mutations) resolve(s map[string]any, value any) map[string]any {
	if ref, ok := s["$ref"].(string); ok {
		return m.resolve(m.document["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), value)
	}
	alternatives, _ := s["anyOf"].([]any)
	for _, one := range alternatives {
		one := one.(map[string]any)
		if value == nil == (one["type"] == "null") {
			resolved := m.resolve(one, value)
			return merge(resolved, "nullable", true)
		}
	}
	return s
}

func merge(s map[string]any, name string, value any) map[string]any {
	out := map[string]any{name: value}
	for k, v := range s {
		out[k] = v
	}
	return out
}

// kinds are those of JSON's values that a schema allows at its place.
func (m *mutations) kinds(s map[string]any, null bool) []string {
	var kinds []string
	switch t := s["type"].(type) {
	case string:
		kinds = append(kinds, t)
	case []any:
		for _, one := range t {
			kinds = append(kinds, one.(string))
		}
	}
	if s["nullable"] == true {
		kinds = append(kinds, "null")
	}
	if null {
		// Another alternative is not known here: only that null is allowed.
		kinds = append(kinds, "boolean", "number", "string", "array", "object")
	}
	return kinds
}
