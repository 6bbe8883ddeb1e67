package pattern

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A node is an object of a pattern: all of its fields must match, and one alternative of each $or.
type node struct {
	fields []field
	ors    [][]*node
}

// A field is a named child of a node: an object, or a leaf.
type field struct {
	name   string
	object *node // nil for a leaf
	leaf   *leaf // nil for an object
}

// A leaf is the array at the end of a path: one of its entries must hold.
type leaf struct {
	path   string // dotted, from the event's root
	tests  []test // for the values at the path
	absent bool   // {"exists": false} is among the entries
}

// or is the one field name of a pattern that is not a field of the event.
const or = "$or"

// reserved are the names that Event Ruler refuses for a field inside $or, where they are more likely a misplaced operator.
var reserved = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case",
	"date-after", "date-on-or-after", "date-before", "date-on-or-before", "in-date-range",
	"ip-address-in-range", "ip-address-not-in-range",
}

func parse(data []byte) (*node, error) {
	value, err := readJSON(data)
	if err != nil {
		return nil, err
	}
	o, ok := value.(object)
	if !ok {
		return nil, fmt.Errorf("must be a JSON object, not %s", kindOf(value))
	}
	return parseNode(o, "", false)
}

// parseNode parses the object at a path ("" is the root).
func parseNode(o object, path string, insideOr bool) (*node, error) {
	if len(o) == 0 {
		return nil, faultAt(path, "an empty object is not allowed: leave the field out, or test one inside it")
	}
	n := &node{}
	for _, m := range o {
		if m.name == or {
			alternatives, err := parseOr(m.value, path)
			if err != nil {
				return nil, err
			}
			n.ors = append(n.ors, alternatives)
			continue
		}
		at := join(path, m.name)
		if insideOr && slices.Contains(reserved, m.name) {
			return nil, faultAt(at, "inside %s, %q is an operator's name and cannot be a field's", or, m.name)
		}
		f := field{name: m.name}
		var err error
		switch v := m.value.(type) {
		case object:
			f.object, err = parseNode(v, at, insideOr)
		case []any:
			f.leaf, err = parseLeaf(v, at)
		default:
			err = faultAt(at, "must be an object or an array, not %s: write [%s]", kindOf(v), jsonText(v))
		}
		if err != nil {
			return nil, err
		}
		n.fields = append(n.fields, f)
	}
	return n, nil
}

// parseOr parses the alternatives of a $or; path is that of the object it stands in.
func parseOr(value any, path string) ([]*node, error) {
	at := join(path, or)
	list, ok := value.([]any)
	if !ok {
		return nil, faultAt(at, "must be an array of objects, not %s", kindOf(value))
	}
	if len(list) < 2 {
		return nil, faultAt(at, "must have at least 2 objects, not %d", len(list))
	}
	var alternatives []*node
	for _, v := range list {
		o, ok := v.(object)
		if !ok {
			return nil, faultAt(at, "must hold objects, not %s", kindOf(v))
		}
		n, err := parseNode(o, path, true)
		if err != nil {
			return nil, err
		}
		alternatives = append(alternatives, n)
	}
	return alternatives, nil
}

func parseLeaf(entries []any, path string) (*leaf, error) {
	if len(entries) == 0 {
		return nil, faultAt(path, "an empty array is not allowed: name the values that match, or [{\"exists\": true}]")
	}
	l := &leaf{path: path}
	for _, entry := range entries {
		if entry, ok := entry.(object); ok && len(entry) == 1 && entry[0].name == "exists" {
			exists, ok := entry[0].value.(bool)
			switch {
			case !ok:
				return nil, faultAt(path, "exists must be true or false, not %s", kindOf(entry[0].value))
			case exists:
				l.tests = append(l.tests, anyValue{})
			default:
				l.absent = true
			}
			continue
		}
		t, err := parseTest(entry)
		if err != nil {
			return nil, faultAt(path, "%w", err)
		}
		l.tests = append(l.tests, t)
	}
	return l, nil
}

// faultAt makes the error of a fault at a path.
func faultAt(path, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// An object is a JSON object with its members as written: in order, and with repeated names.
type object []member

type member struct {
	name  string
	value any
}

// readJSON reads one JSON value as object, []any, string, json.Number, bool or nil.
func readJSON(data []byte) (any, error) {
	// Unmarshal checks the syntax of all of it, and bounds its depth (10,000) before the recursion below.
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("not JSON: %w, after byte %d", err, syntax.Offset)
		}
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return readValue(decoder)
}

func readValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if delim == '{' {
		o := object{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := readValue(decoder)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name.(string), value})
		}
		_, err = decoder.Token()
		return o, err
	}
	list := []any{}
	for decoder.More() {
		value, err := readValue(decoder)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err = decoder.Token()
	return list, err
}

// kindOf names the kind of a value that readJSON returned, for errors.
func kindOf(v any) string {
	switch v := v.(type) {
	case object:
		return "an object"
	case []any:
		return "an array"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return fmt.Sprint(v)
	default:
		return "null"
	}
}

// jsonText is the JSON of a string, number, bool or nil.
func jsonText(v any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return kindOf(v)
	}
	return strings.TrimSpace(text.String())
}
