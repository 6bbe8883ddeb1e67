package stacks_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/infra/manifest"
)

func TestARegistryDescribesEveryEventTypeWhereTheEnvironmentAsksForIt(t *testing.T) {
	needsNode(t)
	project := fstest.MapFS{
		"schemas/shop/ORDER.schema.json":    {Data: []byte(`{"description": "ORDER: someone\nordered.", "type": "object", "properties": {"total": {"type": ["number", "null"]}}}`)},
		"schemas/shop/OR_DER.schema.json":   {Data: []byte(`{"type": "object"}`)},
		"schemas/shop/ORDER.v2.schema.json": {Data: []byte(`{"type": "object"}`)},
	}
	with := manifest.Environment{Name: "dev", LogRetentionDays: 7, Connections: connections, SchemaRegistry: true}
	templates := parse(t, synthesize(t, project, with).Templates)
	stack := templates["penstock-dev-schemas"]
	registry := stack.named(t, "AWS::EventSchemas::Registry", "RegistryName", "penstock-dev")
	if registry.Properties["Description"] != "The events on the bus penstock-dev" {
		t.Errorf("registry %v", registry.Properties)
	}
	var found []string
	for _, r := range stack.Resources {
		if r.Type != "AWS::EventSchemas::Schema" {
			continue
		}
		found = append(found, r.Properties["SchemaName"].(string))
		if r.Properties["Type"] != "OpenApi3" || text(r.Properties["RegistryName"]) != "${Registry.RegistryName}" {
			t.Errorf("schema %v", r.Properties)
		}
		if content, ok := r.Properties["Content"].(string); !ok || !json.Valid([]byte(content)) {
			t.Errorf("content %v", r.Properties["Content"])
		}
	}
	slices.Sort(found)
	if want := []string{"shop@ORDER", "shop@ORDER.v2", "shop@OR_DER"}; !slices.Equal(found, want) {
		t.Errorf("got %q, want %q", found, want)
	}
	order := stack.named(t, "AWS::EventSchemas::Schema", "SchemaName", "shop@ORDER").Properties
	if order["Description"] != "ORDER: someone ordered." {
		t.Errorf("description %v", order["Description"])
	}
	if len(stack.Resources) != 4 {
		t.Errorf("the stack has %q", slices.Sorted(maps.Keys(stack.Resources)))
	}

	without := parse(t, synthesize(t, project, dev).Templates)
	if _, there := without["penstock-dev-schemas"]; there {
		t.Error("a registry that nobody asked for")
	}
}
