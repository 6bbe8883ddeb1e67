package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events/pattern"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/functions/handler/notification"
)

// loadNotifications reads the function's notification templates.
func (f *Function) loadNotifications(root fs.FS) error {
	file := path.Join(f.Dir, notification.FileName)
	data, err := fs.ReadFile(root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	templates, err := notification.Parse(data)
	if err != nil {
		return inFile(file, err)
	}
	f.Notifications = templates
	var faults []error
	for _, t := range templates {
		faults = append(faults, f.CheckNotification(t))
	}
	return inFile(file, errors.Join(faults...))
}

// CheckNotification returns an error if no subscription of the function gives the
// template its events.
func (f *Function) CheckNotification(t *notification.Template) error {
	var types []string
	for _, s := range f.Subscriptions {
		if s.Receive == Notifications {
			types = append(types, s.Event)
		}
	}
	switch {
	case slices.Contains(types, t.Event):
		return nil
	case len(types) == 0:
		return fmt.Errorf(`notification %q: no subscription of function %q receives notifications: give one of them "receive": "notifications"`, t.Name, f.Name)
	}
	return fmt.Errorf("notification %q: function %q receives no notifications of %s, only of %s", t.Name, f.Name, t.Event, strings.Join(types, ", "))
}

// checkNotificationNames returns an error for each name that templates of two
// functions have: in a project a name says which template is meant.
func checkNotificationNames(functions []Function) error {
	var faults []error
	owner := map[string]string{}
	for _, f := range functions {
		for _, t := range f.Notifications {
			if other, taken := owner[t.Name]; taken {
				faults = append(faults, fmt.Errorf("%s: notification %q: function %q has one of the same name: rename one", path.Join(f.Dir, notification.FileName), t.Name, other))
			}
			owner[t.Name] = f.Name
		}
	}
	return errors.Join(faults...)
}

// CheckNotificationTypes returns every fault that a template has in regard to the
// project's event types, joined: a type that has no schema, a condition that asks
// of it what its schema does not have, a placeholder of a field that it does not
// have.
func CheckNotificationTypes(t *notification.Template, types *schema.Set) error {
	event, err := types.Find(t.Event)
	if err != nil {
		return err
	}
	detail, err := types.Detail(event)
	if err != nil {
		return err
	}
	var faults []error
	if len(t.Condition) > 0 {
		condition, err := pattern.Parse(t.Condition)
		if err != nil {
			return fmt.Errorf("the condition is not valid: %w", err)
		}
		for _, fault := range split(condition.Check(detail)) {
			faults = append(faults, fmt.Errorf("the condition does not fit %s: %w", t.Event, fault))
		}
	}
	var root map[string]any
	if err := json.Unmarshal(detail, &root); err != nil {
		return err
	}
	walk := schemaWalk{root}
	for _, p := range t.Paths() {
		steps := strings.Split(listIndex.ReplaceAllString(p, ".[]"), ".")
		if ok, at, known := walk.reach(root, steps, 0); !ok {
			fault := fmt.Errorf("placeholder {%s}: %s has no %s there", p, t.Event, strings.Replace(steps[at], "[]", "list", 1))
			if near := schema.Nearest(steps[at], known); len(near) > 0 {
				fault = fmt.Errorf("%w: did you mean %s?", fault, strings.Join(near, " or "))
			}
			faults = append(faults, fault)
		}
	}
	return errors.Join(faults...)
}

var listIndex = regexp.MustCompile(`\[[0-9]+\]`)

// schemaWalk follows paths in a JSON Schema.
type schemaWalk struct{ root map[string]any }

// reach reports whether a path leads to a value that the schema describes, or
// about which it says nothing. Otherwise it tells how many steps it came, and what
// names there are instead. A step "[]" is any element of a list.
func (w schemaWalk) reach(node any, steps []string, depth int) (ok bool, at int, known []string) {
	s, described := node.(map[string]any)
	if len(steps) == 0 || !described || depth > 100 { // a reference to itself ends there
		return true, 0, nil
	}
	var others []any // that the value may, or must, be too
	if ref, is := s["$ref"].(string); is {
		definitions, _ := w.root["$defs"].(map[string]any)
		others = append(others, definitions[strings.TrimPrefix(ref, "#/$defs/")])
	}
	for _, keyword := range []string{"anyOf", "oneOf", "allOf"} {
		list, _ := s[keyword].([]any)
		others = append(others, list...)
	}
	for _, other := range others {
		reached, steps, names := w.reach(other, steps, depth+1)
		if reached {
			return true, 0, nil
		}
		at, known = max(at, steps), append(known, names...)
	}
	below := func(node any) (bool, int, []string) {
		ok, at, known := w.reach(node, steps[1:], depth+1)
		return ok, at + 1, known
	}
	properties, _ := s["properties"].(map[string]any)
	items, isList := s["items"]
	additional, isMap := s["additionalProperties"]
	property, has := properties[steps[0]]
	switch {
	case steps[0] == "[]" && isList:
		return below(items)
	case has:
		return below(property)
	case isMap && additional != false && steps[0] != "[]":
		return below(additional)
	case len(others) > 0, isList, len(properties) > 0:
	case steps[0] == "[]" && hasType(s, "array"), steps[0] != "[]" && hasType(s, "object"):
		return true, 0, nil // nothing is said of what is in it
	case s["type"] == nil && s["enum"] == nil && s["const"] == nil:
		return true, 0, nil
	}
	return false, at, append(known, slices.Sorted(maps.Keys(properties))...)
}

// hasType reports whether a schema's type is, or may be, the named one.
func hasType(s map[string]any, name string) bool {
	list, _ := s["type"].([]any)
	return s["type"] == name || slices.Contains(list, any(name))
}
