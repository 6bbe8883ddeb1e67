package policy

import (
	"slices"
	"strings"
)

// operators are the condition operators ("IAM JSON policy elements: Condition
// operators"): each compares one value of the request with one of the policy.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":              func(p, v string) bool { return p == v },
	"StringNotEquals":           func(p, v string) bool { return p == v }, // negated by holds
	"StringLike":                like,
	"ArnEquals":                 like, // ArnEquals takes wildcards as ArnLike does
	"ArnLike":                   like,
	"Bool":                      strings.EqualFold,
	"ForAllValues:StringEquals": func(p, v string) bool { return p == v },
	"ForAllValues:StringLike":   like,
}

// holds compares the request's values of the condition's key. Values of the
// policy are alternatives. A key that the request lacks fails the condition,
// but for ForAllValues, which then holds, and for negated operators.
func (c condition) holds(values []string) bool {
	match := operators[c.operator]
	any := func(value string) bool {
		return slices.ContainsFunc(c.values, func(pattern string) bool { return match(pattern, value) })
	}
	switch {
	case strings.HasPrefix(c.operator, "ForAllValues:"):
		return !slices.ContainsFunc(values, func(v string) bool { return !any(v) })
	case c.operator == "StringNotEquals":
		return !slices.ContainsFunc(values, any)
	}
	return slices.ContainsFunc(values, any)
}

// like matches a pattern in which * stands for any characters and ? for one.
func like(pattern, s string) bool {
	for len(pattern) > 0 {
		switch pattern[0] {
		case '*':
			pattern = strings.TrimLeft(pattern, "*")
			if pattern == "" {
				return true
			}
			for i := range len(s) {
				if like(pattern, s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
		default:
			if s == "" || s[0] != pattern[0] {
				return false
			}
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
