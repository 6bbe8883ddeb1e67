// Package compat finds what a change of event schemas breaks.
//
// Events outlive the code that made them: they wait in an outbox, in queues and
// in archives, and publishers and functions are deployed one after the other.
// So each version of a type must do for two readers:
//
//   - the code of tomorrow reads the events of today. What the old schema
//     allowed and the new one does not, breaks it: a type or range that became
//     narrower, an enum value or null that is no longer there, an optional field
//     made required. A field removed breaks whoever reads it.
//   - the code of today reads the events of tomorrow. What the new schema allows
//     and the old one did not, may take it by surprise: an enum value or null
//     added, a field made optional, a range that became wider. Only who reads the
//     code can tell whether it does, and forbidding it would forbid every enum
//     to grow: so it is noted, not refused.
//
// Schemas are open objects, so a field more surprises no one. This is what is
// made of each change:
//
//	keyword                       break                          note
//	(the type of the event)       gone
//	x-code (its number)           changed, removed
//	properties                    removed                        added and required
//	required                      optional made required         required made optional
//	type                          narrowed, changed              widened
//	null                          no longer allowed              allowed
//	enum, const                   value removed, enum added      value added, enum removed
//	minimum, minLength, … (min*)  added, raised                  removed, lowered
//	maximum, maxLength, … (max*)  added, lowered                 removed, raised
//	multipleOf                    added, changed                 removed, a divisor of the old
//	pattern, format               added, changed                 removed
//	contentEncoding, …MediaType   added, changed, removed
//	uniqueItems                   added                          removed
//	items                         added; recursive               removed
//	additionalProperties          added, false; recursive        removed
//	anyOf, oneOf                  a form gone                    a form added
//	any other that constrains     changed in any way
//
// An event type or an optional field added is an addition. Titles, descriptions,
// examples, defaults and deprecation are for people: their changes are none.
// $ref is followed within its file, and combined with what stands beside it.
package compat

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

// Level is what a change means to who reads events.
type Level string

// The levels, from the worst.
const (
	Breaking Level = "breaking" // refused: make a new type instead
	Note     Level = "note"     // passes; a reader may be taken by surprise
	Addition Level = "addition" // passes
)

// Change is one difference between two versions of an event type.
type Change struct {
	Type events.Type `json:"type"`
	// Path is where in the event's data: "allocations[].quantity", "labels.*"
	// for the values of a map, "" for the event as a whole.
	Path  string `json:"path"`
	Level Level  `json:"level"`
	What  string `json:"what"`
}

// String writes a change as "breaking: savings/FEE_CHARGED: amount: removed".
func (c Change) String() string {
	parts := []string{string(c.Level), c.Type.String()}
	if c.Path != "" {
		parts = append(parts, c.Path)
	}
	return strings.Join(append(parts, c.What), ": ")
}

// Successor is the type that a breaking change makes: name + ".v2", or the
// version after the one that the name ends in.
func Successor(t events.Type) events.Type {
	name, version := t.Name, 1
	if m := versioned.FindStringSubmatch(t.Name); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil {
			name, version = m[1], n
		}
	}
	return events.Type{Source: t.Source, Name: fmt.Sprintf("%s.v%d", name, version+1)}
}

var versioned = regexp.MustCompile(`^(.*)\.v([0-9]+)$`)

// Compare returns what changed from one set of schemas to the one after it,
// sorted by type and path. Its error names a file that is no JSON Schema.
func Compare(before, after *schema.Set) ([]Change, error) {
	var changes []Change
	for _, t := range before.Types() {
		if !after.Has(t) {
			changes = append(changes, Change{t, "", Breaking, "the type is gone"})
			continue
		}
		was, err := load(before, t)
		if err != nil {
			return nil, fmt.Errorf("before: %w", err)
		}
		is, err := load(after, t)
		if err != nil {
			return nil, err
		}
		c := &comparison{eventType: t, old: was, new: is, under: map[[2]string]bool{}, steps: new(int)}
		c.code()
		if err := c.schema("", was.root, is.root); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(schema.Dir, schema.File(t)), err)
		}
		slices.SortStableFunc(c.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
		changes = append(changes, c.changes...)
	}
	for _, t := range after.Types() {
		if !before.Has(t) {
			changes = append(changes, Change{t, "", Addition, "a new type"})
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return strings.Compare(a.Type.String(), b.Type.String()) })
	return changes, nil
}

