// Package fastjson decodes JSON into Go structs several times as fast as
// encoding/json, and gives what encoding/json gives.
//
// It has a fast path for what events are made of: structs of strings, numbers,
// booleans, types that decode themselves (time.Time, json.RawMessage and all
// others with UnmarshalJSON), and pointers, slices and maps of those. Whatever
// is not plain, in a type or in a text, is left to encoding/json: a field that is
// embedded, an array, of bytes or of an interface type, or has the tag option
// "string"; a key that differs in case or comes twice; a text that is no JSON or
// does not fit the type. So every error is encoding/json's own.
package fastjson

import (
	"encoding/json"
	"reflect"
	"sync"
	"unsafe"
)

// decoders are what is made already: a decodeFunc by type, nil for a type that
// has no fast path.
var decoders sync.Map

// Unmarshal sets *v to what data holds, as json.Unmarshal does for the zero value
// of T; what *v was is lost. Nothing in *v is a part of data.
func Unmarshal[T any](data []byte, v *T) error {
	if len(data) <= shared {
		return UnmarshalString(string(data), v)
	}
	// All strings of a long text are copied, see keep: nothing that outlives this
	// call sees data change.
	return UnmarshalString(unsafe.String(unsafe.SliceData(data), len(data)), v)
}

// UnmarshalString is Unmarshal for a string. If it is not longer than 4 KB, the
// strings in *v may be parts of it, and keep all of it in memory.
func UnmarshalString[T any](text string, v *T) error {
	*v = *new(T)
	if decode := decoderOf(reflect.TypeFor[T]()); decode != nil {
		if fast(decode, text, reflect.ValueOf(v).Elem()) {
			return nil
		}
		*v = *new(T)
	}
	return json.Unmarshal([]byte(text), v)
}

// Fast reports whether there is a fast path for a type.
func Fast(t reflect.Type) bool { return decoderOf(t) != nil }

func decoderOf(t reflect.Type) decodeFunc {
	if known, ok := decoders.Load(t); ok {
		return known.(decodeFunc)
	}
	decode, ok := compile(t, map[reflect.Type]*decodeFunc{})
	if !ok {
		decode = nil
	}
	decoders.Store(t, decode)
	return decode
}

func fast(decode decodeFunc, text string, v reflect.Value) bool {
	c := cursors.Get().(*cursor)
	c.text, c.at, c.depth = text, 0, 0
	c.space()
	ok := decode(c, v)
	c.space()
	ok = ok && c.at == len(text)
	c.text = ""
	cursors.Put(c)
	return ok
}
