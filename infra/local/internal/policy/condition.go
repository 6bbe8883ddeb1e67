package policy

import (
	"fmt"
	"slices"
	"strings"
)

// condition is a condition of a statement: one operator, one key, and the values
// of which one must match.
type condition struct {
	operator string // as it is written
	key      string // in lower case
	values   []string
	match    func(pattern, value string) bool
	negated  bool // none of the values may match
	ifExists bool // it holds for a request that lacks the key
	isNull   bool // it asks whether the request has the key
	every    bool // ForAllValues: every value of the request must match
}

// operators are the condition operators ("IAM JSON policy elements: Condition
// operators"): each compares one value of the request with one of the policy.
var operators = map[string]func(pattern, value string) bool{
	"StringEquals":           func(p, v string) bool { return p == v },
	"StringEqualsIgnoreCase": strings.EqualFold,
	"StringLike":             Like,
	"ArnEquals":              likeARN, // ArnEquals takes wildcards as ArnLike does
	"ArnLike":                likeARN,
	"Bool":                   strings.EqualFold,
	"Null":                   nil,
}

// negations are the operators that ask for the opposite of another.
var negations = map[string]string{
	"StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
	"StringNotLike": "StringLike", "ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike",
}

// keys are the condition keys that the local environment gives to a request. An
// operation that gives another adds it here.
var keys = []string{
	"aws:sourcearn", "aws:sourceaccount", "aws:securetransport", "aws:principalarn", "aws:principalaccount",
	"dynamodb:leadingkeys", "events:source", "events:detail-type", "lambda:functionarn", "cloudwatch:namespace", "sts:externalid",
}

func parseCondition(operator, key string, values []string) (condition, error) {
	c := condition{operator: operator, key: strings.ToLower(key), values: values}
	name := operator
	name, c.every = strings.CutPrefix(name, "ForAllValues:")
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	if positive, ok := negations[name]; ok {
		name, c.negated = positive, true
	}
	var known bool
	if c.match, known = operators[name]; !known {
		return c, fmt.Errorf("condition operator %s is not supported by the local environment", operator)
	}
	if !slices.Contains(keys, c.key) {
		return c, fmt.Errorf("condition key %s is not supported by the local environment (it has %s)", key, strings.Join(keys, ", "))
	}
	c.isNull = name == "Null"
	return c, nil
}

// holds compares the request's values of the condition's key. Values of the
// policy are alternatives. A key that the request lacks fails the condition, but
// for IfExists, for ForAllValues and for negated operators, which then hold.
func (c *condition) holds(keys Keys) bool {
	values := keys.of(c.key)
	switch {
	case c.isNull:
		return slices.Contains(c.values, fmt.Sprint(len(values) == 0))
	case len(values) == 0:
		return c.ifExists || c.every || c.negated
	case c.every || c.negated:
		return !slices.ContainsFunc(values, func(v string) bool { return c.matches(v) == c.negated })
	}
	return slices.ContainsFunc(values, c.matches)
}

// matches reports whether one of the policy's values matches.
func (c *condition) matches(value string) bool {
	return slices.ContainsFunc(c.values, func(pattern string) bool { return c.match(pattern, value) })
}

// MatchAction reports whether an action's pattern, like sqs:*, is about an
// action; case does not count.
func MatchAction(pattern, action string) bool {
	return Like(strings.ToLower(pattern), strings.ToLower(action))
}

// likeARN compares the six parts of an ARN each by itself: a wildcard does not
// match a colon but in the last part.
func likeARN(pattern, arn string) bool {
	patterns, parts := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(patterns) != 6 || len(parts) != 6 {
		return pattern == "*" || pattern == arn
	}
	for i := range parts {
		if !Like(patterns[i], parts[i]) {
			return false
		}
	}
	return true
}

// Like matches a pattern in which * stands for any characters and ? for one.
func Like(pattern, s string) bool {
	star, resume := -1, 0 // the last star, and what it has matched up to
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
