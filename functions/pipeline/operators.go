package pipeline

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// operators are all that expressions may have.
var operators = strings.Fields(`$add $and $arrayElemAt $concat $cond $divide $eq $gt $gte $ifNull $literal $lt $lte $map
	$multiply $ne $not $or $size $subtract $sum $toLower $toString $toUpper`)

// operator parses {name: v}.
func (p *parser) operator(at, name string, v *value) expression {
	function := func(least, most int, f func([]value) (value, error)) expression {
		return &call{at, p.operands(at, name, v, least, most), f}
	}
	comparison := func(holds func(int) bool) expression {
		return function(2, 2, func(v []value) (value, error) { return ofBool(holds(compare(&v[0], &v[1]))), nil })
	}
	switch name {
	case "$literal":
		constantValue := *v
		constantValue.freeze()
		return constant{constantValue}

	case "$add":
		return function(0, -1, func(v []value) (value, error) { return fold(name, ofInt(0), add, v) })
	case "$multiply":
		return function(0, -1, func(v []value) (value, error) { return fold(name, ofInt(1), mul, v) })
	case "$subtract":
		return function(2, 2, subtract)
	case "$divide":
		return function(2, 2, divide)
	case "$sum":
		return function(0, -1, sum)

	case "$eq":
		return comparison(func(c int) bool { return c == 0 })
	case "$ne":
		return comparison(func(c int) bool { return c != 0 })
	case "$gt":
		return comparison(func(c int) bool { return c > 0 })
	case "$gte":
		return comparison(func(c int) bool { return c >= 0 })
	case "$lt":
		return comparison(func(c int) bool { return c < 0 })
	case "$lte":
		return comparison(func(c int) bool { return c <= 0 })

	case "$and":
		return junction{p.operands(at, name, v, 0, -1), true}
	case "$or":
		return junction{p.operands(at, name, v, 0, -1), false}
	case "$not":
		return function(1, 1, func(v []value) (value, error) { return ofBool(!v[0].truth()), nil })
	case "$cond":
		return p.cond(at, v)
	case "$ifNull":
		return firstOf(p.operands(at, name, v, 2, -1))

	case "$concat":
		return function(0, -1, concat)
	case "$toString":
		return function(1, 1, toString)
	case "$toUpper":
		return function(1, 1, func(v []value) (value, error) { return changeCase(&v[0], 'a', 'z') })
	case "$toLower":
		return function(1, 1, func(v []value) (value, error) { return changeCase(&v[0], 'A', 'Z') })

	case "$size":
		return function(1, 1, size)
	case "$arrayElemAt":
		return function(2, 2, arrayElemAt)
	case "$map":
		return p.mapping(at, v)
	}
	p.unknown(at, "operator", name, operators)
	return constant{}
}

// fold is $add and $multiply: null if an operand is null or missing.
func fold(name string, start number, by func(a, b number) number, operands []value) (value, error) {
	total := start
	for i := range operands {
		switch v := &operands[i]; {
		case v.numeric():
			total = by(total, v.number())
		case v.nullish():
			return value{kind: null}, nil
		default:
			return value{}, fmt.Errorf("%s takes numbers, not a value of type %s (%s)", name, v.typeName(), v.shown())
		}
	}
	return total.result()
}

func subtract(v []value) (value, error) {
	switch {
	case v[0].numeric() && v[1].numeric():
		return sub(v[0].number(), v[1].number()).result()
	case v[0].nullish() || v[1].nullish():
		return value{kind: null}, nil
	}
	return value{}, fmt.Errorf("cannot subtract a value of type %s from one of type %s", v[1].typeName(), v[0].typeName())
}

func divide(v []value) (value, error) {
	switch {
	case v[0].numeric() && v[1].numeric():
		by := v[1].number()
		if by.sign() == 0 {
			return value{}, errors.New("cannot divide by zero")
		}
		return ofFloat(v[0].number().float() / by.float()).result()
	case v[0].nullish() || v[1].nullish():
		return value{kind: null}, nil
	}
	return value{}, fmt.Errorf("$divide takes numbers, not values of the types %s and %s", v[0].typeName(), v[1].typeName())
}

// sum ignores what is no number. A single operand that is an array is summed up
// itself; one of several is no number.
func sum(v []value) (value, error) {
	if len(v) == 1 && v[0].kind == array {
		v = v[0].open().items
	}
	s := summation{exact: ofInt(0)}
	for i := range v {
		if v[i].numeric() {
			s.add(v[i].number())
		}
	}
	return s.total().result()
}

// junction is $and, which wants every operand to be true, or $or, which wants
// one that is not false. Operands that cannot change the result are not
// evaluated.
type junction struct {
	operands []expression
	all      bool
}

func (j junction) eval(s *scope) (value, error) {
	for _, e := range j.operands {
		v, err := e.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.truth() != j.all {
			return ofBool(!j.all), nil
		}
	}
	return ofBool(j.all), nil
}

// condition is $cond.
type condition struct{ when, then, otherwise expression }

func (c condition) eval(s *scope) (value, error) {
	v, err := c.when.eval(s)
	if err != nil {
		return value{}, err
	}
	if v.truth() {
		return c.then.eval(s)
	}
	return c.otherwise.eval(s)
}

