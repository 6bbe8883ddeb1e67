package pipeline

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// queryOperators are all that match takes: those that stand beside fields, and
// the tests of one.
var (
	queryJunctions = []string{"$and", "$or", "$nor", "$expr"}
	queryTests     = []string{"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$not", "$regex", "$options"}
	queryOperators = slices.Concat(queryJunctions, queryTests)
)

// query is what match asks of a document.
type query interface {
	holds(*scope) (bool, error)
}

// every holds if all do; some if one does; not if the one does not.
type (
	every []query
	some  []query
	not   struct{ query }
)

func (q every) holds(s *scope) (bool, error) {
	for _, one := range q {
		if ok, err := one.holds(s); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (q some) holds(s *scope) (bool, error) {
	for _, one := range q {
		if ok, err := one.holds(s); err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func (q not) holds(s *scope) (bool, error) {
	ok, err := q.query.holds(s)
	return !ok, err
}

// truthOf is $expr.
type truthOf struct{ expression }

func (q truthOf) holds(s *scope) (bool, error) {
	v, err := q.eval(s)
	return v.truth(), err
}

// fieldQuery holds if the test does for a value at the path.
type fieldQuery struct {
	path []string
	test func(*value) bool
}

func (q fieldQuery) holds(s *scope) (bool, error) { return anyAt(s.root, q.path, q.test), nil }

// anyAt tests what a query's path leads to, until the test holds: the value at
// it, and if that is an array its elements, too. On the way, an array stands
// for its elements that are objects, and a name that is a number for the
// element of that index, too. Where the path leads nowhere, what is tested is
// missing; that does not count for elements of an array that are no objects
// ("Query for Null or Missing Fields", "Query an Array of Embedded Documents").
func anyAt(v *value, path []string, test func(*value) bool) bool {
	v = v.field(path[0])
	if v == nil {
		return test(&value{})
	}
	return anyFrom(v, path[1:], test)
}

// anyFrom is anyAt for the value that the path so far has led to.
func anyFrom(v *value, path []string, test func(*value) bool) bool {
	if len(path) == 0 {
		return test(v) || v.kind == array && slices.ContainsFunc(v.open().items, func(v value) bool { return test(&v) })
	}
	switch v.kind {
	case object:
		return anyAt(v, path, test)
	case array:
		items := v.open().items
		for i := range items {
			if items[i].kind == object && anyAt(&items[i], path, test) {
				return true
			}
		}
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(items) {
			return anyFrom(&items[i], path[1:], test)
		}
		return false
	}
	return test(&value{})
}

// query parses what match has.
func (p *parser) query(at string, v *value) query {
	if v.kind != object {
		p.fault(at, "must be an object of fields and what they match, not %s", kindOf(v))
		return every{}
	}
	var all every
	fields := v.open().fields
	for i := range fields {
		name, v := fields[i].name, &fields[i].value
		here := within(at, name)
		switch {
		case name == "$and":
			all = append(all, every(p.queries(here, v)))
		case name == "$or":
			all = append(all, some(p.queries(here, v)))
		case name == "$nor":
			all = append(all, not{some(p.queries(here, v))})
		case name == "$expr":
			all = append(all, truthOf{p.expression(here, v)})
		case slices.Contains(queryTests, name):
			p.fault(here, `%s tests a field: write {"field": {%q: …}}`, name, name)
		case strings.HasPrefix(name, "$"):
			p.unknown(here, "operator", name, queryOperators)
		default:
			path, ok := p.fieldPath(here, name)
			if !ok {
				continue
			}
			if tests := v.open().fields; v.kind == object && len(tests) > 0 && strings.HasPrefix(tests[0].name, "$") {
				all = append(all, p.tests(here, path, v)...)
				continue
			}
			all = append(all, p.test(here, path, "$eq", v, v))
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// queries parses the list of a $and, $or or $nor.
func (p *parser) queries(at string, v *value) []query {
	if v.kind != array || len(v.open().items) == 0 {
		p.fault(at, "must be an array of at least one object")
		return nil
	}
	items := v.open().items
	list := make([]query, len(items))
	for i := range items {
		list[i] = p.query(index(at, i), &items[i])
	}
	return list
}

// tests parses {"$gt": 1, "$lt": 5}: each test for itself, so that in an array
// different elements may satisfy them.
func (p *parser) tests(at string, path []string, v *value) []query {
	var list []query
	fields := v.open().fields
	for i := range fields {
		if name := fields[i].name; name != "$options" {
			list = append(list, p.test(within(at, name), path, name, &fields[i].value, v))
		} else if v.field("$regex") == nil {
			p.fault(within(at, name), "belongs to a $regex, and there is none")
		}
	}
	return list
}

// test parses one test of the field at a path; all is the object that it
// stands in.
func (p *parser) test(at string, path []string, name string, v, all *value) query {
	v.freeze()
	// Tests compare within a type; only an equality with null also takes what
	// is missing.
	compared := func(holds func(int) bool) query {
		return fieldQuery{path, func(found *value) bool {
			if v.kind == null {
				return found.nullish() && holds(0)
			}
			return found.rank() == v.rank() && holds(compare(found, v))
		}}
	}
	equal := func(c int) bool { return c == 0 }
	switch name {
	case "$eq":
		return compared(equal)
	case "$ne":
		return not{compared(equal)}
	case "$gt":
		return compared(func(c int) bool { return c > 0 })
	case "$gte":
		return compared(func(c int) bool { return c >= 0 })
	case "$lt":
		return compared(func(c int) bool { return c < 0 })
	case "$lte":
		return compared(func(c int) bool { return c <= 0 })
	case "$in", "$nin":
		if v.kind != array {
			p.fault(at, "must be an array of values, not %s", kindOf(v))
			return every{}
		}
		wanted := v.open().items
		in := fieldQuery{path, func(found *value) bool {
			for i := range wanted {
				if found.kind == missing && wanted[i].kind == null || compare(found, &wanted[i]) == 0 {
					return true
				}
			}
			return false
		}}
		if name == "$nin" {
			return not{in}
		}
		return in
	case "$exists":
		exists := fieldQuery{path, func(found *value) bool { return found.kind != missing }}
		if !v.truth() {
			return not{exists}
		}
		return exists
	case "$not":
		if tests := v.open().fields; v.kind != object || len(tests) == 0 || !strings.HasPrefix(tests[0].name, "$") {
			p.fault(at, `must be an object of operators, as {"$not": {"$gt": 5}}, not %s`, kindOf(v))
			return every{}
		}
		return not{every(p.tests(at, path, v))}
	case "$regex":
		return p.regex(at, path, v, all)
	}
	if slices.Contains(queryJunctions, name) {
		p.fault(at, "%s stands beside fields, not in one", name)
	} else {
		p.unknown(at, "operator", name, queryOperators)
	}
	return every{}
}

// regex parses a $regex and its $options.
func (p *parser) regex(at string, path []string, v, all *value) query {
	if v.kind != text {
		p.fault(at, "must be a string, not %s", kindOf(v))
		return every{}
	}
	options := ""
	if o := all.field("$options"); o != nil {
		if options = o.content(); o.kind != text || strings.Trim(options, "ims") != "" {
			p.fault(strings.TrimSuffix(at, "$regex")+"$options", "must be letters of i (any case), m (^ and $ at each line) and s (. is also a line's end), not %s", kindOf(o))
			return every{}
		}
	}
	pattern := v.content()
	if options != "" {
		pattern = "(?" + options + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		p.fault(at, "%w (the syntax is that of RE2, which has no look-around and no back-references)", err)
		return every{}
	}
	return fieldQuery{path, func(found *value) bool { return found.kind == text && re.MatchString(found.content()) }}
}
