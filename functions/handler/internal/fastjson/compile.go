package fastjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decodeFunc decodes the value at the cursor, which is not white space, into v.
// It reports false where it cannot tell what encoding/json would do; v is then
// whatever it is.
type decodeFunc func(c *cursor, v reflect.Value) bool

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// compile makes the decodeFunc of a type. It reports false for one that has no
// fast path, and so has none of what holds it. known are the types that are made
// already, or are being made.
func compile(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	if f := known[t]; f != nil {
		return func(c *cursor, v reflect.Value) bool { return (*f)(c, v) }, true
	}
	f := new(decodeFunc)
	known[t] = f
	var ok bool
	*f, ok = compileNew(t, known)
	return *f, ok
}

func compileNew(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	pointer := reflect.PointerTo(t)
	switch {
	case t.Name() == "" && (pointer.Implements(unmarshaler) || pointer.Implements(textUnmarshaler)):
		return nil, false
	case pointer.Implements(unmarshaler):
		return decodeItself, true
	case pointer.Implements(textUnmarshaler):
		return decodeText, true
	}
	switch t.Kind() {
	case reflect.String:
		if t == reflect.TypeFor[json.Number]() {
			return nil, false
		}
		return decodeString, true
	case reflect.Bool:
		return decodeBool, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return decodeInt, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return decodeUint, true
	case reflect.Float32, reflect.Float64:
		return decodeFloat, true
	case reflect.Struct:
		return compileStruct(t, known)
	case reflect.Pointer:
		return compilePointer(t, known)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil, false // base64
		}
		return compileSlice(t, known)
	case reflect.Map:
		key := t.Key()
		if key.Kind() != reflect.String || reflect.PointerTo(key).Implements(textUnmarshaler) {
			return nil, false
		}
		return compileMap(t, known)
	}
	return nil, false
}

// decodeItself decodes a value whose pointer has UnmarshalJSON, which copies what
// it keeps, as json.Unmarshaler demands. It is called once more if what follows in
// the text is left to encoding/json.
func decodeItself(c *cursor, v reflect.Value) bool {
	start := c.at
	if !c.skip() {
		return false
	}
	c.scratch = append(c.scratch[:0], c.text[start:c.at]...)
	return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(c.scratch) == nil
}

// decodeText decodes a value whose pointer has UnmarshalText.
func decodeText(c *cursor, v reflect.Value) bool {
	s, ok := c.string()
	return ok && v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)) == nil
}

func decodeString(c *cursor, v reflect.Value) bool {
	if c.peek() == 'n' {
		return c.word("null") // it changes nothing
	}
	s, ok := c.string()
	if ok {
		v.SetString(s)
	}
	return ok
}

func decodeBool(c *cursor, v reflect.Value) bool {
	switch c.peek() {
	case 't':
		v.SetBool(true)
		return c.word("true")
	case 'f':
		v.SetBool(false)
		return c.word("false")
	}
	return c.word("null")
}

func decodeInt(c *cursor, v reflect.Value) bool {
	if c.peek() == 'n' {
		return c.word("null")
	}
	literal, _, ok := c.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	return true
}

func decodeUint(c *cursor, v reflect.Value) bool {
	if c.peek() == 'n' {
		return c.word("null")
	}
	literal, _, ok := c.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(literal, 10, 64)
	if err != nil || v.OverflowUint(n) {
		return false
	}
	v.SetUint(n)
	return true
}

func decodeFloat(c *cursor, v reflect.Value) bool {
	if c.peek() == 'n' {
		return c.word("null")
	}
	literal, _, ok := c.number()
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(literal, v.Type().Bits())
	if err != nil || v.OverflowFloat(n) {
		return false
	}
	v.SetFloat(n)
	return true
}

