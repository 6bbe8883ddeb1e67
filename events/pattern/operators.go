package pattern

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A test is one entry of a leaf: a value to equal, or an operator.
type test interface {
	match(v *value) bool
}

// maxNumber bounds the numbers that compare as numbers: −5.0e9 to +5.0e9, both included ("Comparison operators for use in
// event patterns in Amazon EventBridge", numeric matching). A number outside matches its own spelling and nothing else.
// Event Ruler of today compares every number that a float64 holds; the page is narrower, and safe.
const maxNumber = 5e9

// operators parse what stands behind an operator's name. exists is not among them: it tests the path, not a value.
// It is filled by init because anything-but looks operators up itself.
var operators map[string]func(any) (test, error)

func init() {
	operators = map[string]func(any) (test, error){
		"prefix":             parsePrefix,
		"suffix":             parseSuffix,
		"equals-ignore-case": parseEqualFold,
		"wildcard":           parseWildcard,
		"anything-but":       parseAnythingBut,
		"numeric":            parseNumeric,
		"cidr":               parseCIDR,
	}
}

// parseTest parses an entry of a leaf.
func parseTest(entry any) (test, error) {
	switch v := entry.(type) {
	case object:
		if len(v) != 1 {
			return nil, fmt.Errorf("an operator is an object with one field, not %d", len(v))
		}
		parse, ok := operators[v[0].name]
		if !ok {
			names := append(slices.Collect(maps.Keys(operators)), "exists")
			slices.Sort(names)
			return nil, fmt.Errorf("unknown operator %q: one of %s", v[0].name, strings.Join(names, ", "))
		}
		return parse(v[0].value)
	case []any:
		return nil, errors.New("an entry must be a string, a number, true, false, null or an operator, not an array")
	case string:
		if a, ok := parseAddress(v); ok {
			return equalAddress{a}, nil
		}
		return equalText{v}, nil
	case json.Number:
		n, ok := parseNumber(v.String())
		return equalNumber{text: v.String(), number: n, inRange: ok}, nil
	case bool:
		if v {
			return equalKind{isTrue}, nil
		}
		return equalKind{isFalse}, nil
	default:
		return equalKind{isNull}, nil
	}
}

// anyValue is {"exists": true}.
type anyValue struct{}

func (anyValue) match(*value) bool { return true }

// equalKind matches true, false or null, which have no content.
type equalKind struct{ kind kind }

func (t equalKind) match(v *value) bool { return v.kind == t.kind }

type equalText struct{ text string }

func (t equalText) match(v *value) bool { return v.kind == isString && v.text == t.text }

// equalAddress is a string that is an IP address. It matches every spelling of that address.
type equalAddress struct{ addr netip.Addr }

func (t equalAddress) match(v *value) bool {
	a, ok := parseAddress(v.text)
	return v.kind == isString && ok && a == t.addr
}

// parseAddress reads an IPv4 or IPv6 address. As in Event Ruler, one that mixes the notations of both is none.
func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil && a.Zone() == "" && !mixesNotations(s)
}

func mixesNotations(s string) bool { return strings.Contains(s, ":") && strings.Contains(s, ".") }

// equalNumber matches numbers of the same value however they are spelled: 300, 300.0 and 3.0e2.
type equalNumber struct {
	text    string
	number  float64
	inRange bool // see maxNumber
}

func (t equalNumber) match(v *value) bool {
	return v.kind == isNumber && (t.inRange && v.inRange && v.number == t.number || v.text == t.text)
}

// parseNumber returns the value of a JSON number, and whether it is in the range that compares as numbers.
func parseNumber(text string) (n float64, inRange bool) {
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && math.Abs(n) <= maxNumber
}

// maxDecimals is how many digits right of the decimal point EventBridge compares (as maxNumber).
const maxDecimals = 6

// parseComparable is parseNumber for operators, which take no other numbers.
func parseComparable(v json.Number) (float64, error) {
	n, ok := parseNumber(v.String())
	if !ok {
		return 0, fmt.Errorf("%s is out of range: numbers compare between -5.0e9 and +5.0e9, inclusive", v)
	}
	if decimals(v.String()) > maxDecimals {
		return 0, fmt.Errorf("%s is too precise: numbers compare to %d digits right of the decimal point", v, maxDecimals)
	}
	return n, nil
}

// decimals counts the digits of a JSON number right of the decimal point, without the zeros at the end.
func decimals(text string) int {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	if strings.Trim(digits, "-0") == "" {
		return 0
	}
	shift, _ := strconv.Atoi(exponent) // none is 0; one that is out of range becomes the largest or the least there is
	return max(0, len(digits)-len(whole)-max(shift, -len(text)-maxDecimals))
}

