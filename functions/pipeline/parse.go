package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// parser checks a pipeline and builds what runs it. It goes on after a fault,
// to find all of them.
type parser struct {
	publishes []events.Type
	emits     []events.Type // of the emit stages so far
	variables []string      // that $map has in force here
	faults    []error
}

// fault records what is wrong at a path.
func (p *parser) fault(at, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...)))
}

// unknown records a name that does not exist, what may have been meant, and
// what there is.
func (p *parser) unknown(at, what, name string, known []string) {
	p.fault(at, "%w", unknownError(what, name, known))
}

func unknownError(what, name string, known []string) error {
	meant := ""
	if near := schema.Nearest(name, known); len(near) > 0 {
		meant = fmt.Sprintf(": did you mean %s?", near[0])
	}
	return fmt.Errorf("unknown %s %q%s (there are %s)", what, name, meant, strings.Join(known, ", "))
}

func (p *parser) err() error { return errors.Join(p.faults...) }

// within is the path of something inside of something.
func within(at, name string) string {
	if strings.HasPrefix(name, "[") {
		return at + name
	}
	return at + "." + name
}

func index(at string, i int) string { return fmt.Sprintf("%s[%d]", at, i) }

// kindOf is what a value is, for "must be X, not Y".
func kindOf(v *value) string {
	switch v.kind {
	case missing:
		return "missing"
	case null:
		return "null"
	case text:
		return "a string"
	case object:
		return "an object"
	case array:
		return "an array"
	case boolean:
		return v.shown()
	}
	return "the number " + v.shown()
}

// object reads an object that has some of the known fields.
func (p *parser) object(at string, v *value, known ...string) (fields []field, ok bool) {
	if v.kind != object {
		p.fault(at, "must be an object, not %s", kindOf(v))
		return nil, false
	}
	for _, f := range v.open().fields {
		if !slices.Contains(known, f.name) {
			p.unknown(at, "field", f.name, known)
		}
	}
	return v.open().fields, true
}

// string reads a field of an object that holds a string, one of some if any are
// given. Without the field it is the zero string.
func (p *parser) string(at string, of *value, name string, allowed ...string) string {
	v := of.field(name)
	if v == nil {
		return ""
	}
	switch {
	case v.kind != text:
		p.fault(within(at, name), "must be a string, not %s", kindOf(v))
	case len(allowed) > 0 && !slices.Contains(allowed, v.content()):
		p.unknown(within(at, name), "value", v.content(), allowed)
	case v.content() == "":
		p.fault(within(at, name), "must not be empty")
	default:
		return v.content()
	}
	return ""
}

// fieldPath reads the dotted path of a field, as "customer.address.city".
func (p *parser) fieldPath(at, path string) (names []string, ok bool) {
	names = strings.Split(path, ".")
	for _, name := range names {
		if err := checkName(name); err != nil {
			p.fault(at, "field path %q: %w", path, err)
			return nil, false
		}
	}
	return names, true
}

// checkName checks one name of a field path.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a name in it is empty")
	case name[0] == '$':
		return fmt.Errorf("a field's name must not begin with $ (%s)", name)
	}
	return nil
}