func load(set *schema.Set, t events.Type) (*document, error) {
	file := path.Join(schema.Dir, schema.File(t))
	data, err := set.Schema(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &document{}
	if err := json.Unmarshal(data, &d.root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// maxSteps bounds a comparison: alternatives within alternatives are compared
// each with each.
const maxSteps = 100_000

// A comparison goes through two versions of a type's schema, side by side.
type comparison struct {
	eventType events.Type
	old, new  *document
	changes   []Change
	under     map[[2]string]bool // the references that it is inside of
	steps     *int               // how many pairs of schemas were compared
}

func (c *comparison) add(path string, level Level, format string, args ...any) {
	c.changes = append(c.changes, Change{c.eventType, path, level, fmt.Sprintf(format, args...)})
}

func (c *comparison) code() {
	number := func(d *document) (any, bool) {
		root, _ := d.root.(map[string]any)
		n, ok := root[schema.CodeKeyword]
		return n, ok
	}
	before, had := number(c.old)
	after, has := number(c.new)
	switch {
	case had && !has:
		c.add("", Breaking, "the type's number %v is gone", before)
	case had && before != after:
		c.add("", Breaking, "the type's number was %v and is %v", before, after)
	case has && !had:
		c.add("", Addition, "the type has the number %v", after)
	}
}

// schema compares two schemas of what is at a path.
func (c *comparison) schema(path string, old, new any) error {
	if *c.steps++; *c.steps > maxSteps {
		return errors.New("alternatives within alternatives are too many to compare")
	}
	before, err := c.old.resolve(old)
	if err != nil {
		return err
	}
	after, err := c.new.resolve(new)
	if err != nil {
		return err
	}
	if before.ref != "" || after.ref != "" {
		at := [2]string{before.ref, after.ref}
		if c.under[at] {
			return nil // a type that contains itself, and is being compared
		}
		c.under[at] = true
		defer delete(c.under, at)
	}
	switch {
	case before.never && after.never:
		return nil
	case after.never:
		c.add(path, Breaking, "nothing is allowed any more")
		return nil
	case before.never:
		c.add(path, Note, "is allowed, which it was not")
		return nil
	}
	c.nullable(path, before, after)
	if (len(before.forms) == 0) != (len(after.forms) == 0) {
		return c.forms(path, before, after)
	}
	if !c.types(path, before, after) {
		return nil // what else the two say is of different things
	}
	c.enum(path, before, after)
	for _, b := range bounds {
		c.bound(path, b, before.keywords, after.keywords)
	}
	c.multipleOf(path, before.keywords, after.keywords)
	for _, keyword := range []string{"pattern", "format"} {
		c.narrowing(path, keyword, before.keywords, after.keywords)
	}
	for _, keyword := range []string{"contentEncoding", "contentMediaType"} {
		if b, a := before.keywords[keyword], after.keywords[keyword]; b != a {
			c.add(path, Breaking, "%s was %s and is %s", keyword, or(b, "none"), or(a, "none"))
		}
	}
	if b, a := before.keywords["uniqueItems"] == true, after.keywords["uniqueItems"] == true; b != a {
		if a {
			c.add(path, Breaking, "its elements must be different from each other now")
		} else {
			c.add(path, Note, "its elements need no longer be different from each other")
		}
	}
	c.others(path, before.keywords, after.keywords)
	if err := c.properties(path, before.keywords, after.keywords); err != nil {
		return err
	}
	if err := c.inner(path, "items", path+"[]", before.keywords, after.keywords); err != nil {
		return err
	}
	if err := c.inner(path, "additionalProperties", join(path, "*"), before.keywords, after.keywords); err != nil {
		return err
	}
	return c.forms(path, before, after)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (c *comparison) nullable(path string, before, after node) {
	switch {
	case before.nullable && !after.nullable:
		c.add(path, Breaking, "may no longer be null")
	case !before.nullable && after.nullable:
		c.add(path, Note, "may be null now")
	}
}

// types compares JSON types other than null. It reports false if they have
// nothing in common.
func (c *comparison) types(path string, before, after node) bool {
	lost := slices.DeleteFunc(slices.Clone(before.types), func(t string) bool {
		return slices.Contains(after.types, t) || t == "integer" && slices.Contains(after.types, "number")
	})
	gained := slices.DeleteFunc(slices.Clone(after.types), func(t string) bool {
		return slices.Contains(before.types, t) || t == "integer" && slices.Contains(before.types, "number")
	})
	was, is := typeWords(before.types), typeWords(after.types)
	narrowed := slices.Contains(lost, "number") && slices.Contains(after.types, "integer")
	switch {
	case len(lost) == 0 && len(gained) == 0:
		return true
	case len(lost) == len(before.types) && !narrowed:
		c.add(path, Breaking, "type changed from %s to %s", was, is)
		return false
	case len(lost) > 0 && len(gained) > 0:
		c.add(path, Breaking, "type changed from %s to %s", was, is)
	case len(lost) > 0:
		c.add(path, Breaking, "type narrowed from %s to %s", was, is)
	default:
		c.add(path, Note, "type widened from %s to %s", was, is)
	}
	return true
}

func typeWords(types []string) string {
	if len(types) == len(allTypes) {
		return "anything"
	}
	if len(types) == 0 {
		return "null"
	}
	return strings.Join(types, " or ")
}

// enum compares the values that are listed, if there is a list.
func (c *comparison) enum(path string, before, after node) {
	switch {
	case before.enum == nil && after.enum == nil:
		return
	case before.enum == nil:
		c.add(path, Breaking, "is limited to %s now", values(after.enum))
		return
	case after.enum == nil:
		c.add(path, Note, "is no longer limited to %s", values(before.enum))
		return
	}
	without := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return slices.Contains(other, v) })
	}
	if gone := without(before.enum, after.enum); len(gone) > 0 {
		c.add(path, Breaking, "enum value removed: %s", values(gone))
	}
	if added := without(after.enum, before.enum); len(added) > 0 {
		c.add(path, Note, "enum value added: %s", values(added))
	}
}

func values(enum []string) string { return strings.Join(enum, ", ") }

// bounds are the keywords that limit a number, or the size of something. The
// least size is 0 anyway.
var bounds = []bound{
	{"minimum", false, false}, {"exclusiveMinimum", false, false},
	{"maximum", true, false}, {"exclusiveMaximum", true, false},
	{"minLength", false, true}, {"maxLength", true, false},
	{"minItems", false, true}, {"maxItems", true, false},
	{"minProperties", false, true}, {"maxProperties", true, false},
}

type bound struct {
	keyword  string
	upper    bool
	emptyAt0 bool // 0 says nothing
}

func (c *comparison) bound(path string, b bound, before, after map[string]any) {
	was, had := before[b.keyword].(float64)
	is, has := after[b.keyword].(float64)
	if b.emptyAt0 {
		had, has = had && was != 0, has && is != 0
	}
	switch {
	case !had && !has || had && has && was == is:
	case !had:
		c.add(path, Breaking, "%s is %v now", b.keyword, is)
	case !has:
		c.add(path, Note, "%s %v is gone", b.keyword, was)
	case (is > was) != b.upper:
		c.add(path, Breaking, "%s was %v and is %v", b.keyword, was, is)
	default:
		c.add(path, Note, "%s was %v and is %v", b.keyword, was, is)
	}
}

func (c *comparison) multipleOf(path string, before, after map[string]any) {
	was, had := before["multipleOf"].(float64)
	is, has := after["multipleOf"].(float64)
	switch {
	case !had && !has || had && has && was == is:
	case !has:
		c.add(path, Note, "multipleOf %v is gone", was)
	case had && is > 0 && was/is == float64(int64(was/is)):
		c.add(path, Note, "multipleOf was %v and is %v", was, is)
	default:
		c.add(path, Breaking, "multipleOf was %s and is %v", or(before["multipleOf"], "none"), is)
	}
}

// narrowing compares a keyword of which every value allows less than none, and
// no two can be told to allow the same.
func (c *comparison) narrowing(path, keyword string, before, after map[string]any) {
	was, is := before[keyword], after[keyword]
	switch {
	case was == is:
	case is == nil:
		c.add(path, Note, "%s %v is gone", keyword, was)
	default:
		c.add(path, Breaking, "%s was %s and is %v", keyword, or(was, "none"), is)
	}
}

func or(v any, none string) string {
	if v == nil {
		return none
	}
	return fmt.Sprint(v)
}

// handled are the keywords that this package knows, and those that say nothing
// of what is allowed.
var handled = []string{
	"type", "enum", "const", "properties", "required", "items", "additionalProperties", "anyOf", "oneOf",
	"pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "contentMediaType",
	"$schema", "$id", "$anchor", "$defs", "definitions", "$comment", "$vocabulary",
	"title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly",
}

// others compares the keywords that this package does not know.
func (c *comparison) others(path string, before, after map[string]any) {
	names := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if strings.HasPrefix(name, "x-") || slices.Contains(handled, name) {
			continue
		}
		if slices.ContainsFunc(bounds, func(b bound) bool { return b.keyword == name }) {
			continue
		}
		if was, is := canonical(before[name]), canonical(after[name]); was != is {
			c.add(path, Breaking, "%s changed, and whether that allows less cannot be told", name)
		}
	}
}

