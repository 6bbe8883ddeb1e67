package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// matcher tells whether a message matches a filter pattern.
type matcher func(message []byte) bool

// parsePattern reads the filter patterns that the local environment knows, of
// those in "Filter pattern syntax for metric filters, subscription filters,
// filter log events, and Live Tail":
//
//	ERROR timeout           every term occurs in the message
//	"a phrase" ERROR        a term with other characters than letters, digits and _ is quoted
//	{ $.id = "x" && $.n = 1 }   the message is JSON, and its fields have these values
//
// An empty pattern matches everything. Its error names what it does not know.
func parsePattern(pattern string) (matcher, error) {
	pattern = strings.TrimSpace(pattern)
	if strings.HasPrefix(pattern, "{") {
		return parseJSONPattern(pattern)
	}
	var terms [][]byte
	for rest := pattern; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var term string
		var err error
		if rest[0] == '"' {
			term, rest, err = cutQuoted(rest)
		} else {
			term, rest, err = cutTerm(rest)
		}
		if err != nil {
			return nil, err
		}
		terms = append(terms, []byte(term))
	}
	return func(message []byte) bool {
		for _, t := range terms {
			if !bytes.Contains(message, t) {
				return false
			}
		}
		return true
	}, nil
}

var plainTerm = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

func cutTerm(s string) (term, rest string, err error) {
	term, rest, _ = strings.Cut(s, " ")
	switch {
	case plainTerm.MatchString(term):
		return term, rest, nil
	case strings.ContainsRune("?-%[", rune(term[0])):
		return "", "", fmt.Errorf("filter pattern syntax %s is not supported by the local environment: terms, \"phrases\" and { $.field = \"value\" && … } are", term)
	}
	return "", "", fmt.Errorf("filter pattern term %s has characters other than letters, digits and _: put it in double quotes", term)
}

func cutQuoted(s string) (text, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err == nil {
		text, err = strconv.Unquote(quoted)
	}
	if err != nil {
		return "", "", fmt.Errorf("filter pattern: %s begins a quoted text that is not valid (no closing quote?)", s)
	}
	return text, s[len(quoted):], nil
}

// condition is one comparison of a JSON pattern.
type condition struct {
	path    []string
	text    string
	number  float64
	numeric bool // the value was not quoted, and is a number
}

var (
	selector = regexp.MustCompile(`^\$((?:\.[A-Za-z0-9_-]+)+)\s*=\s*`)
	bareword = regexp.MustCompile(`^[A-Za-z0-9_.+-]+`)
)

func parseJSONPattern(pattern string) (matcher, error) {
	rest, closed := strings.CutSuffix(strings.TrimPrefix(pattern, "{"), "}")
	if !closed {
		return nil, fmt.Errorf("filter pattern %s: no closing }", pattern)
	}
	var conditions []condition
	for {
		rest = strings.TrimSpace(rest)
		m := selector.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf(`filter pattern %s: %s is not supported by the local environment: { $.field = "value" && $.other.field = 1 } is`, pattern, rest)
		}
		c := condition{path: strings.Split(m[1][1:], ".")}
		rest = rest[len(m[0]):]
		var err error
		if strings.HasPrefix(rest, `"`) {
			if c.text, rest, err = cutQuoted(rest); err != nil {
				return nil, err
			}
		} else {
			if c.text = bareword.FindString(rest); c.text == "" {
				return nil, fmt.Errorf("filter pattern %s: %s is not a value that the local environment supports", pattern, rest)
			}
			rest = rest[len(c.text):]
			c.number, err = strconv.ParseFloat(c.text, 64)
			c.numeric = err == nil
		}
		if strings.Contains(c.text, "*") {
			return nil, fmt.Errorf("filter pattern %s: a value with * is not supported by the local environment", pattern)
		}
		conditions = append(conditions, c)
		rest = strings.TrimSpace(rest)
		if rest == "" {
			break
		}
		var and bool
		if rest, and = strings.CutPrefix(rest, "&&"); !and {
			return nil, fmt.Errorf("filter pattern %s: %s is not supported by the local environment: only && joins comparisons", pattern, rest)
		}
	}
	return func(message []byte) bool {
		var object map[string]any
		if !bytes.HasPrefix(bytes.TrimSpace(message), []byte("{")) || json.Unmarshal(message, &object) != nil {
			return false
		}
		for _, c := range conditions {
			if !c.holds(object) {
				return false
			}
		}
		return true
	}, nil
}

func (c condition) holds(object map[string]any) bool {
	var value any = object
	for _, name := range c.path {
		fields, isObject := value.(map[string]any)
		if !isObject {
			return false
		}
		value = fields[name]
	}
	switch v := value.(type) {
	case string:
		return v == c.text
	case float64:
		return c.numeric && v == c.number
	}
	return false
}
