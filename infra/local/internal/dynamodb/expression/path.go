package expression

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/dynamodb/attribute"
)

// path is a document path: attribute names and list indexes. A name that
// begins with # is a placeholder, until the path is resolved.
type path []element

// element is a step of a path: a name, or an index if the name is empty.
type element struct {
	name  string
	index int
}

// resolve returns the path with its placeholders replaced.
func (s *Scope) resolve(p path) path {
	var out path
	for i, e := range p {
		if e.isPlaceholder() {
			if out == nil {
				out = append(path(nil), p...)
			}
			out[i].name = s.names[e.name]
		}
	}
	if out == nil {
		return p
	}
	return out
}

func (e element) isPlaceholder() bool { return strings.HasPrefix(e.name, "#") }

// String writes a path as DynamoDB's errors do, e.g. [a, b, [0]].
func (p path) String() string {
	parts := make([]string, len(p))
	for i, e := range p {
		parts[i] = e.name
		if e.name == "" {
			parts[i] = "[" + strconv.Itoa(e.index) + "]"
		}
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// get returns the value at a resolved path; nil if there is none.
func (p path) get(item attribute.Map) *attribute.Value {
	v := item.Get(p[0].name)
	for _, e := range p[1:] {
		if v == nil {
			return nil
		}
		v = e.of(v)
	}
	return v
}

// of returns the step's value in a map or list; nil if there is none.
func (e element) of(v *attribute.Value) *attribute.Value {
	switch {
	case e.name != "" && v.Kind == attribute.M:
		return v.Map.Get(e.name)
	case e.name == "" && v.Kind == attribute.L && e.index < len(v.List):
		return &v.List[e.index]
	}
	return nil
}

// compare orders paths by their names and indexes.
func (p path) compare(q path) int { return slices.CompareFunc(p, q, element.compare) }

func (e element) compare(f element) int {
	return cmp.Or(strings.Compare(e.name, f.name), e.index-f.index)
}

// distinct refuses paths of which one lies within another, or of which two
// take the same value for a map and for a list.
func distinct(paths []path) error {
	for i, p := range paths {
		for _, earlier := range paths[:i] {
			if word := earlier.clash(p); word != "" {
				return fmt.Errorf("Two document paths %s with each other; must remove or rewrite one of these paths; path one: %v, path two: %v", word, earlier, p)
			}
		}
	}
	return nil
}

func (p path) clash(q path) string {
	for i := range min(len(p), len(q)) {
		if (p[i].name == "") != (q[i].name == "") {
			return "conflict"
		}
		if p[i] != q[i] {
			return ""
		}
	}
	return "overlap"
}
