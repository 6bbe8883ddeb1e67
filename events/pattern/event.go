package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// An Event is a decoded event, ready to be matched against any number of patterns. It is immutable, and safe for
// concurrent use. The zero value is an event without fields.
type Event struct {
	values map[string][]value // by path
	arrays []string           // the path of each array, with a trailing dot
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

// A place says: within this array (an index of Event.arrays), in this element.
type place struct{ array, element int }

// Decode reads an event: the whole of it, as EventBridge delivers it to a target. The error says what is not a JSON object.
func Decode(event []byte) (Event, error) {
	decoder := json.NewDecoder(bytes.NewReader(event))
	decoder.UseNumber() // keeps the spelling of numbers
	var root any
	if err := decoder.Decode(&root); err != nil {
		return Event{}, fmt.Errorf("event: not JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Event{}, errors.New("event: something follows the JSON object")
	}
	fields, ok := root.(map[string]any)
	if !ok {
		return Event{}, errors.New("event: must be a JSON object")
	}
	e := Event{values: make(map[string][]value)}
	e.addObject("", fields, nil)
	return e, nil
}

func (e *Event) addObject(path string, fields map[string]any, in []place) {
	for name, v := range fields {
		at := join(path, name)
		switch v := v.(type) {
		case map[string]any:
			e.addObject(at, v, in)
		case []any:
			e.addArray(at, v, in)
		default:
			e.addValue(at, v, in)
		}
	}
}

func (e *Event) addArray(path string, elements []any, in []place) {
	array := len(e.arrays)
	e.arrays = append(e.arrays, path+".")
	for i, v := range elements {
		switch v := v.(type) {
		case map[string]any:
			e.addObject(path, v, append(in[:len(in):len(in)], place{array, i}))
		case []any:
			e.addArray(path, v, append(in[:len(in):len(in)], place{array, i}))
		default:
			e.addValue(path, v, in)
		}
	}
}

func (e *Event) addValue(path string, v any, in []place) {
	leaf := newValue(v)
	leaf.in = in
	e.values[path] = append(e.values[path], leaf)
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
