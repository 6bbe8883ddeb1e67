package pipeline

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// appendJSON writes a value; one that is missing as null.
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
		if i > 0 {
			b = append(b, ',')
		}
		b = v.node.items[i].appendJSON(b)
	}
	return append(b, ']')
}

func (v *value) json() []byte { return v.appendJSON(make([]byte, 0, max(len(v.str), 512))) }

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

// shown is a value for an error: short, and its text cut off.
func (v *value) shown() string {
	const most = 60
	if v.kind == missing {
		return "missing"
	}
	b := v.json()
	if len(b) <= most {
		return string(b)
	}
	return fmt.Sprintf("%s… (%s)", []byte(string([]rune(string(b[:most]))[:most/2])), v.typeName())
}
