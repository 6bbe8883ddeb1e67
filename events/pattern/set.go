package pattern

import (
	"fmt"
	"slices"
	"sync"
)

// A Set is the patterns of many rules, indexed, so that one event is matched against all of them in little more time than
// it takes to read it. It is immutable, and safe for concurrent use: to change the rules, make another Set, and put it in
// the place of this one. The zero value is a Set without patterns.
//
// How it works:
//
//  1. Of each clause of each pattern one leaf is its access: no event can match the clause that has no value for this
//     leaf. It is the leaf that fewest others share, usually a list of detail-types.
//  2. Of an event only what some leaf asks for is read; the rest is skipped.
//  3. The values at hand lead to the clauses whose access they are: by a table if the access is a list of texts, else by
//     the mere presence of its field. Only these clauses are matched.
type Set struct {
	size    int // patterns
	root    *branch
	paths   []access
	clauses []setClause
	always  []int // clauses that match events without any of their fields

	scratch sync.Pool // of *scratch
}

// A setClause is a clause of one of a Set's patterns.
type setClause struct {
	pattern int
	leaves  clause
	ids     []int // of the leaves' paths
}

// An access leads from the values at a path to the clauses that they may match.
type access struct {
	texts  map[string][]int // by a text that they are
	exists []int            // because they are there
}

// NewSet returns the set of the given patterns. It takes some microseconds a pattern.
func NewSet(patterns ...*Pattern) *Set {
	s := &Set{size: len(patterns), root: &branch{id: -1}}
	var users []int               // by path: how many clauses test it
	sharers := []map[string]int{} // by path and text: how many clauses take it
	for i, p := range patterns {
		for _, c := range p.clauses {
			sc := setClause{pattern: i, leaves: c, ids: make([]int, len(c))}
			for j, l := range c {
				id := s.root.grow(l.path, len(s.paths))
				if id == len(s.paths) {
					s.paths = append(s.paths, access{})
					users = append(users, 0)
					sharers = append(sharers, map[string]int{})
				}
				sc.ids[j] = id
				users[id]++
				for text := range l.texts() {
					sharers[id][text]++
				}
			}
			s.clauses = append(s.clauses, sc)
		}
	}
	for i, c := range s.clauses {
		best, least := -1, 0
		for j, l := range c.leaves {
			if l.absent {
				continue
			}
			cost := users[c.ids[j]]
			if l.isTexts() {
				cost = 0
				for text := range l.texts() {
					cost += sharers[c.ids[j]][text]
				}
			}
			if best < 0 || cost < least {
				best, least = j, cost
			}
		}
		if best < 0 {
			s.always = append(s.always, i)
			continue
		}
		a := &s.paths[c.ids[best]]
		if !c.leaves[best].isTexts() {
			a.exists = append(a.exists, i)
			continue
		}
		if a.texts == nil {
			a.texts = map[string][]int{}
		}
		for text := range c.leaves[best].texts() {
			a.texts[text] = append(a.texts[text], i)
		}
	}
	return s
}

// Len returns how many patterns the set has.
func (s *Set) Len() int { return s.size }

// Match returns the patterns that an event matches: their places among NewSet's arguments, ascending; none is nil. The
// event is that of [Pattern.Match], and so is the error.
func (s *Set) Match(event []byte) ([]int, error) {
	x, ok := s.scratch.Get().(*scratch)
	if !ok {
		x = newScratch(s)
	}
	defer x.release()
	root := s.root
	if root == nil {
		root = &branch{id: -1}
	}
	if err := x.reader.read(event, root); err != nil {
		return nil, fmt.Errorf("event: %w", err)
	}
	for _, c := range s.always {
		x.match(c)
	}
	for _, id := range x.filled {
		a := &s.paths[id]
		for _, c := range a.exists {
			x.match(c)
		}
		if a.texts == nil {
			continue
		}
		for i := range x.values[id] {
			if v := &x.values[id][i]; v.kind == isString {
				for _, c := range a.texts[v.text] {
					x.match(c)
				}
			}
		}
	}
	slices.Sort(x.matched)
	return append([]int(nil), x.matched...), nil
}

// scratch is what the matching of one event needs, kept for the next event.
type scratch struct {
	set     *Set
	reader  reader[*branch]
	values  [][]value // by path
	filled  []int     // paths that have values
	matched []int     // patterns
	is      []bool    // by pattern: among matched
}

func newScratch(s *Set) *scratch {
	x := &scratch{set: s, values: make([][]value, len(s.paths)), is: make([]bool, s.size)}
	x.reader = reader[*branch]{
		child: (*branch).find,
		path:  func(b *branch) string { return b.path },
		keep: func(b *branch, v value) {
			if b.id < 0 {
				return
			}
			if len(x.values[b.id]) == 0 {
				x.filled = append(x.filled, b.id)
			}
			x.values[b.id] = append(x.values[b.id], v)
		},
	}
	return x
}

// match adds the pattern of a clause to those matched, if the clause matches.
func (x *scratch) match(clause int) {
	c := &x.set.clauses[clause]
	if !x.is[c.pattern] && c.leaves.match(func(i int) []value { return x.values[c.ids[i]] }, &x.reader.arrays) {
		x.is[c.pattern] = true
		x.matched = append(x.matched, c.pattern)
	}
}

// release empties the scratch, so that it keeps no event, and puts it back.
func (x *scratch) release() {
	for _, id := range x.filled {
		clear(x.values[id])
		x.values[id] = x.values[id][:0]
	}
	for _, p := range x.matched {
		x.is[p] = false
	}
	x.filled, x.matched = x.filled[:0], x.matched[:0]
	x.reader.text, x.reader.at = "", 0
	x.reader.arrays = arrays{paths: x.reader.arrays.paths[:0]}
	x.set.scratch.Put(x)
}
