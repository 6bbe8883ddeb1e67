package pipeline

import (
	"strings"
)

// A branch is the tree of the fields that project, addFields, set, unset and
// externalFunction's "as" change, each with what it does there.
type branch struct {
	keep     bool // fields that the branch does not name: kept or dropped
	items    []item
	computes bool // it sets something, here or below
}

// item is one field of a branch.
type item struct {
	name  string
	do    do
	value expression // of what is computed
	child *branch    // of what is nested
}

type do uint8

const (
	include do = iota
	exclude
	compute
	nest
)

func (b *branch) find(name string) *item {
	for i := range b.items {
		if b.items[i].name == name {
			return &b.items[i]
		}
	}
	return nil
}

// apply changes a value: an object's fields, an array's elements each (also
// those of arrays in it), and of anything else makes an object if the branch
// computes fields for one. Otherwise what is no object is kept or dropped with
// the fields that the branch does not name; what is dropped from an array
// leaves no gap.
func (b *branch) apply(s *scope, v value) (value, error) {
	switch v.kind {
	case object:
		return b.applyObject(s, v.open().fields)
	case array:
		items := v.open().items
		made := make([]value, 0, len(items))
		for i := range items {
			one, err := b.apply(s, items[i])
			if err != nil {
				return value{}, err
			}
			if one.kind != missing {
				made = append(made, one)
			}
		}
		return ofItems(made), nil
	}
	switch {
	case b.computes:
		return b.applyObject(s, nil)
	case b.keep:
		return v, nil
	}
	return value{}, nil
}

// applyObject first goes through the fields that there are, which keep their
// order, and then through what is computed, in the order of the stage: a field
// that is there is replaced, a new one comes last.
func (b *branch) applyObject(s *scope, fields []field) (value, error) {
	made := make([]field, 0, len(fields)+len(b.items))
	for i := range fields {
		f := &fields[i]
		it := b.find(f.name)
		switch {
		case it == nil:
			if b.keep {
				made = append(made, *f)
			}
		case it.do == include, it.do == compute && b.keep:
			made = append(made, *f)
		case it.do == nest:
			v, err := it.child.apply(s, f.value)
			if err != nil {
				return value{}, err
			}
			if v.kind != missing {
				made = append(made, field{f.name, v})
			}
		}
	}
	if !b.computes {
		return ofFields(made), nil
	}
	for i := range b.items {
		it := &b.items[i]
		at := -1
		for j := range made {
			if made[j].name == it.name {
				at = j
				break
			}
		}
		var v value
		var err error
		switch {
		case it.do == compute:
			v, err = it.value.eval(s)
		case it.do == nest && at < 0 && it.child.computes:
			v, err = it.child.apply(s, value{})
		default:
			continue
		}
		switch {
		case err != nil:
			return value{}, err
		case v.kind == missing && at >= 0:
			made = append(made[:at], made[at+1:]...)
		case v.kind == missing:
		case at >= 0:
			made[at].value = v
		default:
			made = append(made, field{it.name, v})
		}
	}
	return ofFields(made), nil
}

// at returns the branch and the name of a path below b, which it makes; nil if
// the path or a part of it is there already as something else.
func (b *branch) at(path []string) (*branch, string) {
	for _, name := range path[:len(path)-1] {
		it := b.find(name)
		if it == nil {
			b.items = append(b.items, item{name: name, do: nest, child: &branch{keep: b.keep}})
			it = &b.items[len(b.items)-1]
		}
		if it.do != nest {
			return nil, ""
		}
		b = it.child
	}
	name := path[len(path)-1]
	if b.find(name) != nil {
		return nil, ""
	}
	return b, name
}

// add puts an item at a path.
func (p *parser) add(at string, root *branch, path []string, it item) {
	b, name := root.at(path)
	if b == nil {
		p.fault(at, "the path %s collides with another one of this stage: name a field once, and either it or fields in it", strings.Join(path, "."))
		return
	}
	it.name = name
	b.items = append(b.items, it)
	if it.do != compute {
		return
	}
	for b := root; ; {
		b.computes = true
		if len(path) == 1 {
			return
		}
		b, path = b.find(path[0]).child, path[1:]
	}
}

