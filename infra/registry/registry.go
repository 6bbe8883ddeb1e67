// Package registry makes of event types what an EventBridge schema registry
// holds: for each an OpenAPI 3.0 document of the whole event, as EventBridge
// describes the events of AWS services and those that it discovers. Consoles
// and IDEs read it, and it is what code bindings are made of. It describes, and
// checks nothing.
//
// It knows nothing of the CDK; package stacks provisions the registry.
package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/events/schema"
)

// Format is the kind of Schema.Content, as a registry calls it.
const Format = "OpenApi3"

// The most that a registry takes of one schema, in characters ("CreateSchema",
// Amazon EventBridge Schema Registry API Reference).
const (
	maxContent     = 100_000
	maxDescription = 256
)

// Schema is one event type, as a registry holds it.
type Schema struct {
	// Name is source@detail-type, as EventBridge names the schemas that it
	// discovers.
	Name        string
	Description string // the first words of the type's description; may be empty
	Content     string // an OpenAPI document
}

// Schemas returns all event types, sorted by source and name. The same types
// give the same texts. It fails for a schema that says what OpenAPI cannot, and
// for one that is larger than a registry takes.
func Schemas(types *schema.Set) ([]Schema, error) {
	var all []Schema
	for _, t := range types.Types() {
		text, err := types.Detail(t)
		if err != nil {
			return nil, err
		}
		var detail map[string]any
		if err := json.Unmarshal(text, &detail); err != nil {
			return nil, fmt.Errorf("event type %s: %w", t, err)
		}
		description := descriptionOf(detail)
		document, err := document(t.Source, t.Name, detail)
		if err != nil {
			return nil, fmt.Errorf("event type %s: schema registry: %w", t, err)
		}
		content, err := json.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("event type %s: %w", t, err)
		}
		if n := utf8.RuneCount(content); n > maxContent {
			return nil, fmt.Errorf("event type %s: its schema has %d characters as OpenAPI, and an EventBridge schema registry takes %d: shorten its comments, or divide the type", t, n, maxContent)
		}
		all = append(all, Schema{t.Source + "@" + t.Name, description, string(content)})
	}
	return all, nil
}

// descriptionOf is the description of the data in a detail, shortened to what a
// registry takes.
func descriptionOf(detail map[string]any) string {
	properties, _ := detail["properties"].(map[string]any)
	data, _ := properties["data"].(map[string]any)
	text, _ := data["description"].(string)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxDescription {
		return string(runes[:maxDescription-1]) + "…"
	}
	return text
}

// envelope is the component of the whole event, named as EventBridge does.
const envelope = "AWSEvent"

func document(source, detailType string, detail map[string]any) (map[string]any, error) {
	definitions, _ := detail["$defs"].(map[string]any)
	delete(detail, "$defs")
	name := detailType
	for definitions[name] != nil || name == envelope {
		name += "_DETAIL"
	}
	components := map[string]any{}
	for definition, s := range definitions {
		if definition == envelope {
			return nil, fmt.Errorf("a type within the event is named %s, as EventBridge names the event: rename it", envelope)
		}
		converted, err := convert(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", definition, err)
		}
		components[definition] = converted
	}
	converted, err := convert(detail)
	if err != nil {
		return nil, err
	}
	components[name] = converted

	text := map[string]any{"type": "string"}
	components[envelope] = map[string]any{
		"type":                        "object",
		"required":                    []string{"detail-type", "resources", "detail", "id", "source", "time", "region", "version", "account"},
		"x-amazon-events-detail-type": detailType,
		"x-amazon-events-source":      source,
		// "AWS service event metadata", Amazon EventBridge Events Reference.
		"properties": map[string]any{
			"detail":      reference(name),
			"account":     text,
			"detail-type": map[string]any{"type": "string", "enum": []string{detailType}},
			"id":          text,
			"region":      text,
			"resources":   map[string]any{"type": "array", "items": text},
			"source":      map[string]any{"type": "string", "enum": []string{source}},
			"time":        map[string]any{"type": "string", "format": "date-time"},
			"version":     text,
		},
	}
	return map[string]any{
		"openapi":    "3.0.0",
		"info":       map[string]any{"version": "1.0.0", "title": source + "/" + detailType},
		"paths":      map[string]any{},
		"components": map[string]any{"schemas": components},
	}, nil
}

func reference(component string) map[string]any {
	return map[string]any{"$ref": "#/components/schemas/" + component}
}

var (
	// same are the keywords that mean in OpenAPI 3.0 what they mean in JSON
	// Schema.
	same = []string{
		"title", "description", "default", "format", "enum", "required", "deprecated", "readOnly", "writeOnly",
		"minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern",
		"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
	}
	// unsaid are those that OpenAPI 3.0 has no word for, and a description can
	// do without: it allows more.
	unsaid = []string{
		"$schema", "$id", "$anchor", "$comment", "contentMediaType", "propertyNames", "minContains", "maxContains", "contains",
	}
)

