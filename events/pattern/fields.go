package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Fields are the fields of an event that some patterns look at. Decoding no more than these is several times cheaper than
// Decode, since most of an event is its data, and most rules look at two fields beside it. Fields is immutable, and safe
// for concurrent use.
type Fields struct {
	root *branch
}

// A branch is a node of the tree of paths, by the segments between their dots.
type branch struct {
	path     string
	leaf     bool // a pattern tests the value at this path
	children map[string]*branch
}

// FieldsOf returns the fields that any of the patterns looks at.
func FieldsOf(patterns ...*Pattern) *Fields {
	f := &Fields{root: &branch{}}
	for _, p := range patterns {
		for _, c := range p.clauses {
			for _, l := range c {
				f.root.grow(l.path)
			}
		}
	}
	return f
}

func (b *branch) grow(path string) {
	if path == "" {
		b.leaf = true // a field without a name, which join puts here
		return
	}
	end := -1
	for segment := range strings.SplitSeq(path, ".") {
		end += 1 + len(segment)
		child := b.children[segment]
		if child == nil {
			child = &branch{path: path[:end]}
			if b.children == nil {
				b.children = map[string]*branch{}
			}
			b.children[segment] = child
		}
		b = child
	}
	b.leaf = true
}

// find returns the branch of a field's name, which may itself have dots; nil if no pattern looks at it or below it.
func (b *branch) find(name []byte) *branch {
	if b.path == "" && len(name) == 0 {
		return b // as join puts it
	}
	if child := b.children[string(name)]; child != nil {
		return child
	}
	for segment := range bytes.SplitSeq(name, []byte{'.'}) {
		if b = b.children[string(segment)]; b == nil {
			return nil
		}
	}
	return b
}

// Decode reads of an event what the patterns look at. MatchEvent answers for those patterns, and for no others, as it does
// for an event that was decoded whole. The error is that of the function Decode.
func (f *Fields) Decode(event []byte) (Event, error) {
	d := fieldsDecoder{json: jsontext.NewDecoder(bytes.NewBuffer(event), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if kind := d.json.PeekKind(); kind != '{' {
		if _, err := d.json.ReadValue(); err != nil {
			return Event{}, fmt.Errorf("event: not JSON: %w", err)
		}
		return Event{}, errors.New("event: must be a JSON object")
	}
	d.event.values = make(map[string][]value)
	if err := d.object(f.root, nil); err != nil {
		return Event{}, fmt.Errorf("event: not JSON: %w", err)
	}
	if _, err := d.json.ReadToken(); err != io.EOF {
		return Event{}, errors.New("event: something follows the JSON object")
	}
	return d.event, nil
}

type fieldsDecoder struct {
	json  *jsontext.Decoder
	event Event
}

// object reads an object whose fields lie below b.
func (d *fieldsDecoder) object(b *branch, in []place) error {
	if _, err := d.json.ReadToken(); err != nil { // {
		return err
	}
	for d.json.PeekKind() != '}' {
		raw, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		name := raw[1 : len(raw)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if name, err = jsontext.AppendUnquote(nil, raw); err != nil {
				return err
			}
		}
		if err := d.value(b.find(name), in); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken() // }
	return err
}

// value reads the value at b; with nil it is skipped.
func (d *fieldsDecoder) value(b *branch, in []place) error {
	if b == nil {
		return d.json.SkipValue()
	}
	switch d.json.PeekKind() {
	case '{':
		if b.children == nil && b.path != "" {
			return d.json.SkipValue()
		}
		return d.object(b, in)
	case '[':
		return d.array(b, in)
	}
	token, err := d.json.ReadToken()
	if err != nil || !b.leaf {
		return err
	}
	leaf := value{kind: isNull, in: in}
	switch token.Kind() {
	case '"':
		leaf.kind, leaf.text = isString, token.String()
	case '0':
		leaf.kind, leaf.text = isNumber, token.String()
		leaf.number, leaf.inRange = parseNumber(leaf.text)
	case 't':
		leaf.kind = isTrue
	case 'f':
		leaf.kind = isFalse
	}
	d.event.values[b.path] = append(d.event.values[b.path], leaf)
	return nil
}

// array reads an array: a value or an object in it is at the array's own path.
func (d *fieldsDecoder) array(b *branch, in []place) error {
	if _, err := d.json.ReadToken(); err != nil { // [
		return err
	}
	array := len(d.event.arrays)
	d.event.arrays = append(d.event.arrays, b.path+".")
	for i := 0; d.json.PeekKind() != ']'; i++ {
		at := in
		if kind := d.json.PeekKind(); kind == '{' || kind == '[' {
			at = append(in[:len(in):len(in)], place{array, i})
		}
		if err := d.value(b, at); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken() // ]
	return err
}
