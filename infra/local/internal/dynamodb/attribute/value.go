// Package attribute holds DynamoDB's attribute values: their types, their
// JSON form, how they compare, and how their size is counted.
//
// A [Value] is in a canonical form from the moment it is decoded: maps are
// sorted by name, sets by element, and numbers have one spelling. So two
// values are equal if and only if their JSON is, and an item is stored, put
// into a stream record and given back as one and the same text.
//
// Values are immutable: whoever changes one makes a new one, which may share
// parts with the old.
package attribute

import (
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// Kind is an attribute's type.
type Kind uint8

// The types, as the wire protocol and attribute_type name them.
const (
	S    Kind = iota + 1 // text
	N                    // number
	B                    // bytes
	BOOL                 // true or false
	NULL                 // null
	SS                   // set of texts
	NS                   // set of numbers
	BS                   // set of bytes
	L                    // list
	M                    // map
)

var kindNames = [...]string{"", "S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"}

func (k Kind) String() string { return kindNames[k] }

// KindOf finds a type by its name; 0 if there is none of that name.
func KindOf(name string) Kind {
	for k := S; k <= M; k++ {
		if kindNames[k] == name {
			return k
		}
	}
	return 0
}

// Element is the type of a set's elements; 0 for what is not a set.
func (k Kind) Element() Kind {
	switch k {
	case SS:
		return S
	case NS:
		return N
	case BS:
		return B
	}
	return 0
}

// Value is one attribute value. The zero value is no value at all.
type Value struct {
	Kind Kind
	Bool bool    // BOOL
	Text string  // S: the text; N: the number in its one spelling; B: the bytes
	List []Value // L: the elements; SS, NS, BS: the elements in order, each an S, N or B
	Map  Map     // M
}

// Map is a map's fields, or an item's attributes, sorted by name, each name
// once.
type Map []Field

// Field is one entry of a [Map].
type Field struct {
	Name  string
	Value Value
}

func (m Map) find(name string) (int, bool) {
	return slices.BinarySearchFunc(m, name, func(f Field, name string) int { return strings.Compare(f.Name, name) })
}

// Get returns the value called name, to be read only; nil if there is none.
func (m Map) Get(name string) *Value {
	if i, ok := m.find(name); ok {
		return &m[i].Value
	}
	return nil
}

// With returns a copy of m in which name has the value v.
func (m Map) With(name string, v Value) Map {
	i, ok := m.find(name)
	if ok {
		m = slices.Clone(m)
		m[i].Value = v
		return m
	}
	return slices.Insert(slices.Clip(m), i, Field{name, v})
}

// Without returns a copy of m that has no value called name.
func (m Map) Without(name string) Map {
	i, ok := m.find(name)
	if !ok {
		return m
	}
	return slices.Concat(m[:i], m[i+1:])
}

// Equal reports whether two values have the same type and content.
func (v Value) Equal(w Value) bool {
	return v.Kind == w.Kind && v.Bool == w.Bool && v.Text == w.Text &&
		slices.EqualFunc(v.List, w.List, Value.Equal) &&
		slices.EqualFunc(v.Map, w.Map, func(f, g Field) bool { return f.Name == g.Name && f.Value.Equal(g.Value) })
}

// Compare orders two values of the same type S (by UTF-8 bytes), N or B (as
// unsigned bytes); ok is false for any other pair, which has no order.
func (v Value) Compare(w Value) (order int, ok bool) {
	switch {
	case v.Kind != w.Kind || v.Kind < S || v.Kind > B:
		return 0, false
	case v.Kind == N:
		return parseCanonical(v.Text).compare(parseCanonical(w.Text)), true
	}
	return strings.Compare(v.Text, w.Text), true
}

// compareElements orders the elements of a set.
func compareElements(v, w Value) int {
	order, _ := v.Compare(w)
	return order
}

// Union is the set of the elements of two sets of the same type.
func (v Value) Union(w Value) Value {
	all := slices.Concat(v.List, w.List)
	slices.SortFunc(all, compareElements)
	return Value{Kind: v.Kind, List: slices.CompactFunc(all, Value.Equal)}
}

// Difference is the set of the elements of v that are not in w, a set of the
// same type. It may be empty, which DynamoDB does not store.
func (v Value) Difference(w Value) Value {
	out := Value{Kind: v.Kind}
	for _, e := range v.List {
		if !slices.ContainsFunc(w.List, e.Equal) {
			out.List = append(out.List, e)
		}
	}
	return out
}

// MaxDepth is how deep lists and maps may be nested in an attribute ("Quotas
// in Amazon DynamoDB").
const MaxDepth = 32

// Measure returns the size of an item as DynamoDB counts it ("DynamoDB item
// sizes and formats") in bytes, and how deep lists and maps are nested in it.
func (m Map) Measure() (size, depth int) {
	for i := range m {
		s, d := m[i].Value.measure()
		size += len(m[i].Name) + s
		depth = max(depth, d)
	}
	return size, depth
}

func (v *Value) measure() (size, depth int) {
	switch v.Kind {
	case S, B:
		return len(v.Text), 0
	case N:
		return parseCanonical(v.Text).size(), 0
	case SS, NS, BS:
		for i := range v.List {
			s, _ := v.List[i].measure()
			size += s
		}
		return size, 0
	case L:
		size = 3
		for i := range v.List {
			s, d := v.List[i].measure()
			size += 1 + s
			depth = max(depth, d)
		}
		return size, depth + 1
	case M:
		size, depth = v.Map.Measure()
		return size + 3 + len(v.Map), depth + 1
	}
	return 1, 0 // BOOL, NULL
}

func invalid(format string, args ...any) error {
	return awswire.Errorf("ValidationException", format, args...)
}

// ErrDepth is what is answered for an attribute nested deeper than MaxDepth.
var ErrDepth = invalid("Nesting Levels have exceeded supported limits: an attribute may be nested up to %d levels deep", MaxDepth)