type prefix struct{ text string }

func (t prefix) match(v *value) bool { return v.kind == isString && strings.HasPrefix(v.text, t.text) }

type prefixFold struct{ text string }

func (t prefixFold) match(v *value) bool {
	if v.kind != isString {
		return false
	}
	end := 0
	for range t.text {
		_, size := utf8.DecodeRuneInString(v.text[end:])
		end += size
	}
	return strings.EqualFold(v.text[:end], t.text)
}

func parsePrefix(v any) (test, error) {
	if text, ok := v.(string); ok {
		return prefix{text}, nil
	}
	text, err := parseInnerFold("prefix", v)
	return prefixFold{text}, err
}

type suffix struct{ text string }

func (t suffix) match(v *value) bool { return v.kind == isString && strings.HasSuffix(v.text, t.text) }

type suffixFold struct{ text string }

func (t suffixFold) match(v *value) bool {
	if v.kind != isString {
		return false
	}
	start := len(v.text)
	for range t.text {
		_, size := utf8.DecodeLastRuneInString(v.text[:start])
		start -= size
	}
	return strings.EqualFold(v.text[start:], t.text)
}

func parseSuffix(v any) (test, error) {
	if text, ok := v.(string); ok {
		return suffix{text}, nil
	}
	text, err := parseInnerFold("suffix", v)
	return suffixFold{text}, err
}

// parseInnerFold parses the {"equals-ignore-case": "…"} that prefix and suffix take instead of a string.
func parseInnerFold(name string, v any) (string, error) {
	o, ok := v.(object)
	if !ok || len(o) != 1 || o[0].name != "equals-ignore-case" {
		return "", fmt.Errorf("%s takes a string or {\"equals-ignore-case\": string}, not %s", name, describe(v))
	}
	text, ok := o[0].value.(string)
	if !ok {
		return "", fmt.Errorf("equals-ignore-case inside %s takes a string, not %s", name, describe(o[0].value))
	}
	return text, nil
}

type equalFold struct{ text string }

func (t equalFold) match(v *value) bool {
	return v.kind == isString && strings.EqualFold(v.text, t.text)
}

func parseEqualFold(v any) (test, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("equals-ignore-case takes a string, not %s", describe(v))
	}
	return equalFold{text}, nil
}

// wildcard holds the texts between its asterisks; there is one more of them than asterisks.
type wildcard struct {
	text  string // as it is written
	parts []string
}

func (t wildcard) match(v *value) bool {
	if v.kind != isString {
		return false
	}
	last := len(t.parts) - 1
	if last == 0 {
		return v.text == t.parts[0]
	}
	rest, ok := strings.CutPrefix(v.text, t.parts[0])
	if !ok {
		return false
	}
	// The first place where a part occurs is as good as any later one: it leaves the most text to those that follow.
	for _, part := range t.parts[1:last] {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, t.parts[last])
}

func parseWildcard(v any) (test, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("wildcard takes a string, not %s", describe(v))
	}
	t := wildcard{text: text}
	var part strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '*' && strings.HasPrefix(text[i+1:], "*"):
			return nil, fmt.Errorf("wildcard %q has consecutive asterisks at %d: one matches any text", text, i)
		case c == '*':
			t.parts = append(t.parts, part.String())
			part.Reset()
		case c == '\\':
			i++
			if i == len(text) || text[i] != '*' && text[i] != '\\' {
				return nil, fmt.Errorf("wildcard %q has an invalid escape at %d: a backslash stands only before * or \\", text, i-1)
			}
			part.WriteByte(text[i])
		default:
			part.WriteByte(c)
		}
	}
	t.parts = append(t.parts, part.String())
	return t, nil
}

// anythingBut matches a value, of any kind, that none of its tests matches. Like every test it needs a value: it does not
// match where the field is missing.
type anythingBut struct{ tests []test }

func (t anythingBut) match(v *value) bool {
	return !slices.ContainsFunc(t.tests, func(t test) bool { return t.match(v) })
}

