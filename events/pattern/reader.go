package pattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// A reader walks through the JSON of an event and hands over its values. P is what stands for a path: a string, or a
// branch of the tree of the paths that somebody asks for.
//
// It reads in two passes. The first, of the JSON library, tells whether the event is valid; the second trusts it, and so
// is little more than a search for quotation marks and brackets. Together they cost half of what a tokenizer does, and an
// event is read once for all the rules of a bus.
type reader[P any] struct {
	child func(P, string) (P, bool) // the path of a field; false: nobody asks for it or for what is below it
	path  func(P) string            // an array's, with a trailing dot
	keep  func(P, value)            // takes a value; its text shares memory with the event's copy

	text   string // the event, valid JSON
	at     int    // how far it is read
	arrays arrays
}

// read reads an event from its root.
func (r *reader[P]) read(event []byte, root P) error {
	if !jsontext.Value(event).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		var raw json.RawMessage
		if err := json.Unmarshal(event, &raw); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		return errors.New("not JSON, or nested too deeply")
	}
	r.text = string(event)
	if r.peek() != '{' {
		return errors.New("must be a JSON object")
	}
	r.object(root, nil)
	return nil
}

// peek returns the byte that begins what comes next.
func (r *reader[P]) peek() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
}

// object reads an object whose fields lie below a path.
func (r *reader[P]) object(path P, in []place) {
	r.at++ // {
	for r.peek() != '}' {
		name := r.string()
		r.peek()
		r.at++ // :
		if at, asked := r.child(path, name); asked {
			r.value(at, in)
		} else {
			r.skip()
		}
		if r.peek() == ',' {
			r.at++
			r.peek()
		}
	}
	r.at++ // }
}

// array reads an array: a value or an object in it is at the array's own path.
func (r *reader[P]) array(path P, in []place) {
	r.at++ // [
	array := len(r.arrays.paths)
	r.arrays.paths = append(r.arrays.paths, r.path(path))
	for i := 0; r.peek() != ']'; i++ {
		around := in
		if c := r.peek(); c == '{' || c == '[' {
			around = append(in[:len(in):len(in)], place{array, i})
		}
		r.value(path, around)
		if r.peek() == ',' {
			r.at++
		}
	}
	r.at++ // ]
}

// value reads the value at a path.
func (r *reader[P]) value(path P, in []place) {
	v := value{in: in}
	switch r.peek() {
	case '{':
		r.object(path, in)
		return
	case '[':
		r.array(path, in)
		return
	case '"':
		v.kind, v.text = isString, r.string()
	case 't':
		v.kind = isTrue
		r.at += len("true")
	case 'f':
		v.kind = isFalse
		r.at += len("false")
	case 'n':
		v.kind = isNull
		r.at += len("null")
	default:
		start := r.at
		r.number()
		v.kind, v.text = isNumber, r.text[start:r.at]
		v.number, v.inRange = parseNumber(v.text)
	}
	if len(in) > 0 {
		r.arrays.nested = true
	}
	r.keep(path, v)
}

// string reads a string and returns its content.
func (r *reader[P]) string() string {
	start := r.at
	if !r.skipString() {
		return r.text[start+1 : r.at-1]
	}
	// The error tells of what is not UTF-8, which becomes the replacement character.
	content, _ := jsontext.AppendUnquote(nil, r.text[start:r.at])
	return string(content)
}

// skipString skips a string, and reports whether it has escapes.
func (r *reader[P]) skipString() (escaped bool) {
	r.at++ // "
	for {
		n := strings.IndexByte(r.text[r.at:], '"')
		if i := strings.IndexByte(r.text[r.at:r.at+n], '\\'); i >= 0 {
			escaped = true
			r.at += i + 2
			continue
		}
		r.at += n + 1
		return escaped
	}
}

// number skips a number, true, false or null.
func (r *reader[P]) number() {
	for {
		switch r.text[r.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return
		}
		r.at++
	}
}

// skip skips a value.
func (r *reader[P]) skip() {
	switch r.peek() {
	case '"':
		r.skipString()
		return
	case '{', '[':
	default:
		r.number()
		return
	}
	for depth := 0; ; {
		switch r.text[r.at] {
		case '"':
			r.skipString()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		r.at++
		if depth == 0 {
			return
		}
	}
}