func compilePointer(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	decode, ok := compile(t.Elem(), known)
	return func(c *cursor, v reflect.Value) bool {
		if c.peek() == 'n' {
			v.SetZero()
			return c.word("null")
		}
		if v.IsNil() {
			v.Set(reflect.New(t.Elem()))
		}
		return decode(c, v.Elem())
	}, ok
}

func compileSlice(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	decode, ok := compile(t.Elem(), known)
	return func(c *cursor, v reflect.Value) bool {
		if c.peek() == 'n' {
			v.SetZero()
			return c.word("null")
		}
		v.Set(reflect.MakeSlice(t, 0, 0))
		return c.list('[', ']', func() bool {
			n := v.Len()
			if n == v.Cap() {
				v.Grow(max(4, n))
			}
			v.SetLen(n + 1) // what Grow has made is zero
			return decode(c, v.Index(n))
		})
	}, ok
}

func compileMap(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	decode, ok := compile(t.Elem(), known)
	return func(c *cursor, v reflect.Value) bool {
		if c.peek() == 'n' {
			v.SetZero()
			return c.word("null")
		}
		v.Set(reflect.MakeMap(t))
		key, element := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		return c.list('{', '}', func() bool {
			name, ok := c.string()
			if !ok || !c.colon() {
				return false
			}
			element.SetZero()
			if !decode(c, element) {
				return false
			}
			key.SetString(name)
			v.SetMapIndex(key, element)
			return true
		})
	}, ok
}

// field is a member of a JSON object.
type field struct {
	name   string
	index  int
	decode decodeFunc
}

// maxFields is how many fields a struct may have here: their bits are in one
// word.
const maxFields = 64

func compileStruct(t reflect.Type, known map[reflect.Type]*decodeFunc) (decodeFunc, bool) {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		switch {
		case f.Anonymous:
			return nil, false // whose fields may hide one another
		case !f.IsExported() || tag == "-":
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		for option := range strings.SplitSeq(options, ",") {
			if option == "string" {
				return nil, false
			}
		}
		if name == "" {
			name = f.Name
		}
		if !simple(name) || find(fields, 0, name) >= 0 || folds(fields, name) || len(fields) == maxFields {
			return nil, false
		}
		decode, ok := compile(f.Type, known)
		if !ok {
			return nil, false
		}
		fields = append(fields, field{name, i, decode})
	}
	return func(c *cursor, v reflect.Value) bool {
		if c.peek() == 'n' {
			return c.word("null") // it changes nothing
		}
		var (
			next int    // the fields mostly come in order
			seen uint64 // by index of fields
		)
		return c.list('{', '}', func() bool {
			name, escaped, ok := c.literal()
			if !ok || escaped || !c.colon() {
				return false
			}
			i := find(fields, next, name)
			if i < 0 {
				return simple(name) && !folds(fields, name) && c.skip()
			}
			if seen&(1<<i) != 0 {
				return false // a second value merges with the first, each kind in its way
			}
			seen |= 1 << i
			next = i + 1
			return fields[i].decode(c, v.Field(fields[i].index))
		})
	}, true
}

// simple reports whether a field's name is of letters, digits and what else
// cannot be mistaken in a tag.
func simple(name string) bool {
	for i := range len(name) {
		switch b := name[i]; {
		case b >= utf8.RuneSelf:
			return false
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '_', b == '-', b == '.':
		default:
			return false
		}
	}
	return true
}

// find returns the index of the field of that name, -1 if there is none. It
// begins to look at index next.
func find(fields []field, next int, name string) int {
	for i := next; i < len(fields); i++ {
		if fields[i].name == name {
			return i
		}
	}
	for i := range min(next, len(fields)) {
		if fields[i].name == name {
			return i
		}
	}
	return -1
}

// folds reports whether a name differs from that of a field in case only. Both
// are ASCII.
func folds(fields []field, name string) bool {
	for i := range fields {
		if len(fields[i].name) == len(name) && strings.EqualFold(fields[i].name, name) {
			return true
		}
	}
	return false
}
