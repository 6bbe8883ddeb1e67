package registry_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/infra/registry"
)

var order = events.Type{Source: "shop", Name: "ORDER"}

// content converts a schema, and returns the components of the document.
func content(t *testing.T, text string) (map[string]any, error) {
	t.Helper()
	set, err := schema.Load(fstest.MapFS{schema.File(order): {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	all, err := registry.Schemas(set)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 || all[0].Name != "shop@ORDER" {
		t.Fatalf("got %v", all)
	}
	got := all[0].Content
	var document struct {
		OpenAPI    string
		Info       struct{ Version, Title string }
		Paths      map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(got), &document); err != nil {
		t.Fatal(err)
	}
	if document.OpenAPI != "3.0.0" || document.Info.Title != "shop/ORDER" || document.Info.Version == "" || document.Paths == nil {
		t.Errorf("not a document of OpenAPI 3.0: %s", got)
	}
	return document.Components.Schemas, nil
}

func TestAKeywordBecomesWhatOpenAPIHasForIt(t *testing.T) {
	for _, c := range []struct{ what, from, to string }{
		{"what is the same", `{"type": "string", "title": "T", "description": "D", "format": "uuid", "pattern": "^a", "minLength": 1, "enum": ["a"], "default": "a", "x-mine": 1}`,
			`{"type": "string", "title": "T", "description": "D", "format": "uuid", "pattern": "^a", "minLength": 1, "enum": ["a"], "default": "a", "x-mine": 1}`},
		{"null", `{"type": ["string", "null"]}`, `{"type": "string", "nullable": true}`},
		{"several types", `{"type": ["string", "integer", "null"]}`, `{"nullable": true, "allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}]}`},
		{"only null", `{"type": "null"}`, `{"nullable": true, "enum": [null]}`},
		{"a reference", `{"$ref": "#/$defs/Line"}`, `{"$ref": "#/components/schemas/Line"}`},
		{"what stands beside a reference", `{"$ref": "#/$defs/Line", "description": "D"}`, `{"allOf": [{"$ref": "#/components/schemas/Line"}], "description": "D"}`},
		{"a reference or null", `{"anyOf": [{"$ref": "#/$defs/Line"}, {"type": "null"}], "description": "D"}`, `{"allOf": [{"$ref": "#/components/schemas/Line"}], "nullable": true, "description": "D"}`},
		{"alternatives", `{"oneOf": [{"type": "string"}, {"type": "number"}]}`, `{"oneOf": [{"type": "string"}, {"type": "number"}]}`},
		{"const", `{"const": "a"}`, `{"enum": ["a"]}`},
		{"an exclusive bound", `{"type": "number", "exclusiveMinimum": 0}`, `{"type": "number", "minimum": 0, "exclusiveMinimum": true}`},
		{"both bounds, the exclusive tighter", `{"exclusiveMaximum": 5, "maximum": 5}`, `{"maximum": 5, "exclusiveMaximum": true}`},
		{"both bounds, the inclusive tighter", `{"exclusiveMinimum": 5, "minimum": 6}`, `{"minimum": 6}`},
		{"bytes", `{"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"}`, `{"type": "string", "format": "byte"}`},
		{"examples", `{"examples": [1, 2], "$comment": "c"}`, `{"example": 1}`},
		{"a list", `{"type": "array", "items": {"const": 1}}`, `{"type": "array", "items": {"enum": [1]}}`},
		{"a list of anything", `{"type": "array"}`, `{"type": "array", "items": {}}`},
		{"a map", `{"type": "object", "additionalProperties": {"type": ["integer", "null"]}, "propertyNames": {"enum": ["a"]}}`, `{"type": "object", "additionalProperties": {"type": "integer", "nullable": true}}`},
		{"a closed object", `{"type": "object", "additionalProperties": false}`, `{"type": "object", "additionalProperties": false}`},
		{"an object", `{"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}`, `{"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"]}`},
		{"anything, and nothing", `{"properties": {"a": true, "b": false}}`, `{"properties": {"a": {}, "b": {"not": {}}}}`},
	} {
		t.Run(c.what, func(t *testing.T) {
			components, err := content(t, fmt.Sprintf(`{"type": "object", "properties": {"f": %s}, "$defs": {"Line": {"const": 1}}}`, c.from))
			if err != nil {
				t.Fatal(err)
			}
			data := components["ORDER"].(map[string]any)["properties"].(map[string]any)["data"].(map[string]any)
			got := data["properties"].(map[string]any)["f"]
			var want any
			if err := json.Unmarshal([]byte(c.to), &want); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if line := components["Line"]; fmt.Sprint(line) != "map[enum:[1]]" {
				t.Errorf("the definition became %v", line)
			}
		})
	}
}

func TestTheDocumentDescribesTheWholeEvent(t *testing.T) {
	components, err := content(t, `{"type": "object", "$defs": {"ORDER": {"type": "object"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	event := components["AWSEvent"].(map[string]any)
	if event["x-amazon-events-source"] != "shop" || event["x-amazon-events-detail-type"] != "ORDER" {
		t.Errorf("got %v", event)
	}
	detail := event["properties"].(map[string]any)["detail"].(map[string]any)["$ref"]
	if detail != "#/components/schemas/ORDER_DETAIL" { // ORDER is a type within it
		t.Errorf("the detail is %v", detail)
	}
	properties := components["ORDER_DETAIL"].(map[string]any)["properties"].(map[string]any)
	if properties["metadata"] == nil || properties["data"] == nil {
		t.Errorf("the detail has %v", properties)
	}
}

func TestWhatARegistryCannotHoldIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		`{"if": {}}`:                                              `OpenAPI 3.0 has nothing for the keyword "if"`,
		`{"properties": {"a": {"$ref": "#"}}}`:                    "# refers to no definition",
		`{"$defs": {"AWSEvent": {}}}`:                             "is named AWSEvent",
		`{"description": "` + strings.Repeat("x", 100_000) + `"}`: "takes 100000: shorten its comments",
	} {
		if _, err := content(t, text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "shop/ORDER") {
			t.Errorf("%.50s: got %v, want %q", text, err, want)
		}
	}
}

func TestADescriptionFits(t *testing.T) {
	for text, want := range map[string]string{"": "", "one\nline": "one line", strings.Repeat("ü", 300): strings.Repeat("ü", 255) + "…"} {
		quoted, _ := json.Marshal(text)
		set, err := schema.Load(fstest.MapFS{schema.File(order): {Data: fmt.Appendf(nil, `{"description": %s}`, quoted)}})
		if err != nil {
			t.Fatal(err)
		}
		if all, err := registry.Schemas(set); err != nil || all[0].Description != want {
			t.Errorf("%q: got %v, %v", text, all, err)
		}
	}
}

func TestEveryTypeOfThisProjectFits(t *testing.T) {
	set, err := schema.Load(os.DirFS("../../schemas"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := registry.Schemas(set)
	if err != nil || len(first) != len(set.Types()) || len(first) == 0 {
		t.Errorf("%d schemas of %d types, %v", len(first), len(set.Types()), err)
	}
	if again, _ := registry.Schemas(set); !reflect.DeepEqual(again, first) {
		t.Error("two texts of one schema")
	}
}