func canonical(v any) string {
	text, err := json.Marshal(v) // sorts the keys of objects
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return string(text)
}

func (c *comparison) properties(path string, before, after map[string]any) error {
	was, _ := before["properties"].(map[string]any)
	is, _ := after["properties"].(map[string]any)
	required := func(keywords map[string]any, name string) bool {
		list, _ := keywords["required"].([]any)
		return slices.Contains(list, any(name))
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		field := join(path, name)
		property, there := is[name]
		if !there {
			c.add(field, Breaking, "removed")
			continue
		}
		switch had, has := required(before, name), required(after, name); {
		case has && !had:
			c.add(field, Breaking, "was optional and is required")
		case had && !has:
			c.add(field, Note, "was required and is optional")
		}
		if err := c.schema(field, was[name], property); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, there := was[name]; there {
			continue
		}
		if required(after, name) {
			c.add(join(path, name), Note, "added and required: events that are already on their way do not have it (omitempty makes it optional)")
		} else {
			c.add(join(path, name), Addition, "added")
		}
	}
	return nil
}

// inner compares the schema of what is inside: the elements of a list, or the
// values of a map.
func (c *comparison) inner(path, keyword, inside string, before, after map[string]any) error {
	any := func(keywords map[string]any) (s any, says bool) {
		s, there := keywords[keyword]
		return s, there && s != true
	}
	was, had := any(before)
	is, has := any(after)
	switch {
	case had && has:
		return c.schema(inside, was, is)
	case has && is == false:
		c.add(path, Breaking, "%s are no longer allowed", map[string]string{"items": "elements", "additionalProperties": "other fields"}[keyword])
	case has:
		c.add(inside, Breaking, "was anything, and is limited now")
	case had:
		c.add(inside, Note, "is anything now")
	}
	return nil
}

