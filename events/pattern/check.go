package pattern

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// Check compares the pattern with the JSON Schema of the events that it is for, and returns every fault it finds, joined:
//
//   - a field that the schema does not have (the nearest is offered), where it names fields at all: an object whose schema
//     names none, or allows others by additionalProperties, has any field;
//   - a value or an operator that no event of the schema can satisfy: a numeric match on a string, a value outside an enum or
//     a range, {"exists": false} for a field that is always there;
//   - one that excludes nothing, because the field cannot have that value;
//   - a test of an object, which is no value.
//
// Of JSON Schema it understands type, properties, required, additionalProperties, items, enum, const, format, the bounds of
// numbers and strings, anyOf, oneOf, allOf, true, false and $ref to the schema's own $defs. Where the schema says nothing,
// and where it says what Check does not understand, nothing is wrong. The schema itself must be JSON, and an object or a bool.
func (p *Pattern) Check(schema []byte) error {
	faults, err := p.faults(schema)
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	var all []error
	said := map[string]bool{} // alternatives of an $or may have the same
	for _, f := range faults {
		if text := f.Error(); !said[text] {
			said[text] = true
			all = append(all, f)
		}
	}
	return errors.Join(all...)
}

// A fault is one of those that Check finds.
type fault struct {
	path, problem string
}

func (f fault) Error() string { return f.path + ": " + f.problem }

func (p *Pattern) faults(schema []byte) ([]fault, error) {
	root, defs, err := parseSchema(schema)
	if err != nil {
		return nil, err
	}
	c := &checker{shaper: shaper{defs: defs, known: map[*jsonSchema]shape{}, open: map[*jsonSchema]bool{}}}
	found := c.of(root)
	c.node(p.root, "", found, found.onlyObject())
	return c.faults, nil
}

type checker struct {
	shaper
	faults []fault
}

func (c *checker) fault(path, format string, args ...any) {
	c.faults = append(c.faults, fault{path, fmt.Sprintf(format, args...)})
}

// node checks an object of the pattern. always says that what stands there in an event is always one object.
func (c *checker) node(n *node, path string, s shape, always bool) {
	for _, f := range n.fields {
		c.field(f, path, s, always)
	}
	for _, alternatives := range n.ors {
		for _, alternative := range alternatives {
			c.node(alternative, path, s, always)
		}
	}
}

func (c *checker) field(f field, path string, s shape, always bool) {
	at := join(path, f.name)
	known, ok := s.fields[f.name]
	switch {
	case s.anything:
		return
	case ok:
	case c.dotted(f, path, s, always):
		return
	case s.anyKey && strings.Contains(f.name, "."):
		return // one field or several
	case s.anyKey:
		known = shapeField{all: s.others}
	default:
		c.fault(at, "there is no such field%s", c.nearest(s, path, f.name))
		return
	}
	inner, here := c.all(known.all), always && known.always
	switch {
	case f.leaf != nil:
		c.leaf(f.leaf, at, inner, here)
	case inner.anything || inner.object:
		c.node(f.object, at, inner, here && inner.onlyObject())
	default:
		c.fault(at, "the pattern looks for fields inside, and here is %s: test it with an array, as in [%s]", inner.words(), inner.example())
	}
}

// dotted checks a field that is the same under another name: {"a.b": …} is {"a": {"b": …}}. It reports whether there is one.
func (c *checker) dotted(f field, path string, s shape, always bool) bool {
	for i, r := range f.name {
		if outer := f.name[:i]; r == '.' {
			if _, ok := s.fields[outer]; ok {
				f.name = f.name[i+1:]
				c.field(field{name: outer, object: &node{fields: []field{f}}}, path, s, always)
				return true
			}
		}
	}
	for known := range s.fields {
		if strings.HasPrefix(known, f.name+".") {
			return true // a field whose own name has a dot: not followed
		}
	}
	return false
}

// nearest offers the field that a person may have meant: one of a like name, or of the same name one level down.
func (c *checker) nearest(s shape, path, name string) string {
	known := slices.Sorted(maps.Keys(s.fields))
	if i := closest(name, known); i >= 0 {
		return fmt.Sprintf(": did you mean %s?", join(path, known[i]))
	}
	for _, outer := range known {
		if _, ok := c.all(s.fields[outer].all).fields[name]; ok {
			return fmt.Sprintf(": did you mean %s?", join(join(path, outer), name))
		}
	}
	if len(known) == 0 {
		return ""
	}
	return ": there are " + list(known, "and")
}

// leaf checks the tests of a path. always says that every event has a value there, or an object.
func (c *checker) leaf(l *leaf, at string, s shape, always bool) {
	if s.anything {
		return
	}
	if len(s.scalars) == 0 {
		if s.object {
			what := "an object"
			if s.list {
				what = "a list of objects"
			}
			c.fault(at, "here is %s, and a pattern tests values: name a field inside%s", what, c.inside(s, at))
			return
		}
		c.fault(at, "nothing can stand here")
		return
	}
	if l.absent && always && !s.object && !s.list {
		c.fault(at, `exists false never matches: every event has this field`)
	}
	for _, t := range l.tests {
		c.test(t, at, s)
	}
}

