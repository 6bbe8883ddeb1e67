package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/penstock-dev/penstock/events"
)

// Error is data that violates the schema of its type. It tells no more of the
// data than the values that are at fault, shortened.
type Error struct {
	Type       events.Type // zero for the data of none, see Compile
	Violations []Violation // at least one and at most 20, sorted by path
	More       int         // how many violations there are besides
}

// Violation is one fault of an event's data.
type Violation struct {
	// Path is where, as in "allocations[0].quantity"; empty for the data itself.
	Path string
	// Reason is what was wanted and what is there, to read behind the path:
	// `must be a number (got "much")`.
	Reason string
}

const maxViolations = 20

// Error names the first violations.
func (e *Error) Error() string {
	const most = 5
	var text []string
	for _, v := range e.Violations[:min(len(e.Violations), most)] {
		text = append(text, v.Error())
	}
	if more := e.More + len(e.Violations) - len(text); more > 0 {
		text = append(text, fmt.Sprintf("and %d more", more))
	}
	if e.Type == (events.Type{}) {
		return strings.Join(text, "; ")
	}
	return fmt.Sprintf("event %s: %s", e.Type, strings.Join(text, "; "))
}

// Error is the path and the reason.
func (v Violation) Error() string {
	if v.Path == "" {
		return "the data " + v.Reason
	}
	return v.Path + " " + v.Reason
}

// newError says in plain words what the library found in a value.
func newError(t events.Type, value any, root *jsonschema.Schema, found *jsonschema.ValidationError) *Error {
	r := reader{value: value, root: root}
	r.read(found)
	slices.SortFunc(r.faults, func(a, b fault) int {
		return cmp.Or(slices.CompareFunc(a.at, b.at, compareSteps), cmp.Compare(a.reason, b.reason))
	})
	e := &Error{Type: t, More: r.more}
	for _, f := range r.faults {
		v := Violation{pathOf(f.at), f.reason}
		switch n := len(e.Violations); {
		case n > 0 && e.Violations[n-1] == v:
		case n == maxViolations:
			e.More++
		default:
			e.Violations = append(e.Violations, v)
		}
	}
	return e
}

// fault is a Violation to be.
type fault struct {
	at     []step
	reason string
}

// maxFaults bounds what is kept of data in which everything is wrong; the rest
// is counted.
const maxFaults = 1000

// reader reads the library's errors.
type reader struct {
	value  any
	root   *jsonschema.Schema
	faults []fault
	more   int // faults that were not kept
}

func (r *reader) add(at []step, format string, args ...any) {
	r.faults = append(r.faults, fault{at, fmt.Sprintf(format, args...)})
}

// compareTokens orders the names of fields by text, and indexes by number.
func compareTokens(a, b string) int {
	i, errA := strconv.Atoi(a)
	j, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return cmp.Compare(i, j)
	}
	return cmp.Compare(a, b)
}

func (r *reader) read(found *jsonschema.ValidationError) {
	// The library goes through objects in any order: which faults are kept must
	// not depend on it.
	slices.SortStableFunc(found.Causes, func(a, b *jsonschema.ValidationError) int {
		return slices.CompareFunc(a.InstanceLocation, b.InstanceLocation, compareTokens)
	})
	if len(r.faults) >= maxFaults {
		if len(found.Causes) == 0 {
			r.more++
		}
		for _, cause := range found.Causes {
			r.read(cause)
		}
		return
	}
	at, value := r.find(found.InstanceLocation)
	add := func(format string, args ...any) { r.add(at, format, args...) }
	child := func(name string) []step { return append(at[:len(at):len(at)], step{name: name}) }
	switch k := found.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range found.Causes {
			r.read(cause)
		}
	case *kind.AnyOf, *kind.OneOf:
		r.readAlternatives(found, value, add)
	case *kind.Required:
		for _, name := range k.Missing {
			r.add(child(name), "is required")
		}
	case *kind.AdditionalProperties:
		known := r.fieldsAt(found.SchemaURL)
		for _, name := range k.Properties {
			reason := "is no field of the type"
			if near := Nearest(name, known); len(near) > 0 {
				for i, n := range near {
					near[i] = pathOf(child(n))
				}
				reason += ": did you mean " + strings.Join(near, " or ") + "?"
			}
			r.add(child(name), "%s", reason)
		}
	case *kind.Type:
		add("must be %s%s", oneOf(k.Want, typeWord), got(value))
	case *kind.Enum:
		add("must be %s%s", oneOf(k.Want, plain), got(value))
	case *kind.Const:
		add("must be %s%s", plain(k.Want), got(value))
	case *kind.Format:
		add("must be %s%s", formatWord(k.Want), got(value))
	case *kind.Pattern:
		add("must match %s%s", k.Want, got(value))
	case *kind.MinLength:
		add("must have at least %d characters%s", k.Want, got(value))
	case *kind.MaxLength:
		add("must have at most %d characters%s", k.Want, got(value))
	case *kind.Minimum:
		add("must be at least %s%s", number(k.Want), got(value))
	case *kind.Maximum:
		add("must be at most %s%s", number(k.Want), got(value))
	case *kind.ExclusiveMinimum:
		add("must be more than %s%s", number(k.Want), got(value))
	case *kind.ExclusiveMaximum:
		add("must be less than %s%s", number(k.Want), got(value))
	case *kind.MultipleOf:
		add("must be a multiple of %s%s", number(k.Want), got(value))
	case *kind.MinItems:
		add("must have at least %d elements (got %d)", k.Want, k.Got)
	case *kind.MaxItems:
		add("must have at most %d elements (got %d)", k.Want, k.Got)
	case *kind.UniqueItems:
		add("must have no element twice ([%d] and [%d] are the same)", k.Duplicates[0], k.Duplicates[1])
	case *kind.MinProperties:
		add("must have at least %d fields (got %d)", k.Want, k.Got)
	case *kind.MaxProperties:
		add("must have at most %d fields (got %d)", k.Want, k.Got)
	case *kind.PropertyNames:
		add("may not have a field %s", plain(k.Property))
	case *kind.ContentEncoding:
		add("must be text in %s%s", k.Want, got(value))
	case *kind.FalseSchema, *kind.Not:
		add("is not allowed")
	default:
		add("violates the schema: %s", shorten(found.ErrorKind.LocalizedString(english), 200))
	}
}