func parseAnythingBut(v any) (test, error) {
	if o, ok := v.(object); ok {
		return parseAnythingButOperator(o)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var t anythingBut
	texts := 0
	for _, v := range list {
		switch v := v.(type) {
		case string:
			texts++
			t.tests = append(t.tests, equalText{v})
		case json.Number:
			n, err := parseComparable(v)
			if err != nil {
				return nil, fmt.Errorf("anything-but: %w", err)
			}
			t.tests = append(t.tests, equalNumber{text: v.String(), number: n, inRange: true})
		default:
			return nil, fmt.Errorf("anything-but takes strings or numbers, not %s", describe(v))
		}
	}
	if len(t.tests) == 0 {
		return nil, errors.New("anything-but takes at least one value")
	}
	if texts != 0 && texts != len(t.tests) {
		return nil, errors.New("anything-but takes a list of strings or a list of numbers, not both in one")
	}
	return t, nil
}

// parseAnythingButOperator parses anything-but of an operator, which takes a string or a list of strings.
func parseAnythingButOperator(o object) (test, error) {
	if len(o) != 1 || !slices.Contains([]string{"prefix", "suffix", "equals-ignore-case", "wildcard"}, o[0].name) {
		return nil, fmt.Errorf("anything-but takes values or one of equals-ignore-case, prefix, suffix, wildcard, not %s", describe(o))
	}
	name := o[0].name
	list, ok := o[0].value.([]any)
	if !ok {
		list = []any{o[0].value}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s inside anything-but takes at least one string", name)
	}
	var t anythingBut
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%s inside anything-but takes strings, not %s", name, describe(v))
		}
		if text == "" && (name == "prefix" || name == "suffix") {
			return nil, fmt.Errorf("%s inside anything-but cannot be empty: nothing would match", name)
		}
		inner, err := operators[name](text)
		if err != nil {
			return nil, err
		}
		t.tests = append(t.tests, inner)
	}
	return t, nil
}

// numeric matches the numbers of an interval.
type numeric struct {
	low, high         float64
	openLow, openHigh bool // the bound itself is outside
}

func (t numeric) match(v *value) bool {
	return v.kind == isNumber && v.inRange &&
		(v.number > t.low || v.number == t.low && !t.openLow) &&
		(v.number < t.high || v.number == t.high && !t.openHigh)
}

func parseNumeric(v any) (test, error) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 && len(list) != 4 {
		return nil, errors.New(`numeric takes an array like ["=", 5], [">", 5] or [">", 0, "<=", 5]`)
	}
	t := numeric{low: -maxNumber, high: maxNumber}
	for i := 0; i < len(list); i += 2 {
		number, ok := list[i+1].(json.Number)
		if !ok {
			return nil, fmt.Errorf("numeric: the value of %v must be a number, not %s", list[i], describe(list[i+1]))
		}
		n, err := parseComparable(number)
		if err != nil {
			return nil, fmt.Errorf("numeric: %w", err)
		}
		operator, single := list[i], len(list) == 2
		switch {
		case operator == "=" && single:
			t.low, t.high = n, n
		case (operator == ">" || operator == ">=") && i == 0:
			t.low, t.openLow = n, operator == ">"
		case (operator == "<" || operator == "<=") && (single || i == 2):
			t.high, t.openHigh = n, operator == "<"
		case single:
			return nil, fmt.Errorf("numeric: the operator must be one of =, >, >=, <, <=, not %s", describe(operator))
		default:
			return nil, fmt.Errorf("numeric: a range is > or >= and then < or <=, not %s at place %d", describe(operator), i+1)
		}
	}
	if len(list) == 4 && t.low >= t.high {
		return nil, fmt.Errorf("numeric: the lower bound %v must be less than the upper bound %v", list[1], list[3])
	}
	return t, nil
}

type cidr struct{ prefix netip.Prefix }

func (t cidr) match(v *value) bool {
	a, ok := parseAddress(v.text)
	return v.kind == isString && ok && t.prefix.Contains(a)
}

func parseCIDR(v any) (test, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("cidr takes a string, not %s", describe(v))
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || mixesNotations(text) {
		return nil, fmt.Errorf("cidr %q must be an IPv4 or IPv6 address, a slash and the mask's bits, like 10.0.0.0/24", text)
	}
	if p.Bits() == p.Addr().BitLen() {
		return nil, fmt.Errorf("cidr %q: the mask's bits must be less than %d: name a single address as a plain value", text, p.Bits())
	}
	return cidr{p}, nil
}

// describe is kindOf, with the value where it is short to show.
func describe(v any) string {
	switch v := v.(type) {
	case object:
		if len(v) != 1 {
			return fmt.Sprintf("an object with %d fields", len(v))
		}
		return fmt.Sprintf("an object with %q", v[0].name)
	case []any:
		return "an array"
	default:
		return jsonText(v)
	}
}
