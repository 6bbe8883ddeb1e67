package schemas

import (
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

// allTypes yields every type that values of t hold, t first, each once. It
// does not look into what is text in JSON.
func allTypes(t reflect.Type) iter.Seq[reflect.Type] {
	return func(yield func(reflect.Type) bool) {
		var all []reflect.Type
		var visit func(t reflect.Type)
		visit = func(t reflect.Type) {
			if slices.Contains(all, t) {
				return
			}
			all = append(all, t)
			if t != all[0] && t.Kind() != reflect.Interface && (t.Implements(jsonMarshaler) || t.Implements(textMarshaler)) {
				return
			}
			switch t.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Array:
				visit(t.Elem())
			case reflect.Map:
				visit(t.Key())
				visit(t.Elem())
			case reflect.Struct:
				for f := range t.Fields() {
					if (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-" {
						visit(f.Type)
					}
				}
			}
		}
		visit(t)
		for _, one := range all {
			if !yield(one) {
				return
			}
		}
	}
}

// genericName is a type's name without its arguments.
func genericName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

// properties yields the fields of an object in their order.
func properties(s *jsonschema.Schema) iter.Seq2[string, *jsonschema.Schema] {
	return func(yield func(string, *jsonschema.Schema) bool) {
		if s.Properties == nil {
			return
		}
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			if !yield(p.Key, p.Value) {
				return
			}
		}
	}
}
