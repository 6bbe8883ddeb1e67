package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decode reads one JSON value strictly: no unknown field, none twice, none in
// another case, and nothing after it. An error begins with file:line:column.
func decode(file string, data []byte, into any) error {
	err := jsonv2.Unmarshal(data, into, jsonv2.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	var offset int64
	reason := err.Error()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset, reason = syntax.ByteOffset, syntax.Err.Error()
		if errors.Is(err, jsontext.ErrDuplicateName) {
			reason = fmt.Sprintf("field %q is there twice", syntax.JSONPointer.LastToken())
		}
	} else if semantic, ok := errors.AsType[*jsonv2.SemanticError](err); ok {
		offset = semantic.ByteOffset
		switch {
		case errors.Is(err, jsonv2.ErrUnknownName):
			reason = fmt.Sprintf("unknown field %q; there are %s", semantic.JSONPointer.LastToken(), fieldNames(semantic.GoType))
		case semantic.GoType != nil && semantic.JSONKind != 0:
			reason = fmt.Sprintf("%s takes %s, not %s", place(semantic.JSONPointer), describe(semantic.GoType), kindName(semantic))
		}
	}
	offset = min(offset, int64(len(data)))
	before := data[:offset]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := int(offset) - bytes.LastIndexByte(before, '\n')
	return fmt.Errorf("%s:%d:%d: %s", file, line, column, reason)
}

// place names a value by its path, as in "subscriptions/0/batchSize".
func place(p jsontext.Pointer) string {
	if p == "" {
		return "the file"
	}
	return fmt.Sprintf("%q", strings.TrimPrefix(string(p), "/"))
}

// describe says which JSON a Go type takes.
func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return describe(t.Elem())
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "a string"
}

// kindName says what a value is instead.
func kindName(e *jsonv2.SemanticError) string {
	switch e.JSONKind {
	case jsontext.KindNumber:
		if e.JSONValue == nil {
			return "a number"
		}
		return e.JSONValue.String() // a number that is not whole, or too large
	case jsontext.KindString:
		return "a string"
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "a list"
	}
	return e.JSONKind.String() // null, true or false
}

// fieldNames lists the fields that a struct has in JSON.
func fieldNames(t reflect.Type) string {
	var names []string
	for _, field := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "-" && !field.Anonymous {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
