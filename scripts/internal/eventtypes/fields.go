package eventtypes

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// Field is a value of a sample that holds no others.
type Field struct {
	Path   string          `json:"path"` // as [Edit] takes it
	Kind   string          `json:"kind"` // text, number, boolean, null, or an empty list or object
	Sample json.RawMessage `json:"sample"`
}

// Fields returns the fields of a sample, in its order. Of a list it returns
// the first element's.
func Fields(sample []byte) []Field {
	return appendFields(nil, "", jsontext.Value(sample))
}

func appendFields(fields []Field, path string, value jsontext.Value) []Field {
	kinds := map[jsontext.Kind]string{'"': "text", '0': "number", 't': "boolean", 'f': "boolean", 'n': "null", '{': "object", '[': "list"}
	before := len(fields)
	switch kind := value.Kind(); kind {
	case '{':
		eachField(value, func(name string, field jsontext.Value) {
			at := name
			if path != "" {
				at = path + "." + name
			}
			fields = appendFields(fields, at, field)
		})
	case '[':
		var elements []json.RawMessage
		if json.Unmarshal(value, &elements) == nil && len(elements) > 0 {
			fields = appendFields(fields, path+"[0]", jsontext.Value(elements[0]))
		}
	}
	if len(fields) == before && path != "" {
		fields = append(fields, Field{path, kinds[value.Kind()], json.RawMessage(value)})
	}
	return fields
}

// eachField calls fn for each field of an object, in order.
func eachField(object jsontext.Value, fn func(name string, value jsontext.Value)) {
	decoder := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.ReadToken(); err != nil {
		return
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return
		}
		text := name.String()
		value, err := decoder.ReadValue()
		if err != nil {
			return
		}
		fn(text, value.Clone())
	}
}
