package schemastest

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// sampleFaults returns what is wrong with a type's sample. It is compared with
// the schema of its type if there are schemas.
func sampleFaults(d events.Description, schemas *schema.Set) []string {
	var faults []string
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("the sample of %s (%T) ", d.Type, d.Sample)+fmt.Sprintf(format, args...))
	}
	sample := reflect.ValueOf(d.Sample)
	for _, field := range empty(sample, "") {
		fault("has no value for %s: a sample has one for every field, other than zero", strings.TrimPrefix(field, "."))
	}
	zero := reflect.Zero(sample.Type()).Interface().(events.Event)
	if again := zero.Schema(); reflect.TypeOf(again) != sample.Type() {
		fault("is a %T: Schema must return a sample of its own type", again)
	}

	data, err := json.Marshal(d.Sample)
	if err != nil {
		fault("cannot be encoded: %v", err)
		return faults
	}
	back := reflect.New(sample.Type())
	if err := json.Unmarshal(data, back.Interface()); err != nil {
		fault("cannot be decoded again: %v", err)
	} else if got := back.Elem().Interface(); !reflect.DeepEqual(got, any(d.Sample)) {
		fault("does not come back from JSON as it was: %s", difference(sample, back.Elem(), ""))
	}
	if schemas != nil {
		if err := schemas.Validate(d.Type, data); err != nil {
			fault("is not what its schema says: %v (mend the sample, or the field's tag)", err)
		}
	}
	return faults
}

// empty returns the paths of what has no value in v.
func empty(v reflect.Value, path string) []string {
	var paths []string
	switch {
	case v.IsZero():
		return []string{path}
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return empty(v.Elem(), path)
	case v.Kind() == reflect.Map:
		if v.Len() == 0 {
			return []string{path}
		}
		for key, value := range v.Seq2() {
			paths = append(paths, empty(value, fmt.Sprintf("%s[%v]", path, key))...)
		}
	case v.Kind() == reflect.Slice || v.Kind() == reflect.Array && !isText(v):
		if v.Len() == 0 {
			return []string{path}
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			break // a zero is a byte like any other
		}
		for i := range v.Len() {
			paths = append(paths, empty(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	case v.Kind() == reflect.Struct && !isText(v):
		for field, value := range v.Fields() {
			if (field.IsExported() || field.Anonymous) && field.Tag.Get("json") != "-" {
				paths = append(paths, empty(value, path+"."+field.Name)...)
			}
		}
	}
	return paths
}

// isText reports whether a value is one text in JSON, or whatever else it makes
// of itself: its fields are its own affair.
func isText(v reflect.Value) bool {
	if !v.CanInterface() {
		return false // an embedded struct of a type that is not exported
	}
	switch v.Interface().(type) {
	case encoding.TextMarshaler, json.Marshaler:
		return true
	}
	return false
}

// difference says at which path two values of one type differ first; it is empty
// if it finds none.
func difference(want, got reflect.Value, path string) string {
	if want.CanInterface() && reflect.DeepEqual(want.Interface(), got.Interface()) {
		return ""
	}
	if want.Kind() == reflect.Struct && !isText(want) {
		for field, value := range want.Fields() {
			at := path + "." + field.Name
			if !field.IsExported() && !field.Anonymous {
				if !value.IsZero() {
					return strings.TrimPrefix(at, ".") + " is not exported, and lost"
				}
				continue
			}
			if found := difference(value, got.FieldByIndex(field.Index), at); found != "" {
				return found
			}
		}
		return ""
	}
	return fmt.Sprintf("%s was %+v and becomes %+v", strings.TrimPrefix(path, "."), want, got)
}
