package attribute

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// UnmarshalJSONFrom reads a map as the wire protocol writes an item, e.g.
// {"pk":{"S":"a"},"n":{"N":"1.0"}}, and brings it into canonical form. What
// DynamoDB refuses is a ValidationException.
func (m *Map) UnmarshalJSONFrom(dec *jsontext.Decoder) error { return m.decode(dec, 0) }

// decode reads a map that is nested depth levels deep in an attribute.
func (m *Map) decode(dec *jsontext.Decoder, depth int) error {
	*m = nil
	if dec.PeekKind() == 'n' {
		return dec.SkipValue()
	}
	if err := open(dec, '{'); err != nil {
		return err
	}
	out, sorted := make(Map, 0, 8), true
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		out = append(out, Field{Name: name.String()})
		last := len(out) - 1
		if err := out[last].Value.decode(dec, depth); err != nil {
			return err
		}
		sorted = sorted && (last == 0 || out[last-1].Name < out[last].Name)
	}
	if !sorted {
		slices.SortFunc(out, func(f, g Field) int { return strings.Compare(f.Name, g.Name) })
	}
	*m = out
	_, err := dec.ReadToken()
	return err
}

var (
	errNoType   = invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	errTwoTypes = invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	errNotNull  = invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
)

func (v *Value) decode(dec *jsontext.Decoder, depth int) error {
	if dec.PeekKind() == 'n' {
		return errNoType
	}
	if err := open(dec, '{'); err != nil {
		return err
	}
	if dec.PeekKind() == '}' {
		return errNoType
	}
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	name := token.String()
	v.Kind = KindOf(name)
	switch v.Kind {
	case S, N, B:
		err = v.decodeScalar(dec)
	case BOOL:
		v.Bool, err = boolean(dec)
	case NULL:
		var isNull bool
		if isNull, err = boolean(dec); err == nil && !isNull {
			err = errNotNull
		}
	case SS, NS, BS:
		err = v.decodeSet(dec)
	case L, M:
		if depth >= MaxDepth {
			return ErrDepth
		}
		if v.Kind == M {
			err = v.Map.decode(dec, depth+1)
			break
		}
		err = v.decodeList(dec, func(e *Value) error { return e.decode(dec, depth+1) })
	default:
		err = fmt.Errorf("there is no attribute type %q", name)
	}
	if err != nil {
		return err
	}
	if dec.PeekKind() == '"' {
		return errTwoTypes
	}
	_, err = dec.ReadToken()
	return err
}

func (v *Value) decodeScalar(dec *jsontext.Decoder) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if token.Kind() != '"' {
		return fmt.Errorf("an attribute of type %s is written as a JSON string (got a %s)", v.Kind, token.Kind())
	}
	v.Text = token.String()
	switch v.Kind {
	case N:
		v.Text, err = canonical(v.Text)
	case B:
		var bytes []byte
		bytes, err = base64.StdEncoding.DecodeString(v.Text)
		v.Text = string(bytes)
	}
	return err
}

func (v *Value) decodeList(dec *jsontext.Decoder, element func(*Value) error) error {
	if err := open(dec, '['); err != nil {
		return err
	}
	v.List = []Value{}
	for dec.PeekKind() != ']' {
		v.List = append(v.List, Value{})
		if err := element(&v.List[len(v.List)-1]); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (v *Value) decodeSet(dec *jsontext.Decoder) error {
	err := v.decodeList(dec, func(e *Value) error {
		e.Kind = v.Kind.Element()
		return e.decodeScalar(dec)
	})
	if err != nil {
		return err
	}
	if len(v.List) == 0 {
		switch v.Kind {
		case SS:
			return invalid("One or more parameter values were invalid: An string set  may not be empty")
		case NS:
			return invalid("One or more parameter values were invalid: An number set  may not be empty")
		}
		return invalid("One or more parameter values were invalid: Binary sets should not be empty")
	}
	n := len(v.List)
	slices.SortFunc(v.List, compareElements)
	if v.List = slices.CompactFunc(v.List, Value.Equal); len(v.List) == n {
		return nil
	}
	if v.Kind == NS {
		return invalid("Input collection contains duplicates")
	}
	return invalid("One or more parameter values were invalid: Input collection of type %s contains duplicates.", v.Kind)
}

func open(dec *jsontext.Decoder, delimiter jsontext.Kind) error {
	token, err := dec.ReadToken()
	if err == nil && token.Kind() != delimiter {
		err = fmt.Errorf("want %s (got a %s)", delimiter, token.Kind())
	}
	return err
}

func boolean(dec *jsontext.Decoder) (bool, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return false, err
	}
	if token.Kind() != 't' && token.Kind() != 'f' {
		return false, errors.New("want true or false")
	}
	return token.Bool(), nil
}

// ParseMap reads a map from its JSON.
func ParseMap(text []byte) (Map, error) {
	var m Map
	err := json.Unmarshal(text, &m)
	return m, err
}

// AppendJSON appends the map as the wire protocol writes an item.
func (m Map) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for i := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote(dst, m[i].Name)
		dst = append(dst, ':')
		dst = m[i].Value.appendJSON(dst)
	}
	return append(dst, '}')
}

func (v *Value) appendJSON(dst []byte) []byte {
	dst = append(dst, '{', '"')
	dst = append(dst, v.Kind.String()...)
	dst = append(dst, '"', ':')
	switch v.Kind {
	case S, N, B:
		dst = v.appendScalar(dst)
	case BOOL:
		if v.Bool {
			dst = append(dst, "true"...)
		} else {
			dst = append(dst, "false"...)
		}
	case NULL:
		dst = append(dst, "true"...)
	case M:
		dst = v.Map.AppendJSON(dst)
	default:
		dst = append(dst, '[')
		for i := range v.List {
			if i > 0 {
				dst = append(dst, ',')
			}
			if v.Kind == L {
				dst = v.List[i].appendJSON(dst)
			} else {
				dst = v.List[i].appendScalar(dst)
			}
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func (v *Value) appendScalar(dst []byte) []byte {
	if v.Kind == B {
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(v.Text))
		return append(dst, '"')
	}
	return quote(dst, v.Text)
}

// quote appends a JSON string. Its error is not looked at: texts come from a
// JSON decoder, which refuses what is not UTF-8.
func quote(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}
