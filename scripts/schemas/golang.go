package schemas

import (
	"bytes"
	"fmt"
	"go/format"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// goFile writes a source's event types as Go that needs nothing but the
// standard library.
func goFile(b *bus, m *module) ([]byte, error) {
	w := &goWriter{names: newNames()}
	for _, e := range m.types {
		w.taken[exported(e.name)] = true
	}
	for name := range m.definitions {
		w.taken[exported(name)] = true
	}
	metadata := w.take("Metadata", "EventMetadata")
	detail := w.take("Detail", "EventDetail")
	source := w.take("Source", "EventSource")

	fmt.Fprintf(w, "\n// %s is the source of these events on the bus.\nconst %s = %q\n", source, source, m.name)
	w.WriteString("\n// The events' names on the bus: EventBridge's detail-type.\nconst (\n")
	for _, e := range m.types {
		fmt.Fprintf(w, "%s = %q\n", w.take("DetailType"+exported(e.name), "EventDetailType"+exported(e.name)), e.Type.Name)
	}
	fmt.Fprintf(w, `)

// %s is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type %s[T any] struct {
	Metadata %s %sjson:"metadata"%s
	Data     T %sjson:"data"%s
}
`, detail, detail, metadata, "`", "`", "`", "`")
	declared := map[string]bool{}
	for _, e := range m.types {
		w.declare(e.name, e.schema)
		declared[e.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(m.definitions)) {
		if !declared[name] {
			w.declare(name, m.definitions[name])
		}
	}
	w.declare(metadata, b.metadata)

	var file bytes.Buffer
	file.WriteString(generatedLine)
	fmt.Fprintf(&file, "\n// Package %s has the events of %s, for consumers that copy this file.\npackage %s\n", packageName(m.name), m.name, packageName(m.name))
	for _, imported := range []struct{ path, use string }{{"encoding/json", "json.RawMessage"}, {"time", "time.Time"}} {
		if bytes.Contains(w.Bytes(), []byte(imported.use)) {
			fmt.Fprintf(&file, "import %q\n", imported.path)
		}
	}
	file.Write(w.Bytes())
	return format.Source(file.Bytes())
}

type goWriter struct {
	bytes.Buffer
	*names
}

// declare writes a struct, or an enum's type and constants.
func (w *goWriter) declare(name string, s *jsonschema.Schema) {
	w.WriteByte('\n')
	w.comment(s.Description)
	if s.Type != "object" {
		fmt.Fprintf(w, "type %s %s\n\nconst (\n", exported(name), w.scalar(s))
		constants, docs := enumNames(s)
		for i, value := range s.Enum {
			if i < len(docs) {
				w.comment(docs[i])
			}
			fmt.Fprintf(w, "%s %s = %s\n", w.take(constants[i], exported(name)+constants[i]), exported(name), literal(value))
		}
		w.WriteString(")\n")
		return
	}
	fmt.Fprintf(w, "type %s struct {\n", exported(name))
	fields := newNames()
	for field, property := range properties(s) {
		w.comment(property.Description)
		tag := field
		typeName := w.typeOf(property)
		if !slices.Contains(s.Required, field) {
			tag += ",omitzero"
			if hasNil := strings.HasPrefix(typeName, "[]") || strings.HasPrefix(typeName, "map[") || typeName == anything; !hasNil {
				typeName = "*" + typeName
			}
		}
		goName := fieldName(field)
		fmt.Fprintf(w, "%s %s `json:%q`\n", fields.take(goName), typeName, tag)
	}
	w.WriteString("}\n")
}

// anything is the Go type of what a schema says nothing of: it loses no digit.
const anything = "json.RawMessage"

// typeOf is a schema as a type. What may be null is a pointer, unless it is a
// slice or map, whose nil is null.
func (w *goWriter) typeOf(s *jsonschema.Schema) string {
	if inner, null := notNull(s); null {
		name := w.typeOf(inner)
		if inner.Type == "array" || inner.Type == "object" || inner.ContentEncoding != "" {
			return name
		}
		return "*" + name
	}
	if name, ok := strings.CutPrefix(s.Ref, definitionsReference); ok {
		return exported(name)
	}
	switch s.Type {
	case "array":
		return "[]" + w.typeOf(s.Items)
	case "object":
		keys := "string"
		if s.PropertyNames != nil && s.PropertyNames.Ref != "" {
			keys = w.typeOf(s.PropertyNames)
		}
		return "map[" + keys + "]" + w.typeOf(s.AdditionalProperties)
	case "":
		return anything
	}
	return w.scalar(s)
}

func (w *goWriter) scalar(s *jsonschema.Schema) string {
	switch {
	case s.Type == "boolean":
		return "bool"
	case s.Type == "number":
		return "float64"
	case s.Type == "integer":
		if maximum, err := strconv.ParseUint(string(s.Maximum), 10, 64); err == nil && maximum > math.MaxInt64 {
			return "uint64"
		}
		return "int64"
	case s.Format == "date-time":
		return "time.Time"
	case s.ContentEncoding == "base64":
		return "[]byte"
	}
	return "string"
}

func (w *goWriter) comment(description string) {
	w.WriteString(wrapped(description, "// ", 77))
}
