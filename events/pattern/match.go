package pattern

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// maxClauses bounds what the $ors of a pattern multiply out to. EventBridge refuses a pattern that is too complex without
// saying where that begins; this is far above what fits into the characters of a pattern in earnest.
const maxClauses = 1000

// A clause is a pattern without $or: leaves that must all match, sorted by path.
type clause []*leaf

// expand multiplies out the $ors of a pattern.
func expand(n *node) ([]clause, error) {
	clauses, err := n.expand()
	if err != nil {
		return nil, err
	}
	for _, c := range clauses {
		slices.SortFunc(c, func(a, b *leaf) int { return cmp.Compare(a.path, b.path) })
		for i := 1; i < len(c); i++ {
			if c[i].path == c[i-1].path {
				return nil, faultAt(c[i].path, "is tested twice: put all that it may be into one array")
			}
		}
	}
	return clauses, nil
}

func (n *node) expand() ([]clause, error) {
	clauses := []clause{nil}
	for _, f := range n.fields {
		factor := []clause{{f.leaf}}
		if f.object != nil {
			var err error
			if factor, err = f.object.expand(); err != nil {
				return nil, err
			}
		}
		var err error
		if clauses, err = multiply(clauses, factor); err != nil {
			return nil, err
		}
	}
	for _, alternatives := range n.ors {
		var factor []clause
		for _, alternative := range alternatives {
			more, err := alternative.expand()
			if err != nil {
				return nil, err
			}
			factor = append(factor, more...)
		}
		var err error
		if clauses, err = multiply(clauses, factor); err != nil {
			return nil, err
		}
	}
	return clauses, nil
}

// multiply returns every clause of a joined with every clause of b.
func multiply(a, b []clause) ([]clause, error) {
	if len(a)*len(b) > maxClauses {
		return nil, fmt.Errorf("%s makes more than %d combinations: split the rule", or, maxClauses)
	}
	product := make([]clause, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			product = append(product, slices.Concat(x, y))
		}
	}
	return product, nil
}

// match reports whether every leaf of the clause finds a value (or finds none, if it may be absent), such that values
// from one array of objects come from one element of it.
//
// It goes through the leaves in order and keeps the choices of elements that are still possible: for each, the places
// chosen so far. A place is forgotten when no later leaf lies under its array, so that the number of choices is bounded by
// the number of elements and does not multiply from array to array. Absence is judged within the choice, as Event Ruler
// does: a leaf that sorts before the first value found under an array must be absent from all elements of it.
//
// values returns the values at the path of the clause's leaf of a given index; arrays are those around them.
func (c clause) match(values func(leaf int) []value, arrays *arrays) bool {
	if !arrays.nested {
		for i, l := range c {
			if !l.matchAny(values(i)) {
				return false
			}
		}
		return true
	}
	var buffers [2][4][]place // up to four choices need no allocation
	choices := append(buffers[0][:0], nil)
	next := buffers[1][:0]
	for i, l := range c {
		values := values(i)
		if l.absent {
			for _, chosen := range choices {
				if !slices.ContainsFunc(values, func(v value) bool { return consistent(chosen, v.in) }) {
					next = append(next, chosen)
				}
			}
		}
		for j := range values {
			v := &values[j]
			if !l.match(v) {
				continue
			}
			for _, chosen := range choices {
				if consistent(chosen, v.in) {
					next = append(next, merge(chosen, v.in))
				}
			}
		}
		if len(next) == 0 {
			return false
		}
		choices, next = arrays.forget(next, c[i+1:]), choices[:0]
	}
	return true
}

// isTexts reports whether the leaf holds for certain texts and nothing else.
func (l *leaf) isTexts() bool {
	for _, t := range l.tests {
		if _, ok := t.(equalText); !ok {
			return false
		}
	}
	return !l.absent
}

// texts yields the texts among the leaf's entries, each once.
func (l *leaf) texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i, t := range l.tests {
			if t, ok := t.(equalText); ok && !slices.Contains(l.tests[:i], test(t)) && !yield(t.text) {
				return
			}
		}
	}
}

// matchAny reports whether the leaf holds for one of the values, or for there being none. No arrays are around them.
func (l *leaf) matchAny(values []value) bool {
	for i := range values {
		if l.match(&values[i]) {
			return true
		}
	}
	return l.absent && len(values) == 0
}

// match reports whether one of the leaf's tests matches the value.
func (l *leaf) match(v *value) bool {
	for _, t := range l.tests {
		if t.match(v) {
			return true
		}
	}
	return false
}

// consistent reports whether no array is in a and b with different elements. Both are sorted by array.
func consistent(a, b []place) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].array < b[0].array:
			a = a[1:]
		case a[0].array > b[0].array:
			b = b[1:]
		case a[0].element != b[0].element:
			return false
		default:
			a, b = a[1:], b[1:]
		}
	}
	return true
}

// merge returns the places in a or b, which are consistent, sorted by array.
func merge(a, b []place) []place {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	merged := slices.Concat(a, b)
	slices.SortFunc(merged, comparePlaces)
	return slices.Compact(merged)
}

// forget drops the places in arrays that no leaf to come lies under, and then choices that have become the same.
func (a *arrays) forget(choices [][]place, toCome []*leaf) [][]place {
	needed := func(p place) bool {
		return slices.ContainsFunc(toCome, func(l *leaf) bool { return strings.HasPrefix(l.path, a.paths[p.array]) })
	}
	for i, chosen := range choices {
		var kept []place // never in place: the places belong to the event's values
		for _, p := range chosen {
			if needed(p) {
				kept = append(kept, p)
			}
		}
		choices[i] = kept
	}
	if len(choices) > 1 {
		slices.SortFunc(choices, func(a, b []place) int { return slices.CompareFunc(a, b, comparePlaces) })
		choices = slices.CompactFunc(choices, slices.Equal)
	}
	return choices
}

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.array, b.array), cmp.Compare(a.element, b.element))
}
