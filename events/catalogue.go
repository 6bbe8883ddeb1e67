package events

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Catalogue is a list of event types: an ordinary value, made once and only
// read afterwards. A project keeps the one list of all its types in a package
// catalogue, from which schemas are generated and tests are made.
type Catalogue struct {
	descriptions []Description
}

// Description is one event type in a catalogue.
type Description struct {
	Type   Type
	Sample Event // what Schema returns
	Code   int   // the type's number, 0 if it has none, see [Coded]
}

// Describe describes the event type T.
func Describe[T Event]() Description {
	var zero T
	return Description{Type: zero.EventType(), Sample: zero.Schema(), Code: codeOf(zero)}
}

// NewCatalogue makes a catalogue. It panics for an invalid or repeated type, for
// two that differ in case alone, whose files would be one on many machines, a
// negative or repeated code, and a sample of another type: mistakes that every
// program that imports the catalogue would otherwise carry.
func NewCatalogue(descriptions ...Description) *Catalogue {
	types, codes := map[string]Type{}, map[int]Type{}
	for _, d := range descriptions {
		if err := d.Type.Validate(); err != nil {
			panic("catalogue: " + err.Error())
		}
		folded := strings.ToLower(d.Type.String())
		if other, taken := types[folded]; taken && other == d.Type {
			panic(fmt.Sprintf("catalogue: event type %s is described twice", d.Type))
		} else if taken {
			panic(fmt.Sprintf("catalogue: event types %s and %s differ in case alone: rename one", other, d.Type))
		}
		types[folded] = d.Type
		if d.Sample == nil || d.Sample.EventType() != d.Type {
			panic(fmt.Sprintf("catalogue: the sample of %s is not of that type", d.Type))
		}
		if d.Code < 0 {
			panic(fmt.Sprintf("catalogue: the code of %s is %d: must be positive", d.Type, d.Code))
		}
		if other, taken := codes[d.Code]; taken && d.Code != 0 {
			panic(fmt.Sprintf("catalogue: %s and %s have the same code %d", other, d.Type, d.Code))
		}
		codes[d.Code] = d.Type
	}
	descriptions = slices.Clone(descriptions)
	slices.SortFunc(descriptions, func(a, b Description) int {
		return cmp.Compare(a.Type.String(), b.Type.String())
	})
	return &Catalogue{descriptions}
}

// All yields the types, sorted by source and name.
func (c *Catalogue) All() iter.Seq[Description] { return slices.Values(c.descriptions) }

// Find returns the description of a type.
func (c *Catalogue) Find(t Type) (Description, bool) {
	i := slices.IndexFunc(c.descriptions, func(d Description) bool { return d.Type == t })
	if i < 0 {
		return Description{}, false
	}
	return c.descriptions[i], true
}
