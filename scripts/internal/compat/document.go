package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// document is a schema file: the JSON value that it holds.
type document struct{ root any }

// node is one schema, made ready to be compared.
type node struct {
	keywords map[string]any // those beside $ref are combined with what it refers to
	ref      string         // what it referred to first, "" if nothing
	never    bool           // the schema false
	types    []string       // the JSON types allowed, null aside, in the order of allTypes
	nullable bool
	enum     []string // the values allowed, as JSON, null aside; nil if there is no list
	forms    []any    // anyOf or oneOf, null aside
}

// allTypes are JSON's types but null. Every integer is a number as well.
var allTypes = []string{"string", "number", "integer", "boolean", "array", "object"}

// maxReferences bounds a chain of references that leads nowhere.
const maxReferences = 100

// resolve reads a schema of the document.
func (d *document) resolve(schema any) (node, error) {
	var n node
	keywords, err := d.flatten(schema, &n.ref, 0)
	if err != nil {
		return node{}, err
	}
	if keywords == nil {
		return node{never: true}, nil
	}
	n.keywords = keywords
	if err := n.readForms(d); err != nil {
		return node{}, err
	}
	n.readTypes()
	return n, nil
}

// flatten combines a schema with what it refers to, by $ref or an allOf of one.
// It returns nil for the schema false.
func (d *document) flatten(schema any, ref *string, depth int) (map[string]any, error) {
	if depth > maxReferences {
		return nil, fmt.Errorf("$ref %q leads back to itself", *ref)
	}
	switch schema := schema.(type) {
	case bool:
		if !schema {
			return nil, nil
		}
		return map[string]any{}, nil
	case map[string]any:
		base := schema
		target, isRef := schema["$ref"].(string)
		all, _ := schema["allOf"].([]any)
		switch {
		case isRef:
			if *ref == "" {
				*ref = target
			}
			to, err := d.find(target)
			if err != nil {
				return nil, err
			}
			return d.combine(schema, "$ref", to, ref, depth)
		case len(all) == 1:
			return d.combine(schema, "allOf", all[0], ref, depth)
		}
		return base, nil
	}
	return nil, fmt.Errorf("a schema is an object, true or false, and here is %.40s", canonical(schema))
}

// combine puts what stands beside a keyword over the schema that it brings.
func (d *document) combine(schema map[string]any, keyword string, brought any, ref *string, depth int) (map[string]any, error) {
	keywords, err := d.flatten(brought, ref, depth+1)
	if keywords == nil || err != nil {
		return nil, err
	}
	keywords = maps.Clone(keywords)
	for name, value := range schema {
		if name != keyword {
			keywords[name] = value
		}
	}
	return keywords, nil
}

// find follows a reference within the document.
func (d *document) find(ref string) (any, error) {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil, fmt.Errorf("$ref %q is not within the file", ref)
	}
	at := d.root
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch value := at.(type) {
		case map[string]any:
			next, there := value[step]
			if !there {
				return nil, fmt.Errorf("$ref %q: there is no %q", ref, step)
			}
			at = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(value) {
				return nil, fmt.Errorf("$ref %q: there is no %q", ref, step)
			}
			at = value[i]
		default:
			return nil, fmt.Errorf("$ref %q: there is no %q", ref, step)
		}
	}
	return at, nil
}

// readForms reads anyOf and oneOf. One that only adds null to a single form is
// that form, which may be null.
func (n *node) readForms(d *document) error {
	anyOf, _ := n.keywords["anyOf"].([]any)
	oneOf, _ := n.keywords["oneOf"].([]any)
	if len(anyOf) > 0 && len(oneOf) > 0 {
		return errors.New("anyOf and oneOf at once are not supported")
	}
	forms := slices.Concat(anyOf, oneOf)
	if len(forms) == 0 {
		return nil
	}
	null := false
	rest := slices.DeleteFunc(slices.Clone(forms), func(form any) bool {
		isNull := isNull(form)
		null = null || isNull
		return isNull
	})
	if !null || len(rest) != 1 {
		n.forms, n.nullable = rest, null
		return nil
	}
	var ref string
	form, err := d.flatten(rest[0], &ref, 0)
	if err != nil {
		return err
	}
	if form == nil { // null, or what is never allowed
		n.keywords = map[string]any{"type": "null"}
		return nil
	}
	if n.ref == "" {
		n.ref = ref
	}
	combined := maps.Clone(form)
	for name, value := range n.keywords {
		if name != "anyOf" && name != "oneOf" {
			combined[name] = value
		}
	}
	n.keywords, n.nullable = combined, true
	if inner, ok := combined["anyOf"].([]any); ok {
		n.forms = inner
	}
	return nil
}

func isNull(schema any) bool {
	s, _ := schema.(map[string]any)
	return s["type"] == "null"
}

// readTypes reads type, enum and const: which types there may be, and whether
// null.
func (n *node) readTypes() {
	allowed := func(string) bool { return true }
	nullForm := n.nullable
	n.nullable = true
	switch t := n.keywords["type"].(type) {
	case string:
		allowed = func(name string) bool { return name == t }
		n.nullable = t == "null"
	case []any:
		allowed = func(name string) bool { return slices.Contains(t, any(name)) }
		n.nullable = slices.Contains(t, any("null"))
	default:
		if len(n.forms) > 0 {
			n.nullable = false // the forms say
		}
	}
	list, limited := n.keywords["enum"].([]any)
	if value, ok := n.keywords["const"]; ok {
		list, limited = []any{value}, true
	}
	if limited {
		n.enum = []string{}
		for _, value := range list {
			if value != nil {
				n.enum = append(n.enum, canonical(value))
			}
		}
		n.nullable = n.nullable && len(n.enum) < len(list)
		if n.keywords["type"] == nil {
			allowed = func(name string) bool {
				return slices.ContainsFunc(list, func(v any) bool { return typeOf(v) == name })
			}
		}
	}
	n.nullable = n.nullable || nullForm
	for _, name := range allTypes {
		if allowed(name) {
			n.types = append(n.types, name)
		}
	}
}

// split makes alternatives of a schema that has none: one for each of its types.
func (n node) split() []any {
	var forms []any
	for _, name := range n.types {
		form := maps.Clone(n.keywords)
		form["type"] = name
		forms = append(forms, form)
	}
	return forms
}

// typeOf is the JSON type of a decoded value.
func typeOf(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}
