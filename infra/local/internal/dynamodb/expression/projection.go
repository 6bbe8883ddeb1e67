package expression

import (
	"slices"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// projection reads a list of paths.
func (p *parser) projection() {
	for {
		p.result.paths = append(p.result.paths, p.path())
		if !p.accept(",") {
			break
		}
	}
	if p.next().kind != endToken {
		p.syntaxError()
	}
}

// Projection is a part of an item, named by document paths.
type Projection struct {
	tree *tree
}

// Projection takes a ProjectionExpression's text.
func (s *Scope) Projection(text string) (*Projection, error) {
	const parameter = "ProjectionExpression"
	p, err := s.parse(projections, parameter, text)
	if err != nil {
		return nil, err
	}
	paths := s.resolveAll(p.paths)
	if err := distinct(paths); err != nil {
		return nil, refuse(parameter, err)
	}
	return &Projection{treeOf(paths)}, nil
}

func (s *Scope) resolveAll(paths []path) []path {
	out := make([]path, len(paths))
	for i, p := range paths {
		out[i] = s.resolve(p)
	}
	return out
}

// Of returns the part of the item. List elements close ranks.
func (p *Projection) Of(item attribute.Map) attribute.Map {
	return p.tree.of(item)
}

// tree is paths that share what they have in common. One without branches
// stands for all that is there.
type tree struct {
	branches []branch // by name or by index, in order
}

type branch struct {
	element
	inner tree
}

func treeOf(paths []path) *tree {
	t := &tree{}
	for _, p := range paths {
		at := t
		for _, e := range p {
			at = at.branch(e)
		}
	}
	return t
}

// branch returns the branch for an element, and makes it if there is none.
func (t *tree) branch(e element) *tree {
	i, found := slices.BinarySearchFunc(t.branches, e, func(b branch, e element) int { return b.compare(e) })
	if !found {
		t.branches = slices.Insert(t.branches, i, branch{element: e})
	}
	return &t.branches[i].inner
}

// of returns the part of an item that the tree stands for.
func (t *tree) of(item attribute.Map) attribute.Map {
	found, _ := t.part(&attribute.Value{Kind: attribute.M, Map: item})
	return found.Map
}

// part returns the part of v that the tree stands for; ok is false if there is
// nothing of it.
func (t *tree) part(v *attribute.Value) (found attribute.Value, ok bool) {
	if len(t.branches) == 0 {
		return *v, true
	}
	found = attribute.Value{Kind: v.Kind}
	for i := range t.branches {
		b := &t.branches[i]
		child := b.of(v)
		if child == nil {
			continue
		}
		inner, ok := b.inner.part(child)
		switch {
		case !ok:
		case b.name == "":
			found.List = append(found.List, inner)
		default:
			found.Map = append(found.Map, attribute.Field{Name: b.name, Value: inner})
		}
	}
	return found, len(found.List)+len(found.Map) > 0
}