// forms compares alternatives: each old form must be in a new one.
func (c *comparison) forms(path string, before, after node) error {
	if len(before.forms) == 0 && len(after.forms) == 0 {
		return nil
	}
	was, is := before.forms, after.forms
	if len(was) == 0 {
		was = before.split()
	}
	if len(is) == 0 {
		is = after.split()
	}
	if len(was) == 1 && len(is) == 1 {
		return c.schema(path, was[0], is[0])
	}
	for i, form := range was {
		fits, err := c.anyFits(path, is, func(other any) (old, new any) { return form, other })
		if err != nil {
			return err
		}
		if !fits {
			c.add(path, Breaking, "form %d of %d is no longer allowed as it was", i+1, len(was))
		}
	}
	for i, form := range is {
		fits, err := c.anyFits(path, was, func(other any) (old, new any) { return other, form })
		if err != nil {
			return err
		}
		if !fits {
			c.add(path, Note, "form %d of %d is new", i+1, len(is))
		}
	}
	return nil
}

// anyFits reports whether one of the forms, as old and new, breaks nothing.
func (c *comparison) anyFits(path string, forms []any, pair func(any) (old, new any)) (bool, error) {
	for _, form := range forms {
		old, new := pair(form)
		try := &comparison{eventType: c.eventType, old: c.old, new: c.new, under: maps.Clone(c.under), steps: c.steps}
		if err := try.schema(path, old, new); err != nil {
			return false, err
		}
		if !slices.ContainsFunc(try.changes, func(change Change) bool { return change.Level == Breaking }) {
			return true, nil
		}
	}
	return false, nil
}