// leaves calls visit for every path of a stage that names fields, as "a.b" or
// as objects in objects, down to what is no object or is an operator.
func (p *parser) leaves(at string, v *value, path []string, visit func(at string, path []string, v *value)) {
	fields := v.open().fields
	if len(fields) == 0 {
		what := `an empty object names no field: for an empty object as the value write {"$literal": {}}`
		if path == nil {
			what = "must name at least one field"
		}
		p.fault(at, "%s", what)
	}
	for i := range fields {
		f := &fields[i]
		here := within(at, f.name)
		names, ok := p.fieldPath(here, f.name)
		if !ok {
			continue
		}
		if path != nil && len(names) > 1 {
			p.fault(here, "a path with dots does not stand in an object: write the whole path outside, or objects in objects")
			continue
		}
		full := append(path[:len(path):len(path)], names...)
		if inner := f.value.open().fields; f.value.kind == object && (len(inner) == 0 || !strings.HasPrefix(inner[0].name, "$")) {
			p.leaves(here, &f.value, full, visit)
			continue
		}
		visit(here, full, &f.value)
	}
}

// addFields parses addFields and set.
func (p *parser) addFields(at string, v *value) *branch {
	root := &branch{keep: true}
	if v.kind != object {
		p.fault(at, "must be an object of fields and their expressions, not %s", kindOf(v))
		return root
	}
	p.leaves(at, v, nil, func(at string, path []string, v *value) {
		p.add(at, root, path, item{do: compute, value: p.expression(at, v)})
	})
	return root
}

// unset parses unset: one path, or an array of them.
func (p *parser) unset(at string, v *value) *branch {
	root := &branch{keep: true}
	list := []value{*v}
	if v.kind == array {
		if list = v.open().items; len(list) == 0 {
			p.fault(at, "must name at least one field")
		}
	}
	for i := range list {
		here := at
		if v.kind == array {
			here = index(at, i)
		}
		if list[i].kind != text {
			p.fault(here, "must be a field's path, not %s", kindOf(&list[i]))
			continue
		}
		if path, ok := p.fieldPath(here, list[i].content()); ok {
			p.add(here, root, path, item{do: exclude})
		}
	}
	return root
}

// identifier is the one field that project keeps unless it is told otherwise.
const identifier = "_id"

// project parses project, which names either what stays or what goes.
func (p *parser) project(at string, v *value) *branch {
	root := &branch{}
	if v.kind != object {
		p.fault(at, "must be an object of fields, not %s", kindOf(v))
		return root
	}
	type leaf struct {
		at   string
		path []string
		item item
	}
	var leaves []leaf
	var kept, dropped string // the first field that is to stay, and to go, but for _id
	p.leaves(at, v, nil, func(at string, path []string, v *value) {
		l := leaf{at, path, item{do: compute}}
		only := len(path) == 1 && path[0] == identifier
		switch {
		case v.kind == boolean || v.numeric():
			l.item.do = exclude
			if v.truth() {
				l.item.do = include
			}
		default:
			l.item.value = p.expression(at, v)
		}
		switch {
		case only && l.item.do != compute:
		case l.item.do == exclude && dropped == "":
			dropped = strings.Join(path, ".")
		case l.item.do != exclude && kept == "":
			kept = strings.Join(path, ".")
		}
		if kept != "" && dropped != "" && !only {
			p.fault(at, "a project either names what stays or what goes (%s only may go from what stays): %s stays or is computed, %s goes", identifier, kept, dropped)
		}
		leaves = append(leaves, l)
	})
	alone := kept == "" && dropped == "" && len(leaves) > 0 // _id
	root.keep = dropped != "" || alone && leaves[0].item.do == exclude
	mentioned := false
	for _, l := range leaves {
		mentioned = mentioned || l.path[0] == identifier
		if only := len(l.path) == 1 && l.path[0] == identifier; only && ((l.item.do == exclude) != root.keep) && l.item.do != compute {
			continue // {_id: 0} where fields stay drops it anyway, {_id: 1} where fields go keeps it
		}
		p.add(l.at, root, l.path, l.item)
	}
	if !root.keep && !mentioned {
		p.add(at, root, []string{identifier}, item{do: include})
	}
	return root
}
