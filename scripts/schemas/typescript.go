package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

const typescriptSuffix = ".d.ts"

// typescript writes an event type as TypeScript: its data, everything that its
// data has, and the event around it.
func typescript(b *bus, e *described) []byte {
	w := &typescriptWriter{names: newNames()}
	w.taken[exported(e.name)] = true
	for name := range e.schema.Definitions {
		w.taken[exported(name)] = true
	}
	metadata := w.take("Metadata", "EventMetadata")
	detail := w.take(exported(e.name)+"Detail", exported(e.name)+"EventDetail")
	event := w.take(exported(e.name)+"Event", exported(e.name)+"BusEvent")

	w.WriteString(generatedLine)
	w.declare(e.name, e.schema)
	for _, name := range slices.Sorted(maps.Keys(e.schema.Definitions)) {
		if name != e.name {
			w.declare(name, e.schema.Definitions[name])
		}
	}
	fmt.Fprintf(w, `
/** %s on the bus: what EventBridge calls its detail. */
export interface %s {
  metadata: %s;
  data: %s;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface %s {
  source: %q;
  "detail-type": %q;
  detail: %s;
}
`, e.Type, detail, metadata, exported(e.name), event, e.Type.Source, e.Type.Name, detail)
	w.declare(metadata, b.metadata)
	return w.Bytes()
}

type typescriptWriter struct {
	bytes.Buffer
	*names
}

// declare writes an interface, or the type of an enum.
func (w *typescriptWriter) declare(name string, s *jsonschema.Schema) {
	w.WriteByte('\n')
	w.comment("", s.Description)
	if s.Type != "object" {
		fmt.Fprintf(w, "export type %s =", exported(name))
		_, docs := enumNames(s)
		for i, value := range s.Enum {
			w.WriteByte('\n')
			if i < len(docs) {
				w.comment("  ", docs[i])
			}
			fmt.Fprintf(w, "  | %s", literal(value))
		}
		w.WriteString(";\n")
		return
	}
	fmt.Fprintf(w, "export interface %s {\n", exported(name))
	for field, property := range properties(s) {
		w.comment("  ", property.Description, annotations(property)...)
		optional := "?"
		if slices.Contains(s.Required, field) {
			optional = ""
		}
		if !typescriptName.MatchString(field) {
			field = fmt.Sprintf("%q", field)
		}
		fmt.Fprintf(w, "  %s%s: %s;\n", field, optional, w.typeOf(property))
	}
	w.WriteString("}\n")
}

var typescriptName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// typeOf is a schema as an expression.
func (w *typescriptWriter) typeOf(s *jsonschema.Schema) string {
	if inner, null := notNull(s); null {
		return w.typeOf(inner) + " | null"
	}
	if name, ok := strings.CutPrefix(s.Ref, definitionsReference); ok {
		return exported(name)
	}
	if len(s.Enum) > 0 {
		var values []string
		for _, value := range s.Enum {
			values = append(values, literal(value))
		}
		return strings.Join(values, " | ")
	}
	switch s.Type {
	case "string", "boolean", "number":
		return s.Type
	case "integer":
		return "number"
	case "array":
		element := w.typeOf(s.Items)
		if strings.Contains(element, " | ") {
			element = "(" + element + ")"
		}
		return element + "[]"
	case "object":
		element := w.typeOf(s.AdditionalProperties)
		if keys := s.PropertyNames; keys != nil && keys.Ref != "" {
			return fmt.Sprintf("{ [key in %s]?: %s }", w.typeOf(keys), element)
		}
		if w.taken["Record"] { // a type of the event's hides TypeScript's
			return fmt.Sprintf("{ [key: string]: %s }", element)
		}
		return fmt.Sprintf("Record<string, %s>", element)
	}
	return "unknown"
}

// comment writes a JSDoc comment, if there is anything to say.
func (w *typescriptWriter) comment(indent, description string, tags ...string) {
	lines := strings.Split(strings.TrimSpace(wrapped(description, "", 96-len(indent))), "\n")
	if description == "" {
		lines = nil
	}
	lines = append(lines, tags...)
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "*/", `*\/`)
	}
	switch len(lines) {
	case 0:
	case 1:
		fmt.Fprintf(w, "%s/** %s */\n", indent, lines[0])
	default:
		fmt.Fprintf(w, "%s/**\n", indent)
		for _, line := range lines {
			fmt.Fprintln(w, strings.TrimRight(indent+" * "+line, " "))
		}
		fmt.Fprintf(w, "%s */\n", indent)
	}
}

// annotations are what TypeScript's types cannot say of a field, as JSDoc tags.
func annotations(s *jsonschema.Schema) []string {
	s, _ = notNull(s)
	var tags []string
	for _, tag := range []struct{ name, value string }{
		{"format", s.Format}, {"contentEncoding", s.ContentEncoding}, {"pattern", s.Pattern},
		{"minimum", string(s.Minimum)}, {"exclusiveMinimum", string(s.ExclusiveMinimum)},
		{"maximum", string(s.Maximum)}, {"exclusiveMaximum", string(s.ExclusiveMaximum)},
		{"multipleOf", string(s.MultipleOf)},
		{"minLength", bound(s.MinLength)}, {"maxLength", bound(s.MaxLength)}, {"minItems", bound(s.MinItems)}, {"maxItems", bound(s.MaxItems)},
	} {
		if tag.value != "" {
			tags = append(tags, "@"+tag.name+" "+tag.value)
		}
	}
	if s.Type == "integer" {
		tags = append(tags, "@asType integer")
	}
	return tags
}

func bound(n *uint64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(*n)
}

// literal is an enum's value in source code: JSON's strings and numbers are
// also TypeScript's and Go's.
func literal(value any) string {
	text, ok := value.(json.RawMessage)
	if !ok {
		text, _ = json.Marshal(value) // a string or json.Number of a tag
	}
	return string(text)
}

// enumNames returns the names and comments of an enum's constants.
func enumNames(s *jsonschema.Schema) (names, docs []string) {
	names, _ = s.Extras[constantsKeyword].([]string)
	docs, _ = s.Extras[constantDocsKeyword].([]string)
	return names, docs
}
