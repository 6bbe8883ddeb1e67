package pattern

import "strings"

// A branch is a node of the tree of the paths that patterns test, by the segments between their dots.
type branch struct {
	path     string // with a trailing dot
	id       int    // of the path, from 0; less for one that is only on the way to others
	children map[string]*branch
}

// grow adds a path to the tree below b, with the given id unless it is there already, and returns its id.
func (b *branch) grow(path string, id int) int {
	if path != "" { // which is a field without a name, and as join has it, the root
		end := -1
		for segment := range strings.SplitSeq(path, ".") {
			end += 1 + len(segment)
			child := b.children[segment]
			if child == nil {
				child = &branch{path: path[:end] + ".", id: -1}
				if b.children == nil {
					b.children = map[string]*branch{}
				}
				b.children[segment] = child
			}
			b = child
		}
	}
	if b.id < 0 {
		b.id = id
	}
	return b.id
}

// find returns the branch of a field of b. Its name may itself have dots.
func (b *branch) find(name string) (*branch, bool) {
	if b.path == "" && name == "" {
		return b, true
	}
	if child, ok := b.children[name]; ok {
		return child, true
	}
	if strings.IndexByte(name, '.') < 0 {
		return nil, false
	}
	for segment := range strings.SplitSeq(name, ".") {
		child, ok := b.children[segment]
		if !ok {
			return nil, false
		}
		b = child
	}
	return b, true
}