func (c *checker) inside(s shape, at string) string {
	known := slices.Sorted(maps.Keys(s.fields))
	if len(known) == 0 {
		return ""
	}
	return ", such as " + join(at, known[0])
}

// test checks one test of a leaf.
func (c *checker) test(t test, at string, s shape) {
	if not, ok := t.(anythingBut); ok {
		for _, inner := range not.tests {
			if why, ok := s.admits(inner); !ok {
				c.fault(at, "anything-but %s excludes nothing: %s", describeTest(inner), why)
			}
		}
	}
	if why, ok := s.admits(t); !ok {
		c.fault(at, "%s never matches: %s", describeTest(t), why)
	}
}

// admits reports whether some value of the shape satisfies a test, and else says why none does.
func (s shape) admits(t test) (why string, ok bool) {
	for _, one := range s.scalars {
		if one.admits(t) {
			return "", true
		}
	}
	k, any := kindOfTest(t)
	i := slices.IndexFunc(s.scalars, func(one scalar) bool { return any || one.kind == k })
	if i < 0 {
		return fmt.Sprintf("the field is %s%s", s.words(), s.rewrite(t)), false
	}
	var listed, spelled []string
	for _, one := range s.scalars {
		if !any && one.kind != k {
			continue
		}
		for _, v := range one.values {
			if text := v.json(); !slices.Contains(listed, text) {
				listed, spelled = append(listed, text), append(spelled, v.text)
			}
		}
	}
	if listed == nil {
		return "the field is " + s.scalars[i].words(), false
	}
	if text, ok := t.(equalText); ok {
		if i := closest(text.text, spelled); i >= 0 {
			return fmt.Sprintf("the field is %s: did you mean %s?", list(listed, "or"), listed[i]), false
		}
	}
	return "the field is " + list(listed, "or"), false
}

// rewrite offers the value of the right kind for one of the wrong: 100 for "100".
func (s shape) rewrite(t test) string {
	fits := func(t test) bool {
		return slices.ContainsFunc(s.scalars, func(one scalar) bool { return one.admits(t) })
	}
	switch t := t.(type) {
	case equalText:
		if unquoted, err := readJSON([]byte(t.text)); err == nil {
			if other, err := parseTest(unquoted); err == nil && fits(other) {
				return fmt.Sprintf(": write %s without quotes", t.text)
			}
		}
	case equalNumber:
		if fits(equalText{t.text}) {
			return fmt.Sprintf(": write %q", t.text)
		}
	}
	return ""
}

// admits reports whether some value of the kind satisfies a test; also where it cannot tell.
func (a scalar) admits(t test) bool {
	if a.values != nil {
		return slices.ContainsFunc(a.values, func(v value) bool { return t.match(&v) && a.bounds.admit(v) })
	}
	switch t := t.(type) {
	case anyValue, anythingBut:
		return true
	case equalText:
		return a.kind == isString && a.bounds.admit(value{kind: isString, text: t.text})
	case equalAddress, cidr:
		return a.kind == isString && !slices.ContainsFunc(a.bounds.formats, func(f string) bool { return slices.Contains(noAddresses, f) })
	case prefix, prefixFold, suffix, suffixFold, equalFold, wildcard:
		return a.kind == isString
	case equalNumber:
		return a.kind == isNumber && a.bounds.admit(value{kind: isNumber, number: t.number})
	case numeric:
		return a.kind == isNumber && a.bounds.overlap(t)
	}
	return false
}

// noAddresses are formats of which no string is an IP address.
var noAddresses = []string{"date-time", "date", "time", "uuid", "email"}

// admit reports whether a value of the right kind is within bounds.
func (b bounds) admit(v value) bool {
	switch v.kind {
	case isString:
		n := utf8.RuneCountInString(v.text)
		if n < b.minLength || b.maxLength >= 0 && n > b.maxLength {
			return false
		}
		for _, re := range b.match {
			if !re.MatchString(v.text) {
				return false
			}
		}
		return !slices.ContainsFunc(b.formats, func(f string) bool { return !conforms(v.text, f) })
	case isNumber:
		if b.whole && v.number != math.Trunc(v.number) {
			return false
		}
		return (v.number > b.low || v.number == b.low && !b.openLow) && (v.number < b.high || v.number == b.high && !b.openHigh)
	}
	return true
}

// conforms reports whether a string may be of a format; it knows some of them.
func conforms(text, format string) bool {
	switch format {
	case "date-time":
		// JSON Schema allows small letters and leap seconds, package time neither.
		_, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(strings.ToUpper(text), ":60", ":59"))
		return err == nil
	case "date":
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	case "uuid":
		digits := func(r rune) bool {
			return r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F'
		}
		return len(text) == 36 && strings.IndexFunc(text, func(r rune) bool { return !digits(r) }) < 0
	case "email":
		return strings.Contains(text, "@")
	}
	return true
}

