package pipeline

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBytes is the most that a document may measure when it leaves a pipeline,
// in any way: what MongoDB allows one ("MongoDB Limits: BSON Document Size").
const MaxBytes = 16 << 20

var errTooLarge = fmt.Errorf("it has grown beyond %d MiB", MaxBytes>>20)

// json writes a value.
func (v *value) json() ([]byte, error) { return v.jsonInto(make([]byte, 0, max(len(v.str), 512))) }

// jsonInto is json that uses the memory of b.
func (v *value) jsonInto(b []byte) ([]byte, error) {
	b = v.appendJSON(b[:0])
	if len(b) > MaxBytes {
		return nil, errTooLarge
	}
	return b, nil
}

// appendJSON writes a value; one that is missing as null. It stops when there
// is too much.
func (v *value) appendJSON(b []byte) []byte {
	switch v.kind {
	case missing, null:
		return append(b, "null"...)
	case digits:
		return append(b, v.str...)
	case integer, double:
		if v.str != "" {
			return append(b, v.str...)
		}
		return v.number().append(b)
	case boolean:
		return strconv.AppendBool(b, v.bits != 0)
	case text:
		switch v.form {
		case plain:
			b = append(b, '"')
			b = append(b, v.str...)
			return append(b, '"')
		case quoted:
			return append(b, v.str...)
		}
		return appendQuoted(b, v.str)
	}
	if v.str != "" {
		return append(b, v.str...)
	}
	if v.kind == object {
		b = append(b, '{')
		for i := range v.node.fields {
			if len(b) > MaxBytes {
				return b
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, v.node.fields[i].name)
			b = append(b, ':')
			b = v.node.fields[i].value.appendJSON(b)
		}
		return append(b, '}')
	}
	b = append(b, '[')
	for i := range v.node.items {
		if len(b) > MaxBytes {
			return b
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = v.node.items[i].appendJSON(b)
	}
	return append(b, ']')
}

func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			b, _ = jsontext.AppendQuote(b, s) // it is UTF-8: all texts are
			return b
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// shown is a value for an error: a short one as it is, of a long one its
// beginning.
func (v *value) shown() string {
	const most = 60
	switch v.kind {
	case missing:
		return "missing"
	case object, array:
		if n := v.open(); len(n.fields)+len(n.items) > most/2 {
			return "a large " + v.typeName()
		}
	}
	text := []rune(string(v.appendJSON(nil)))
	if len(text) <= most {
		return string(text)
	}
	return string(text[:most]) + "…"
}