var english = message.NewPrinter(language.English)

// readAlternatives reads what none of several schemas allows. Where all but one
// want another kind of value, as those of a field that may be null do, the
// faults are those of the one.
func (r *reader) readAlternatives(found *jsonschema.ValidationError, value any, add func(string, ...any)) {
	var wanted []string
	var near []*jsonschema.ValidationError
	for _, cause := range found.Causes {
		leaf := cause
		for len(leaf.Causes) == 1 {
			leaf = leaf.Causes[0]
		}
		if k, ok := leaf.ErrorKind.(*kind.Type); ok && len(leaf.InstanceLocation) == len(found.InstanceLocation) {
			wanted = append(wanted, k.Want...)
			continue
		}
		near = append(near, cause)
	}
	switch {
	case len(near) == 1:
		r.read(near[0])
	case len(near) == 0 && len(wanted) > 0:
		add("must be %s%s", oneOf(wanted, typeWord), got(value))
	default:
		add("is none of the %d things that it may be%s", max(len(found.Causes), 2), got(value))
	}
}

// find returns the path of a location in the value, and what is there.
func (r *reader) find(location []string) ([]step, any) {
	at, value := []step{}, r.value
	for _, token := range location {
		switch here := value.(type) {
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(here) {
				return at, nil
			}
			at, value = append(at, step{index: i, element: true}), here[i]
		case map[string]any:
			at, value = append(at, step{name: token}), here[token]
		default:
			return at, nil
		}
	}
	return at, value
}

// fieldsAt returns the names of the fields of the schema at an address, sorted.
func (r *reader) fieldsAt(address string) []string {
	var find func(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) []string
	find = func(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) []string {
		if s == nil || seen[s] {
			return nil
		}
		seen[s] = true
		if s.Location == address {
			var names []string
			for name := range s.Properties {
				names = append(names, name)
			}
			slices.Sort(names)
			return names
		}
		below := slices.Concat([]*jsonschema.Schema{s.Ref, s.Items2020}, s.AnyOf, s.OneOf, s.AllOf, s.PrefixItems)
		if additional, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			below = append(below, additional)
		}
		for _, p := range s.Properties {
			below = append(below, p)
		}
		for _, one := range below {
			if names := find(one, seen); names != nil {
				return names
			}
		}
		return nil
	}
	return find(r.root, map[*jsonschema.Schema]bool{})
}

// step is a part of a path: a field's name, or an element's index.
type step struct {
	name    string
	index   int
	element bool
}

func compareSteps(a, b step) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.index, b.index))
}

// What an error shows of the data, in characters.
const (
	maxShown     = 40  // a value
	maxShownName = 64  // a field's name
	maxShownPath = 300 // a path
)

// pathOf writes a path as people do.
func pathOf(at []step) string {
	var b strings.Builder
	for _, s := range at {
		switch {
		case s.element:
			fmt.Fprintf(&b, "[%d]", s.index)
		case s.name == "" || strings.ContainsAny(s.name, ".[]\"\\ \t\r\n") || !utf8.ValidString(s.name):
			fmt.Fprintf(&b, "[%s]", strconv.Quote(shorten(s.name, maxShownName)))
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(shorten(s.name, maxShownName))
		}
		if b.Len() > maxShownPath {
			return shorten(b.String(), maxShownPath)
		}
	}
	return b.String()
}

// got is what stands behind what was wanted.
func got(value any) string { return " (got " + plain(value) + ")" }

// plain writes a scalar, shortened, and names what is none.
func plain(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		if short := shorten(v, maxShown); short != v {
			return strconv.Quote(strings.TrimSuffix(short, "…")) + "…"
		}
		return strconv.Quote(v)
	case json.Number:
		return shorten(string(v), maxShown)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return shorten(fmt.Sprint(value), maxShown)
}

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// oneOf lists what may be.
func oneOf[T any](wanted []T, word func(T) string) string {
	const most = 12
	var words []string
	for _, w := range wanted {
		if text := word(w); !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	if len(words) > most {
		words = append(words[:most], fmt.Sprintf("one of %d others", len(words)-most))
	}
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}

// typeWord is a JSON Schema type for people.
func typeWord(name string) string {
	switch name {
	case "object":
		return "an object"
	case "integer":
		return "a whole number"
	case "array":
		return "a list"
	case "null":
		return "null"
	case "boolean":
		return "true or false"
	}
	return "a " + name
}

// formatWord is a JSON Schema format for people.
func formatWord(name string) string {
	switch name {
	case "date-time":
		return "a time as in 2026-05-04T09:30:00Z"
	case "date":
		return "a date as in 2026-05-04"
	case "uuid":
		return "a UUID"
	case "email":
		return "an email address"
	case "uri":
		return "a URI"
	}
	return "of the format " + name
}

// number writes a bound as JSON does.
func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
