package pattern

import "fmt"

// An Event is a decoded event, ready to be matched against any number of patterns. It is immutable, and safe for
// concurrent use. The zero value is an event without fields.
type Event struct {
	values map[string][]value // by path
	arrays arrays
}

// A value is a leaf of an event: a string, a number, true, false or null.
type value struct {
	kind    kind
	text    string  // a string's content, or a number as it is spelled
	number  float64 // a number's value
	inRange bool    // whether that compares as a number (maxNumber)
	in      []place // the arrays around it, outermost first; not the one that holds the value itself
}

type kind uint8

const (
	isNull kind = iota
	isFalse
	isTrue
	isNumber
	isString
)

// arrays are the arrays of an event.
type arrays struct {
	paths  []string // of each, with a trailing dot
	nested bool     // some value has an array around it (value.in)
}

// A place says: within this array (an index of arrays.paths), in this element.
type place struct{ array, element int }

// below is what the paths of everything in the value at path begin with.
func below(path string) string {
	if path == "" { // which is a field without a name, and as join has it, the root
		return ""
	}
	return path + "."
}

// Decode reads an event: the whole of it, as EventBridge delivers it to a target. The error says what is not a JSON object.
// To match many events against the same patterns, a [Set] is faster.
func Decode(event []byte) (Event, error) {
	e := Event{values: make(map[string][]value)}
	r := reader[string]{
		child: func(path, name string) (string, bool) { return join(path, name), true },
		path:  below,
		keep:  func(path string, v value) { e.values[path] = append(e.values[path], v) },
	}
	if err := r.read(event, ""); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	e.arrays = r.arrays
	return e, nil
}