// convert turns a schema of JSON Schema 2020-12 into one of OpenAPI 3.0.
func convert(s any) (any, error) {
	switch s := s.(type) {
	case bool:
		if s {
			return map[string]any{}, nil
		}
		return map[string]any{"not": map[string]any{}}, nil
	case map[string]any:
		return convertKeywords(s)
	}
	return nil, fmt.Errorf("a schema is an object, true or false, not %T", s)
}

func convertKeywords(s map[string]any) (any, error) {
	out := map[string]any{}
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		value := s[keyword]
		var err error
		switch keyword {
		case "type":
			convertType(value, out)
		case "const":
			out["enum"] = []any{value}
		case "examples":
			if list, _ := value.([]any); len(list) > 0 {
				out["example"] = list[0]
			}
		case "exclusiveMinimum":
			bound(out, s, "minimum", value, func(exclusive, inclusive float64) bool { return exclusive >= inclusive })
		case "exclusiveMaximum":
			bound(out, s, "maximum", value, func(exclusive, inclusive float64) bool { return exclusive <= inclusive })
		case "minimum", "maximum":
			if _, set := out[keyword]; !set {
				out[keyword] = value
			}
		case "contentEncoding":
			if value == "base64" && s["format"] == nil {
				out["format"] = "byte"
			}
		case "properties":
			out[keyword], err = convertEach(value)
		case "items", "additionalProperties", "not":
			if allowed, isBool := value.(bool); isBool && keyword == "additionalProperties" {
				out[keyword] = allowed
				break
			}
			out[keyword], err = convert(value)
		case "anyOf", "oneOf", "allOf":
			err = convertForms(keyword, value, out)
		case "$ref":
			// What stands beside a $ref is not read in OpenAPI 3.0, what stands
			// beside an allOf is.
			name, ok := strings.CutPrefix(fmt.Sprint(value), "#/$defs/")
			switch {
			case !ok || strings.Contains(name, "/"):
				err = fmt.Errorf("%v refers to no definition", value)
			case len(s) == 1:
				return reference(name), nil
			default:
				out["allOf"] = append(listOf(out["allOf"]), reference(name))
			}
		default:
			switch {
			case slices.Contains(same, keyword) || strings.HasPrefix(keyword, "x-"):
				out[keyword] = value
			case !slices.Contains(unsaid, keyword):
				err = fmt.Errorf("OpenAPI 3.0 has nothing for the keyword %q", keyword)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyword, err)
		}
	}
	if out["type"] == "array" && out["items"] == nil {
		out["items"] = map[string]any{} // which OpenAPI demands
	}
	return out, nil
}

// convertType writes type, of which OpenAPI 3.0 has only one, and null not among
// them.
func convertType(value any, out map[string]any) {
	var types []any
	switch value := value.(type) {
	case string:
		types = []any{value}
	case []any:
		types = value
	}
	rest := slices.DeleteFunc(slices.Clone(types), func(t any) bool { return t == "null" })
	if len(rest) < len(types) {
		out["nullable"] = true
	}
	switch {
	case len(rest) == 1:
		out["type"] = rest[0]
	case len(rest) > 1:
		var forms []any
		for _, t := range rest {
			forms = append(forms, map[string]any{"type": t})
		}
		out["allOf"] = append(listOf(out["allOf"]), map[string]any{"anyOf": forms})
	case len(types) > 0: // null and nothing else
		out["enum"] = []any{nil}
	}
}

// bound writes an exclusive bound, which OpenAPI 3.0 has as a flag of the
// inclusive one. The tighter of the two stands.
func bound(out, s map[string]any, inclusive string, value any, tighter func(exclusive, inclusive float64) bool) {
	exclusive, _ := value.(float64)
	if also, ok := s[inclusive].(float64); ok && !tighter(exclusive, also) {
		return
	}
	out[inclusive] = value
	out["exclusive"+strings.ToUpper(inclusive[:1])+inclusive[1:]] = true
}

func convertEach(value any) (map[string]any, error) {
	properties, _ := value.(map[string]any)
	out := make(map[string]any, len(properties))
	for name, s := range properties {
		converted, err := convert(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = converted
	}
	return out, nil
}

// convertForms writes alternatives, or what is demanded together. An
// alternative null makes the whole nullable.
func convertForms(keyword string, value any, out map[string]any) error {
	forms, _ := value.([]any)
	var converted []any
	for _, form := range forms {
		if m, ok := form.(map[string]any); ok && m["type"] == "null" && keyword != "allOf" {
			out["nullable"] = true
			continue
		}
		c, err := convert(form)
		if err != nil {
			return err
		}
		converted = append(converted, c)
	}
	switch {
	case len(converted) == 0:
		return nil
	case len(converted) == 1:
		keyword = "allOf"
	}
	if keyword == "allOf" {
		converted = append(listOf(out[keyword]), converted...)
	}
	out[keyword] = converted
	return nil
}

func listOf(value any) []any {
	list, _ := value.([]any)
	return list
}
