// Package pattern parses and matches EventBridge event patterns: the JSON by which a rule picks its events.
//
// A pattern has the shape of the events it matches. Each of its leaves is an array of values and operators:
//
//	{"source": ["savings"], "detail": {"data": {"amount": [{"numeric": [">", 0]}], "currency": ["EUR", "CHF"]}}}
//
// An event matches when every leaf of the pattern finds a value at its path that satisfies one of the leaf's entries.
// Fields that the pattern does not name do not matter. "$or" holds a list of objects of which one must match.
//
// The operators are the ones that event buses have ("Comparison operators for use in event patterns in Amazon EventBridge"):
// exact values, prefix, suffix, equals-ignore-case (alone and inside prefix and suffix), wildcard, anything-but (of values,
// of a list, of prefix, suffix, equals-ignore-case and wildcard), numeric, exists and cidr.
//
// What that page leaves open follows Event Ruler, the matcher that AWS publishes (github.com/aws/event-ruler):
//
//   - A field in an array counts once for each element. If several leaves lie under one array of objects, one element
//     has to satisfy them all.
//   - A path is its field names joined with dots, so that {"a.b": 1} and {"a": {"b": 1}} are the same event.
//   - Objects and empty arrays are not values: exists, which speaks of leaves, does not see them. null is a value.
//
// A Set holds the patterns of many rules, and finds those that an event matches.
//
// Check compares a pattern with the JSON Schema of the events that it is for, and finds what it asks in vain.
//
// The package depends on the standard library, a JSON tokenizer and an edit distance.
package pattern

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// A Pattern is a parsed event pattern. It is immutable, and safe for concurrent use. Only Parse makes one.
type Pattern struct {
	source  string   // compact JSON
	root    *node    // the pattern as it is written, for what walks its fields
	clauses []clause // the same, with every $or multiplied out: an event matches when one clause does
}

// Parse reads a pattern, which must be one JSON object. The error of an invalid pattern names the path of the fault and
// what is allowed there; EventBridge answers such a pattern with InvalidEventPatternException.
//
// The length of a pattern (2,048 characters by default, "Amazon EventBridge quotas") is for the caller to check. Refused
// beyond what AWS documents: a path that is tested twice, of which EventBridge keeps one silently, and a pattern whose
// $ors multiply out to more than 1,000 combinations. Wildcards are refused for their complexity at a bound that AWS does
// not publish (see maxComplexity).
func Parse(data []byte) (*Pattern, error) {
	root, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	clauses, err := expand(root)
	if err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	if err := checkComplexity(clauses); err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("event pattern: %w", err)
	}
	return &Pattern{source: compact.String(), root: root, clauses: clauses}, nil
}

// String returns the pattern as compact JSON.
func (p *Pattern) String() string { return p.source }

// HasWildcard reports whether the pattern uses the wildcard operator, alone or inside anything-but. A bus takes 30 rules
// that do ("Amazon EventBridge quotas").
func (p *Pattern) HasWildcard() bool {
	for _, c := range p.clauses {
		for _, l := range c {
			if slices.ContainsFunc(l.tests, func(t test) bool { return len(wildcardsOf(t)) > 0 }) {
				return true
			}
		}
	}
	return false
}

// Match reports whether the pattern matches an event, given as the whole event's JSON ({"source": …, "detail": …}).
// The error is that of Decode. To match one event against several patterns, decode it once, with Decode, and use
// MatchEvent; to match many events against the same patterns, make a Set of them.
func (p *Pattern) Match(event []byte) (bool, error) {
	e, err := Decode(event)
	if err != nil {
		return false, err
	}
	return p.MatchEvent(e), nil
}

// MatchEvent reports whether the pattern matches a decoded event.
func (p *Pattern) MatchEvent(e Event) bool {
	for _, c := range p.clauses {
		if c.match(func(i int) []value { return e.values[c[i].path] }, &e.arrays) {
			return true
		}
	}
	return false
}
