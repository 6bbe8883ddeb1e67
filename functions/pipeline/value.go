package pipeline

import "unsafe"

// kind is what a value is.
type kind uint8

const (
	missing kind = iota // there is no value; the zero value is missing
	null
	digits  // a number as its document spells it
	integer // a computed number of 64 bits
	double  // a computed number in floating point
	text
	object
	array
	boolean
)

// value is a JSON value, or none. Its documents are read lazily: an object or
// an array is raw JSON until somebody looks into it, a number is digits until
// somebody computes with it, and what nobody touches is written as it was read.
//
// A value is immutable but for that reading, which remembers what it found:
// those of one document belong to one goroutine at a time. Those of a pipeline
// are read to the end when it is parsed (see freeze).
type value struct {
	kind kind
	form form
	bits uint64 // of an integer or a double; 1 for true
	// str is a text's content or JSON (see form), a number's digits, and the
	// JSON of an object or array; empty for one that was made.
	str  string
	node *node // what is in an object or array, once it is read
}

// form says what the str of a text is.
type form uint8

const (
	content form = iota // the content
	plain               // the content, which needs no escapes in JSON
	quoted              // JSON: quotation marks and escapes
)

// node is the inside of an object or an array.
type node struct {
	fields []field // of an object, in its order
	items  []value // of an array
}

// field is a member of an object.
type field struct {
	name  string
	value value
}

var nothing = &node{}

func ofText(s string) value { return value{kind: text, str: s} }

func ofBool(b bool) value {
	v := value{kind: boolean}
	if b {
		v.bits = 1
	}
	return v
}

func ofFields(fields []field) value { return value{kind: object, node: &node{fields: fields}} }

func ofItems(items []value) value { return value{kind: array, node: &node{items: items}} }

// nullish says that a value is null or missing.
func (v *value) nullish() bool { return v.kind <= null }

// numeric says that a value is a number.
func (v *value) numeric() bool { return v.kind >= digits && v.kind <= double }

// truth is how conditions take a value: false, null, 0 and what is missing are
// false, all else is true ("Aggregation Operators: Boolean Expressions").
func (v *value) truth() bool {
	switch v.kind {
	case missing, null:
		return false
	case boolean:
		return v.bits != 0
	case digits, integer, double:
		return v.number().sign() != 0
	}
	return true
}

// content is what a text says.
func (v *value) content() string {
	if v.form == quoted {
		*v = value{kind: text, str: unquote(v.str)}
	}
	return v.str
}

// open reads an object or an array; anything else has nothing in it.
func (v *value) open() *node {
	if v.node == nil {
		switch v.kind {
		case object:
			v.node = &node{fields: readFields(v.str)}
		case array:
			v.node = &node{items: readItems(v.str)}
		default:
			return nothing
		}
	}
	return v.node
}

// field finds a field of an object; nil if there is none.
func (v *value) field(name string) *value {
	fields := v.open().fields
	for i := range fields {
		if fields[i].name == name {
			return &fields[i].value
		}
	}
	return nil
}

// freeze reads a value to the end, so that many goroutines may use it.
func (v *value) freeze() {
	switch v.kind {
	case digits:
		*v = v.number().value(v.str)
	case text:
		v.content()
	case object, array:
		n := v.open()
		for i := range n.fields {
			n.fields[i].value.freeze()
		}
		for i := range n.items {
			n.items[i].freeze()
		}
	}
}

// typeName is the type of a value for errors, as MongoDB calls it.
func (v *value) typeName() string {
	switch v.kind {
	case missing:
		return "missing"
	case null:
		return "null"
	case text:
		return "string"
	case object:
		return "object"
	case array:
		return "array"
	case boolean:
		return "bool"
	}
	if v.number().whole {
		return "long"
	}
	return "double"
}

// view is bytes as a string that shares their memory.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
