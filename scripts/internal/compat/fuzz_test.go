package compat_test

import (
	"os"
	"testing"

	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/scripts/internal/compat"
)

func TestTheSchemasOfThisProjectAreCompatibleWithThemselves(t *testing.T) {
	types, err := schema.Load(os.DirFS("../../../schemas"))
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := compat.Compare(types, types); err != nil || len(changes) != 0 || len(types.Types()) == 0 {
		t.Errorf("%d types: got %v, %v", len(types.Types()), changes, err)
	}
}

// Whatever stands in two files, comparing them ends, and a schema is as it is.
func FuzzCompare(f *testing.F) {
	f.Add(object("a!", text, "b", number), object("a", textOrNull))
	f.Add(`{"$ref": "#/$defs/T", "$defs": {"T": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/T"}, {"type": "null"}]}}}`, `{"type": "string"}`)
	f.Add(`{"anyOf": [{"$ref": "#"}, {"type": "null"}]}`, `{"oneOf": [{"$ref": "#"}, false, true]}`)
	f.Add(`{"type": [1, null], "enum": {}, "required": "a", "properties": [], "items": [], "minimum": "1"}`, `{"allOf": [[]], "additionalProperties": 1}`)
	f.Add(`{"properties": {"a": {"const": null}, "b": {"enum": []}}}`, `{"properties": {"a": {"enum": [null, 1.5, {}]}}}`)
	f.Fuzz(func(t *testing.T, old, new string) {
		if len(old)+len(new) > 4<<10 {
			t.Skip()
		}
		before, after := set(t, map[string]string{"shop/ORDER": old}), set(t, map[string]string{"shop/ORDER": new})
		_, _ = compat.Compare(before, after)
		if changes, err := compat.Compare(before, before); err == nil && len(changes) > 0 {
			t.Errorf("%s differs from itself: %v", old, changes)
		}
	})
}
