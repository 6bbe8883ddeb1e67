package schemas

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// field is a field of a struct as it is in JSON.
type field struct {
	reflect.StructField
	name     string // in JSON
	optional bool   // it may be left out
	quoted   bool   // `json:",string"`
}

// validFieldName is what encoding/json takes as a name in a tag.
var validFieldName = regexp.MustCompile("^[\\pL\\pN!#$%&()*+./:;<=>?@\\[\\]^_{|}~ -]+$")

// fieldsOf returns the fields of a struct, those of embedded structs in place.
func fieldsOf(t reflect.Type) ([]field, error) {
	var fields []field
	taken := map[string]string{} // the Go field, by name in JSON
	var add func(t reflect.Type, path string) error
	add = func(t reflect.Type, path string) error {
		for f := range t.Fields() {
			at := path + f.Name
			tag, tagged := f.Tag.Lookup("json")
			if tag == "-" {
				continue
			}
			parts := strings.Split(tag, ",")
			if f.Anonymous && parts[0] == "" {
				if f.Type.Kind() != reflect.Struct {
					return fmt.Errorf("%s: is embedded, and only a struct can be: give the field a name", at)
				}
				if err := add(f.Type, at+"."); err != nil {
					return err
				}
				continue
			}
			if !f.IsExported() {
				if tagged {
					return fmt.Errorf("%s: has a json tag and is not exported, so it is not sent: export it, or drop the tag", at)
				}
				continue
			}
			one := field{StructField: f, name: f.Name}
			if parts[0] != "" {
				one.name = parts[0]
			}
			if !validFieldName.MatchString(one.name) || one.name == "-" {
				return fmt.Errorf("%s: %q is not a name for a field in JSON: take letters, digits and _", at, one.name)
			}
			for _, option := range parts[1:] {
				switch option {
				case "omitempty", "omitzero":
					one.optional = true
				case "string":
					one.quoted = true
				case "":
				default:
					return fmt.Errorf("%s: the json tag's option %q is not known: omitempty, omitzero and string are", at, option)
				}
			}
			if other, ok := taken[one.name]; ok {
				return fmt.Errorf("%s: is %q in JSON, as %s is: rename one", at, one.name, other)
			}
			taken[one.name] = at
			fields = append(fields, one)
		}
		return nil
	}
	return fields, add(t, "")
}

var (
	timeType       = reflect.TypeFor[time.Time]()
	numberType     = reflect.TypeFor[json.Number]()
	rawType        = reflect.TypeFor[json.RawMessage]()
	urlType        = reflect.TypeFor[url.URL]()
	jsonMarshaler  = reflect.TypeFor[json.Marshaler]()
	textMarshaler  = reflect.TypeFor[encoding.TextMarshaler]()
	marshalerTypes = []reflect.Type{jsonMarshaler, textMarshaler}
)

// checkType reports why values of a type cannot be described, if they cannot.
// It does not look into structs, which are described by themselves.
func (d *describer) checkType(t reflect.Type) error {
	if slices.Contains([]reflect.Type{timeType, numberType, rawType}, t) || d.isEnum(t) {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		switch t.Elem().Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			return fmt.Errorf("a pointer to what can be nil itself (%s): drop the pointer", t)
		}
		return d.checkType(t.Elem())
	}
	for _, marshaler := range marshalerTypes {
		if t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(marshaler) && !t.Implements(marshaler) {
			return fmt.Errorf("%s has %s on its pointer, so that its form depends on where it stands: declare it on the value", t, marshaler.Method(0).Name)
		}
	}
	switch {
	case t.Implements(jsonMarshaler):
		return fmt.Errorf("%s has MarshalJSON, so that its form is not known: use a struct, or a type that has MarshalText", t)
	case t.Implements(textMarshaler):
		return nil
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("the interface %s cannot be decoded: use a struct, or any", t)
		}
		return nil
	case reflect.Slice, reflect.Array, reflect.Map:
		if t.Name() != "" {
			if slices.Contains(d.within, t) {
				return fmt.Errorf("%s is a list or map of itself: put a struct between", t)
			}
			d.within = append(d.within, t)
			defer func() { d.within = d.within[:len(d.within)-1] }()
		}
		if t.Kind() == reflect.Map {
			if err := d.checkKey(t.Key()); err != nil {
				return err
			}
		}
		if isBytes(t) {
			return nil
		}
		return d.checkType(t.Elem())
	case reflect.Struct:
		if t == urlType {
			return errors.New("encoding/json writes url.URL in parts: use a string")
		}
		if t.Name() == "" {
			return errors.New("a struct without a name: declare it as a type, so that schemas and interfaces can name it")
		}
		return nil
	}
	return fmt.Errorf("%s has no form in JSON", t)
}

func (d *describer) checkField(f field) error {
	if err := d.checkType(f.Type); err != nil {
		return err
	}
	if f.quoted {
		t := f.Type
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		// Of strings encoding/json quotes the quotes.
		if s := d.schemaOf(t); s.Type != "boolean" && s.Type != "integer" && s.Type != "number" || t == numberType {
			return fmt.Errorf("the json tag's option string is for a boolean or a number that is not an enum, not for %s", f.Type)
		}
	}
	return nil
}

// checkKey reports why a type cannot be a map's key.
func (d *describer) checkKey(t reflect.Type) error {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	}
	if t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer && t.Implements(textMarshaler) {
		return nil
	}
	return fmt.Errorf("a map's key cannot be %s: a string, a whole number or a type that has MarshalText can", t)
}

// isBytes reports whether a slice is one string of base64 in JSON.
func isBytes(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	element := reflect.PointerTo(t.Elem())
	return !element.Implements(jsonMarshaler) && !element.Implements(textMarshaler)
}