func (p *parser) cond(at string, v *value) expression {
	if v.kind != object {
		list := p.operands(at, "$cond", v, 3, 3)
		return condition{list[0], list[1], list[2]}
	}
	p.object(at, v, "if", "then", "else")
	part := func(name string) expression {
		if f := v.field(name); f != nil {
			return p.expression(within(at, name), f)
		}
		p.fault(at, "%q is required", name)
		return constant{}
	}
	return condition{part("if"), part("then"), part("else")}
}

// firstOf is $ifNull: the first operand that is neither null nor missing, or
// the last.
type firstOf []expression

func (f firstOf) eval(s *scope) (v value, err error) {
	for _, e := range f {
		if v, err = e.eval(s); err != nil || !v.nullish() {
			return v, err
		}
	}
	return v, nil
}

func concat(operands []value) (value, error) {
	n := 0
	for i := range operands {
		switch v := &operands[i]; {
		case v.kind == text:
			n += len(v.content())
		case v.nullish():
			return value{kind: null}, nil
		default:
			return value{}, fmt.Errorf("$concat takes strings, not a value of type %s (%s)", v.typeName(), v.shown())
		}
	}
	if n > MaxBytes {
		return value{}, errTooLarge
	}
	b := make([]byte, 0, n)
	for i := range operands {
		b = append(b, operands[i].str...)
	}
	return ofText(view(b)), nil
}

func toString(operands []value) (value, error) {
	switch v := &operands[0]; v.kind {
	case missing, null:
		return value{kind: null}, nil
	case text:
		return *v, nil
	case object, array:
		return value{}, fmt.Errorf("$toString does not convert a value of type %s", v.typeName())
	case boolean:
		return ofText(strconv.FormatBool(v.truth())), nil
	default:
		return ofText(string(v.number().append(nil))), nil
	}
}

// changeCase is $toUpper and $toLower, which know ASCII: they turn the letters
// from first to last around. Of null and what is missing they make "".
func changeCase(v *value, first, last byte) (value, error) {
	var s string
	switch {
	case v.nullish():
	case v.kind == text:
		s = v.content()
	case v.numeric():
		s = string(v.number().append(nil))
	default:
		return value{}, fmt.Errorf("takes a string, not a value of type %s", v.typeName())
	}
	b := []byte(s)
	for i, c := range b {
		if first <= c && c <= last {
			b[i] ^= 'a' ^ 'A'
		}
	}
	return ofText(view(b)), nil
}

func size(v []value) (value, error) {
	if v[0].kind != array {
		return value{}, fmt.Errorf("$size takes an array, not a value of type %s", v[0].typeName())
	}
	return ofInt(int64(len(v[0].open().items))).result()
}

func arrayElemAt(v []value) (value, error) {
	list, at := &v[0], &v[1]
	switch {
	case list.nullish() || at.nullish():
		return value{kind: null}, nil
	case list.kind != array:
		return value{}, fmt.Errorf("the first operand must be an array, not a value of type %s", list.typeName())
	case !at.numeric():
		return value{}, fmt.Errorf("the second operand must be a number, not a value of type %s", at.typeName())
	}
	n := at.number()
	f := n.float()
	if f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return value{}, fmt.Errorf("the second operand must be a whole number of 32 bits, not %s", at.shown())
	}
	items := list.open().items
	i := int(f)
	if i < 0 {
		i += len(items)
	}
	if i < 0 || i >= len(items) {
		return value{}, nil
	}
	return items[i], nil
}

// mapped is $map.
type mapped struct {
	at        string
	input, in expression
	slot      int
}

func (m *mapped) eval(s *scope) (value, error) {
	input, err := m.input.eval(s)
	if err != nil {
		return value{}, err
	}
	switch {
	case input.nullish():
		return value{kind: null}, nil
	case input.kind != array:
		return value{}, &evaluationError{m.at, fmt.Errorf("\"input\" must be an array, not a value of type %s", input.typeName())}
	}
	items := input.open().items
	made := make([]value, len(items))
	s.variables = append(s.variables[:m.slot], value{})
	for i := range items {
		s.variables[m.slot] = items[i]
		v, err := m.in.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.kind == missing {
			v.kind = null
		}
		made[i] = v
	}
	s.variables = s.variables[:m.slot]
	return ofItems(made), nil
}

func (p *parser) mapping(at string, v *value) expression {
	if _, ok := p.object(at, v, "input", "as", "in"); !ok {
		return constant{}
	}
	name := "this"
	if as := v.field("as"); as != nil {
		name = p.string(at, v, "as")
		if as.kind == text && name != "" && !isVariableName(name) {
			p.fault(within(at, "as"), "a variable's name must begin with a lower-case letter, and have letters, digits and _ only, not %q", name)
		}
	}
	m := &mapped{at: at, slot: len(p.variables)}
	input, in := v.field("input"), v.field("in")
	if input == nil || in == nil {
		p.fault(at, `"input" and "in" are required`)
		return constant{}
	}
	m.input = p.expression(within(at, "input"), input)
	p.variables = append(p.variables, name)
	m.in = p.expression(within(at, "in"), in)
	p.variables = p.variables[:m.slot]
	return m
}

func isVariableName(s string) bool {
	for i, r := range s {
		switch {
		case 'a' <= r && r <= 'z' || r > '~':
		case i > 0 && ('A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_'):
		default:
			return false
		}
	}
	return s != ""
}