// overlap reports whether a number within bounds is in an interval.
func (b bounds) overlap(t numeric) bool {
	if t.low > b.low || t.low == b.low && t.openLow {
		b.low, b.openLow = t.low, t.openLow
	}
	if t.high < b.high || t.high == b.high && t.openHigh {
		b.high, b.openHigh = t.high, t.openHigh
	}
	if b.whole { // the first whole number that is not too small
		first := math.Ceil(b.low)
		if first == b.low && b.openLow {
			first++
		}
		return first < b.high || first == b.high && !b.openHigh
	}
	return b.low < b.high || b.low == b.high && !b.openLow && !b.openHigh
}

// words says which numbers or strings are within the scalar's bounds.
func (a scalar) words() string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	b := a.bounds
	if a.kind == isString {
		add("a string")
		if b.minLength > 0 {
			add("of %d or more characters", b.minLength)
		}
		if b.maxLength >= 0 {
			add("of up to %d characters", b.maxLength)
		}
		for _, re := range b.match {
			add("that matches %s", re)
		}
		for _, f := range b.formats {
			add("of the format %s", f)
		}
		return strings.Join(words, " ")
	}
	if b.whole {
		add("a whole number")
	} else {
		add("a number")
	}
	limit := func(n float64, open bool, strict, inclusive string) {
		word := inclusive
		if open {
			word = strict
		}
		if !math.IsInf(n, 0) {
			add("%s %s", word, strconv.FormatFloat(n, 'f', -1, 64))
		}
	}
	limit(b.low, b.openLow, "more than", "at least")
	limit(b.high, b.openHigh, "less than", "at most")
	return strings.Join(words, ", ")
}

// words names the kinds of values that a shape has.
func (s shape) words() string {
	var words []string
	add := func(word string) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	for _, one := range s.scalars {
		switch one.kind {
		case isString:
			add("a string")
		case isNumber:
			add("a number")
		case isTrue, isFalse:
			add("true or false")
		case isNull:
			add("null")
		}
	}
	if s.object {
		add("an object")
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, " or ")
}

// example is a value of the shape, as it is written in a pattern.
func (s shape) example() string {
	for _, one := range s.scalars {
		switch {
		case one.values != nil:
			return one.values[0].json()
		case one.kind == isNumber:
			return `{"numeric": [">", 0]}`
		case one.kind == isString:
			return `"…"`
		}
	}
	return "…"
}

func (v value) json() string {
	switch v.kind {
	case isString:
		return jsonText(v.text)
	case isNumber:
		return v.text
	case isTrue:
		return "true"
	case isFalse:
		return "false"
	}
	return "null"
}

func (t equalText) json() string { return jsonText(t.text) }

// kindOfTest is the kind of the values that a test can match; any if it may be several.
func kindOfTest(t test) (k kind, any bool) {
	switch t := t.(type) {
	case equalKind:
		return t.kind, false
	case equalNumber, numeric:
		return isNumber, false
	case anyValue, anythingBut:
		return 0, true
	}
	return isString, false
}

// describeTest is a test as it is written in a pattern, or its operator's name.
func describeTest(t test) string {
	switch t := t.(type) {
	case equalKind:
		return value{kind: t.kind}.json()
	case equalText:
		return t.json()
	case equalAddress:
		return jsonText(t.addr.String())
	case equalNumber:
		return t.text
	case prefix:
		return "prefix " + jsonText(t.text)
	case prefixFold:
		return "prefix " + jsonText(t.text)
	case suffix:
		return "suffix " + jsonText(t.text)
	case suffixFold:
		return "suffix " + jsonText(t.text)
	case equalFold:
		return "equals-ignore-case " + jsonText(t.text)
	case wildcard:
		return "wildcard " + jsonText(strings.Join(t.parts, "*"))
	case numeric:
		return "numeric " + t.String()
	case cidr:
		return "cidr " + jsonText(t.prefix.String())
	case anythingBut:
		return "anything-but"
	}
	return "exists"
}

// String writes the interval as the operator's array.
func (t numeric) String() string {
	if t.low == t.high {
		return fmt.Sprintf(`["=", %v]`, t.low)
	}
	var parts []string
	add := func(open bool, sign string, n float64) {
		if !open {
			sign += "="
		}
		parts = append(parts, fmt.Sprintf(`"%s", %s`, sign, strconv.FormatFloat(n, 'f', -1, 64)))
	}
	if t.low != -maxNumber || t.openLow {
		add(t.openLow, ">", t.low)
	}
	if t.high != maxNumber || t.openHigh {
		add(t.openHigh, "<", t.high)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// closest is the index of the known name that is most like name, -1 if none is like it.
func closest(name string, known []string) int {
	best, least := -1, math.MaxInt
	for i, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(k)); d < least && d <= max(len(name), len(k))/2 {
			best, least = i, d
		}
	}
	return best
}

// list names some of what there is.
func list(names []string, conjunction string) string {
	const most = 12
	if n := len(names); n > most {
		return fmt.Sprintf("%s %s %d others", strings.Join(names[:most], ", "), conjunction, n-most)
	} else if n > 1 {
		return fmt.Sprintf("%s %s %s", strings.Join(names[:n-1], ", "), conjunction, names[n-1])
	}
	return strings.Join(names, "")
}
