package cloudformation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// DecodeProperties decodes the resource's properties into a struct, given by pointer (or a map[string]any). A property
// goes to the field of its name, or to the one whose json tag names it; case matters. The error joins everything that does
// not fit: each property that has no field, and each value of another type than its field.
//
// Fields are strings, booleans, numbers, structs, slices, maps by string, pointers to these (nil where the property is
// missing), any, and json.RawMessage for a property that is itself a JSON document. As CloudFormation does, strings go to
// fields that are numbers or booleans when they read as one, and numbers and booleans go to strings.
func (r Resource) DecodeProperties(target any) error {
	d := decoder{resource: r}
	d.decode("", r.Properties, reflect.ValueOf(target).Elem())
	return errors.Join(d.faults...)
}

type decoder struct {
	resource Resource
	faults   []error
}

func (d *decoder) fail(path, format string, args ...any) {
	d.faults = append(d.faults, fmt.Errorf("%s: property %s %s", d.resource, path, fmt.Sprintf(format, args...)))
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func (d *decoder) decode(path string, v any, to reflect.Value) {
	if to.Type() == rawMessage {
		d.decodeRaw(path, v, to)
		return
	}
	if to.Kind() == reflect.Pointer {
		to.Set(reflect.New(to.Type().Elem()))
		d.decode(path, v, to.Elem())
		return
	}
	if u, ok := v.(unknown); ok {
		switch to.Kind() {
		case reflect.String:
			to.SetString(string(u))
		case reflect.Interface:
			to.Set(reflect.ValueOf(string(u)))
		}
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.decodeStruct(path, v, to)
	case reflect.Map:
		d.decodeMap(path, v, to)
	case reflect.Slice:
		d.decodeSlice(path, v, to)
	case reflect.Interface:
		to.Set(reflect.ValueOf(v))
	default:
		d.decodeScalar(path, v, to)
	}
}

func (d *decoder) decodeStruct(path string, v any, to reflect.Value) {
	o, ok := v.(map[string]any)
	if !ok {
		d.fail(path, "must be an object, not %s", kindOf(v))
		return
	}
	fields := map[string]reflect.Value{}
	for i := range to.NumField() {
		field := to.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		if field.IsExported() {
			fields[name] = to.Field(i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		if field, ok := fields[name]; ok {
			d.decode(at, o[name], field)
		} else {
			d.fail(at, "is not supported by the local environment")
		}
	}
}

func (d *decoder) decodeMap(path string, v any, to reflect.Value) {
	o, ok := v.(map[string]any)
	if !ok {
		d.fail(path, "must be an object, not %s", kindOf(v))
		return
	}
	to.Set(reflect.MakeMapWithSize(to.Type(), len(o)))
	for _, name := range slices.Sorted(maps.Keys(o)) {
		element := reflect.New(to.Type().Elem()).Elem()
		d.decode(path+"."+name, o[name], element)
		to.SetMapIndex(reflect.ValueOf(name), element)
	}
}

func (d *decoder) decodeSlice(path string, v any, to reflect.Value) {
	list, ok := v.([]any)
	if !ok {
		d.fail(path, "must be a list, not %s", kindOf(v))
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(list), len(list)))
	for i, element := range list {
		d.decode(fmt.Sprintf("%s[%d]", path, i), element, to.Index(i))
	}
}

func (d *decoder) decodeScalar(path string, v any, to reflect.Value) {
	text, ok := scalarText(v)
	if !ok {
		d.fail(path, "must be %s, not %s", wanted(to), kindOf(v))
		return
	}
	_, isBool := v.(bool)
	var err error
	switch kind := to.Kind(); {
	case kind == reflect.String:
		to.SetString(text)
	case kind == reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(strings.ToLower(text)); err == nil {
			to.SetBool(b)
		}
	case isBool:
		err = errors.New("not a number")
	case to.CanInt():
		var n int64
		if n, err = strconv.ParseInt(text, 10, to.Type().Bits()); err == nil {
			to.SetInt(n)
		}
	case to.CanFloat():
		var n float64
		if n, err = strconv.ParseFloat(text, to.Type().Bits()); err == nil {
			to.SetFloat(n)
		}
	default:
		panic("cloudformation: properties cannot be decoded into a " + to.Type().String())
	}
	if err != nil {
		d.fail(path, "must be %s, not %s", wanted(to), kindOf(v))
	}
}

// wanted says what a scalar field takes.
func wanted(to reflect.Value) string {
	switch {
	case to.CanInt():
		return fmt.Sprintf("a whole number of %d bits", to.Type().Bits())
	case to.CanFloat():
		return "a number"
	case to.Kind() == reflect.Bool:
		return "true or false"
	default:
		return "a string"
	}
}

// decodeRaw takes the value as JSON text, in which <, > and & stand for themselves: the length of a document may matter.
func (d *decoder) decodeRaw(path string, v any, to reflect.Value) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		d.fail(path, "is not JSON: %v", err)
		return
	}
	to.SetBytes(bytes.TrimSpace(text.Bytes()))
}
