package pipeline

import (
	"errors"
	"fmt"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// readValue reads one JSON value: valid UTF-8, no name twice in an object, and
// nothing behind it. Everything else in this file trusts that check, and is
// little more than a search for quotation marks and brackets.
//
// The value shares the memory of data, which must not change as long as it is
// used.
func readValue(data []byte) (value, error) {
	if !jsontext.Value(data).IsValid() {
		var v jsontext.Value
		err := jsonv2.Unmarshal(data, &v)
		if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			if errors.Is(err, jsontext.ErrDuplicateName) {
				return value{}, fmt.Errorf("not JSON: the field %q is there twice, at byte %d", syntax.JSONPointer.LastToken(), syntax.ByteOffset)
			}
			return value{}, fmt.Errorf("not JSON: %w, at byte %d", syntax.Err, syntax.ByteOffset)
		}
		return value{}, fmt.Errorf("not JSON: %w", err)
	}
	s := scanner{text: view(data)}
	s.space()
	v := s.value()
	if s.deepest > maxDepth {
		return value{}, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	return v, nil
}

// maxDepth is what MongoDB allows ("MongoDB Limits: Nested Depth for BSON
// Documents").
const maxDepth = 100

// readDocument is readValue for an object.
func readDocument(data []byte) (value, error) {
	v, err := readValue(data)
	if err == nil && v.kind != object {
		return value{}, fmt.Errorf("not a JSON object: it is of type %s", v.typeName())
	}
	return v, err
}

// readFields reads the fields of an object.
func readFields(raw string) []field {
	s := scanner{text: raw, at: 1}
	var few [16]field // on the stack: the heap gets what there is, and no more
	fields := few[:0]
	for s.space(); raw[s.at] != '}'; s.space() {
		if raw[s.at] == ',' {
			s.at++
			s.space()
		}
		name := s.string()
		s.space()
		s.at++ // the colon
		s.space()
		fields = append(fields, field{name.content(), s.value()})
	}
	all := make([]field, len(fields))
	copy(all, fields)
	return all
}

// readItems reads the elements of an array.
func readItems(raw string) []value {
	s := scanner{text: raw, at: 1}
	var few [16]value
	items := few[:0]
	for s.space(); raw[s.at] != ']'; s.space() {
		if raw[s.at] == ',' {
			s.at++
			s.space()
		}
		items = append(items, s.value())
	}
	all := make([]value, len(items))
	copy(all, items)
	return all
}

// scanner goes through valid JSON.
type scanner struct {
	text    string
	at      int
	deepest int // level that skip has seen
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// value reads the value that begins here; objects and arrays it skips.
func (s *scanner) value() value {
	start := s.at
	switch s.text[start] {
	case '"':
		return s.string()
	case '{':
		s.skip()
		return value{kind: object, str: s.text[start:s.at]}
	case '[':
		s.skip()
		return value{kind: array, str: s.text[start:s.at]}
	case 't':
		s.at += len("true")
		return ofBool(true)
	case 'f':
		s.at += len("false")
		return ofBool(false)
	case 'n':
		s.at += len("null")
		return value{kind: null}
	}
	for s.at < len(s.text) && s.text[s.at] > ' ' && s.text[s.at] != ',' && s.text[s.at] != ']' && s.text[s.at] != '}' {
		s.at++
	}
	return value{kind: digits, str: s.text[start:s.at]}
}

func (s *scanner) string() value {
	start := s.at
	if s.skipString() {
		return value{kind: text, form: quoted, str: s.text[start:s.at]}
	}
	return value{kind: text, form: plain, str: s.text[start+1 : s.at-1]}
}

// skipString skips a string, and says whether it has escapes.
func (s *scanner) skipString() (escaped bool) {
	s.at++
	for {
		n := strings.IndexByte(s.text[s.at:], '"')
		if i := strings.IndexByte(s.text[s.at:s.at+n], '\\'); i >= 0 {
			escaped = true
			s.at += i + 2 // what is escaped may be a quotation mark
			continue
		}
		s.at += n + 1
		return escaped
	}
}

// skip skips an object or an array.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch s.text[s.at] {
		case '"':
			s.skipString()
			continue
		case '{', '[':
			depth++
			s.deepest = max(s.deepest, depth)
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// unquote returns the content of a JSON string.
func unquote(raw string) string {
	b, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		panic(err) // it has been checked
	}
	return view(b)
}
