package pattern

import (
	"cmp"
	"fmt"
	"slices"
)

// maxComplexity bounds how complex the wildcards for one field may be, all alternatives of a pattern together. EventBridge
// refuses what is "too complex", and the advice is fewer asterisks, and fewer repetitions after one ("Comparison operators
// for use in event patterns in Amazon EventBridge", wildcard matching complexity). The measure is Event Ruler's: of how
// many beginnings of wildcards one text may be a match at the same time. Where EventBridge draws the line is not
// published; its known refusals and acceptances agree with ten.
const maxComplexity = 10

// checkComplexity refuses a pattern whose wildcards EventBridge would call too complex.
func checkComplexity(clauses []clause) error {
	byPath := map[string][]string{}
	var paths []string
	for _, c := range clauses {
		for _, l := range c {
			for _, t := range l.tests {
				for _, text := range wildcardsOf(t) {
					if byPath[l.path] == nil {
						paths = append(paths, l.path)
					}
					if !slices.Contains(byPath[l.path], text) {
						byPath[l.path] = append(byPath[l.path], text)
					}
				}
			}
		}
	}
	for _, path := range paths {
		if tooComplex(byPath[path]) {
			return faultAt(path, "the rule is too complex: one text may match more than %d beginnings of its wildcards at once: "+
				"use fewer asterisks, or fewer repeated characters after one", maxComplexity)
		}
	}
	return nil
}

// wildcardsOf returns the wildcards of a test, as they are written.
func wildcardsOf(t test) []string {
	switch t := t.(type) {
	case wildcard:
		return []string{t.text}
	case anythingBut:
		var all []string
		for _, inner := range t.tests {
			all = append(all, wildcardsOf(inner)...)
		}
		return all
	}
	return nil
}

// A spot is behind that many tokens of a wildcard.
type spot struct{ wildcard, tokens int }

// anyText is the token of an asterisk; the others are bytes.
const anyText = 256

// tooComplex goes through all the sets of spots at which some text can be.
func tooComplex(wildcards []string) bool {
	tokens := make([][]int, len(wildcards))
	alphabet := []int{anyText} // for the bytes that no wildcard has
	for i, text := range wildcards {
		tokens[i] = wildcardTokens(text)
		for _, token := range tokens[i] {
			if !slices.Contains(alphabet, token) {
				alphabet = append(alphabet, token)
			}
		}
	}
	var start []spot
	for i := range tokens {
		start = append(start, spot{i, 0})
	}
	seen := map[string]bool{}
	for pending := [][]spot{start}; len(pending) > 0; {
		spots := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		for _, b := range alphabet {
			var next []spot
			add := func(s spot) {
				if !slices.Contains(next, s) {
					next = append(next, s)
				}
			}
			for _, s := range spots {
				of := tokens[s.wildcard]
				if s.tokens > 0 && of[s.tokens-1] == anyText {
					add(s)
				}
				if s.tokens < len(of) && of[s.tokens] == b && b != anyText {
					add(spot{s.wildcard, s.tokens + 1})
					if s.tokens+1 < len(of) && of[s.tokens+1] == anyText {
						add(spot{s.wildcard, s.tokens + 2}) // an asterisk may stand for nothing
					}
				}
			}
			if len(next) > maxComplexity {
				return true
			}
			slices.SortFunc(next, func(a, b spot) int {
				return cmp.Or(cmp.Compare(a.wildcard, b.wildcard), cmp.Compare(a.tokens, b.tokens))
			})
			if key := fmt.Sprint(next); len(next) > 0 && !seen[key] {
				seen[key] = true
				pending = append(pending, next)
			}
		}
		if len(seen) > maxSpotSets {
			return true
		}
	}
	return false
}

// maxSpotSets bounds the work of tooComplex; it is far above what a pattern makes that is not meant to be work.
const maxSpotSets = 10_000

// wildcardTokens returns the tokens of a wildcard, between the quotation marks of the JSON that it matches.
func wildcardTokens(text string) []int {
	tokens := []int{'"'}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '*':
			tokens = append(tokens, anyText)
		case '\\':
			i++
			tokens = append(tokens, int(text[i]))
		default:
			tokens = append(tokens, int(text[i]))
		}
	}
	return append(tokens, '"')
}
