// Package edit changes a JSON file that people keep, such as a manifest, and
// leaves alone what it was not asked to change: every byte outside of an added, a
// replaced or a removed value stays, order and spaces included. What is added
// looks like what stands beside it.
//
// Places are JSON pointers (RFC 6901), as in "/subscriptions/0/batchSize".
package edit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tailscale/hujson"
)

// File is the text of a file that is being changed. Make it with [Parse].
type File struct {
	root hujson.Value
	unit string // one level of indentation; empty: all of the file is one line
}

// Parse reads a text that must be one JSON object.
func Parse(text []byte) (*File, error) {
	root, err := hujson.Parse(bytes.Clone(text))
	if err != nil {
		return nil, err
	}
	if !root.IsStandard() || !jsontext.Value(text).IsValid() {
		return nil, errors.New("it is not JSON: comments, trailing commas and names that are there twice are none of it")
	}
	object, ok := root.Value.(*hujson.Object)
	if !ok {
		return nil, errors.New("it is no object")
	}
	f := &File{root: root}
	if len(object.Members) == 0 {
		f.unit = "  "
	}
	for _, m := range object.Members {
		f.unit = cmp.Or(f.unit, afterLine(m.Name.BeforeExtra))
	}
	return f, nil
}

// Bytes is the text as it is now.
func (f *File) Bytes() []byte { return f.root.Pack() }

// Value is the text of a value; nil if there is none.
func (f *File) Value(at string) jsontext.Value {
	v := f.root.Find(at)
	if v == nil {
		return nil
	}
	return hujson.Value{Value: v.Value}.Pack()
}

// Set replaces a member of an object, or adds it as the last one, its value in one
// line. The object must be there. A value is what package json makes JSON of; a
// jsontext.Value is taken as it is written.
func (f *File) Set(at string, value any) error {
	parent, name := split(at)
	object, err := f.object(parent)
	if err != nil {
		return err
	}
	i := index(object, name)
	if i >= 0 {
		v, err := render(value)
		if err != nil {
			return err
		}
		object.Members[i].Value.Value = v
		return nil
	}
	space := f.space(depth(at))
	colon := hujson.Extra(" ")
	if n := len(object.Members); n > 0 {
		space, colon = object.Members[n-1].Name.BeforeExtra, object.Members[n-1].Value.BeforeExtra
		if n == 1 && afterLine(space) == "" {
			space = hujson.Extra(" ")
		}
	} else {
		f.close(&object.AfterExtra, depth(at))
	}
	v, err := render(value)
	if err != nil {
		return err
	}
	member := hujson.ObjectMember{Name: hujson.Value{BeforeExtra: slices.Clone(space), Value: hujson.String(name)}, Value: hujson.Value{BeforeExtra: slices.Clone(colon), Value: v}}
	object.Members = append(object.Members, member)
	return nil
}

// Append adds an element to a list, as the last one: in one line if the one before
// it is, and otherwise with a line for each member. Where its object has no such
// list, it gets one.
func (f *File) Append(at string, value any) error {
	if f.root.Find(at) == nil {
		if err := f.Set(at, []any{}); err != nil {
			return err
		}
	}
	list, ok := f.root.Find(at).Value.(*hujson.Array)
	if !ok {
		return fmt.Errorf("%s is no list", at)
	}
	space := f.space(depth(at) + 1)
	inline := f.unit == ""
	if n := len(list.Elements); n > 0 {
		last := list.Elements[n-1]
		space, inline = last.BeforeExtra, !bytes.ContainsRune(hujson.Value{Value: last.Value}.Pack(), '\n')
		if n == 1 && afterLine(space) == "" {
			space = hujson.Extra(" ")
		}
	} else {
		f.close(&list.AfterExtra, depth(at)+1)
		if inline {
			space = nil
		}
	}
	v, err := render(value)
	if err != nil {
		return err
	}
	if object, ok := v.(*hujson.Object); ok && !inline && !isText(value) {
		f.spread(object, depth(at)+1)
	}
	list.Elements = append(list.Elements, hujson.Value{BeforeExtra: slices.Clone(space), Value: v})
	return nil
}

