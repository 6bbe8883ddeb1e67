package pipeline

import (
	"cmp"
	"strings"
)

// rank is a value's place among the types of another ("BSON Types:
// Comparison/Sort Order"): what is missing comes before null, then come
// numbers, strings, objects, arrays and booleans.
func (v *value) rank() kind {
	if v.numeric() {
		return digits
	}
	return v.kind
}

// compare orders values of any types: by their types first, by value within
// one. Strings compare byte by byte; objects field by field, each by its type,
// then its name, then its value; arrays element by element; what ends first
// comes first.
func compare(a, b *value) int {
	if c := cmp.Compare(a.rank(), b.rank()); c != 0 {
		return c
	}
	switch a.rank() {
	case digits:
		return compareNumbers(a.number(), b.number())
	case text:
		return strings.Compare(a.content(), b.content())
	case boolean:
		return cmp.Compare(a.bits, b.bits)
	case object:
		left, right := a.open().fields, b.open().fields
		for i := range min(len(left), len(right)) {
			l, r := &left[i], &right[i]
			if c := cmp.Or(cmp.Compare(l.value.rank(), r.value.rank()), strings.Compare(l.name, r.name), compare(&l.value, &r.value)); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(left), len(right))
	case array:
		left, right := a.open().items, b.open().items
		for i := range min(len(left), len(right)) {
			if c := compare(&left[i], &right[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(left), len(right))
	}
	return 0
}