// Remove removes a member of an object, or an element of a list. That there is
// none is an error.
func (f *File) Remove(at string) error {
	parent, name := split(at)
	v := f.root.Find(parent)
	if v == nil || f.root.Find(at) == nil || at == "" {
		return fmt.Errorf("there is no %s", at)
	}
	switch in := v.Value.(type) {
	case *hujson.Object:
		i := index(in, name)
		if i == 0 && len(in.Members) > 1 {
			in.Members[1].Name.BeforeExtra = in.Members[0].Name.BeforeExtra
		}
		in.Members = slices.Delete(in.Members, i, i+1)
		if n := len(in.Members); n > 0 {
			in.Members[n-1].Value.AfterExtra = nil // what stood before the comma that is gone
		} else {
			in.AfterExtra = nil
		}
	case *hujson.Array:
		var i int
		if _, err := fmt.Sscanf(name, "%d", &i); err != nil {
			return fmt.Errorf("there is no %s", at)
		}
		if i == 0 && len(in.Elements) > 1 {
			in.Elements[1].BeforeExtra = in.Elements[0].BeforeExtra
		}
		in.Elements = slices.Delete(in.Elements, i, i+1)
		if n := len(in.Elements); n > 0 {
			in.Elements[n-1].AfterExtra = nil
		} else {
			in.AfterExtra = nil
		}
	}
	return nil
}

func (f *File) object(at string) (*hujson.Object, error) {
	v := f.root.Find(at)
	if v == nil {
		return nil, fmt.Errorf("there is no %s", at)
	}
	object, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, fmt.Errorf("%s is no object", at)
	}
	return object, nil
}

// render makes a value's text, in one line unless it is a text already.
func render(value any) (hujson.ValueTrimmed, error) {
	text, _ := value.(jsontext.Value)
	if !isText(value) {
		var err error
		if text, err = jsonv2.Marshal(value, jsonv2.Deterministic(true), jsontext.SpaceAfterColon(true), jsontext.SpaceAfterComma(true)); err != nil {
			return nil, err
		}
	}
	v, err := hujson.Parse(bytes.Clone(text))
	if err != nil || !v.IsStandard() {
		return nil, fmt.Errorf("%q is no JSON", text)
	}
	return v.Value, nil
}

func isText(value any) bool {
	_, ok := value.(jsontext.Value)
	return ok
}

// spread gives each member of an object at a depth a line of its own.
func (f *File) spread(object *hujson.Object, depth int) {
	for i := range object.Members {
		object.Members[i].Name.BeforeExtra = f.space(depth + 1)
	}
	if len(object.Members) > 0 {
		object.AfterExtra = f.space(depth)
	}
}

// space is what stands before a value that has a line of its own at a depth.
func (f *File) space(depth int) hujson.Extra {
	if f.unit == "" {
		return nil
	}
	return hujson.Extra("\n" + strings.Repeat(f.unit, depth))
}

// close sets what stands before the bracket that ends what was empty.
func (f *File) close(after *hujson.Extra, depth int) {
	if f.unit != "" {
		*after = f.space(depth - 1)
	}
}

// afterLine is the indentation of what stands in a line of its own; empty if it
// does not.
func afterLine(space hujson.Extra) string {
	at := bytes.LastIndexByte(space, '\n')
	if at < 0 {
		return ""
	}
	return string(space[at+1:])
}

func index(object *hujson.Object, name string) int {
	return slices.IndexFunc(object.Members, func(m hujson.ObjectMember) bool { return m.Name.Value.(hujson.Literal).String() == name })
}

// split is the pointer to what a value is in, and its name there.
func split(at string) (parent, name string) {
	p := jsontext.Pointer(at)
	return string(p.Parent()), p.LastToken()
}

// depth is how deep in the file a value is: 1 for a member of the file's object.
func depth(at string) int { return strings.Count(at, "/") }
