package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// expression computes a value from a document. An error is one of evaluation,
// and says where.
type expression interface {
	eval(*scope) (value, error)
}

// scope is what expressions see.
type scope struct {
	root      *value  // the document that the stage received
	variables []value // of the $maps around the expression, outermost first
	stack     []value // operands
}

// evaluationError is why an expression has no value.
type evaluationError struct {
	at     string
	reason error
}

func (e *evaluationError) Error() string { return e.at + ": " + e.reason.Error() }
func (e *evaluationError) Unwrap() error { return e.reason }

// constant is a value that stands in the pipeline.
type constant struct{ value value }

func (c constant) eval(*scope) (value, error) { return c.value, nil }

// fieldOf is "$a.b".
type fieldOf struct{ path []string }

func (f fieldOf) eval(s *scope) (value, error) { return follow(s.root, f.path), nil }

// variable is "$$name.a.b"; slot is its place in the scope.
type variable struct {
	slot int
	path []string
}

func (v variable) eval(s *scope) (value, error) { return follow(&s.variables[v.slot], v.path), nil }

// follow goes from a value along a path. In an array it goes on in each element
// that is an object, and gathers what it finds; an array within an array it
// does not enter, and no name is an index ("Field Paths", and as MongoDB's
// ExpressionFieldPath).
func follow(v *value, path []string) value {
	for i, name := range path {
		switch v.kind {
		case object:
			if v = v.field(name); v == nil {
				return value{}
			}
		case array:
			items := v.open().items
			found := make([]value, 0, len(items))
			for j := range items {
				if items[j].kind != object {
					continue
				}
				if one := follow(&items[j], path[i:]); one.kind != missing {
					found = append(found, one)
				}
			}
			return ofItems(found)
		default:
			return value{}
		}
	}
	return *v
}

// madeObject is an object with expressions in it. A field whose value is missing
// is left out.
type madeObject struct {
	names  []string
	values []expression
}

func (m madeObject) eval(s *scope) (value, error) {
	fields := make([]field, 0, len(m.names))
	for i, e := range m.values {
		v, err := e.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.kind != missing {
			fields = append(fields, field{m.names[i], v})
		}
	}
	return ofFields(fields), nil
}

// madeArray is an array with expressions in it. An element whose value is
// missing is null.
type madeArray struct{ items []expression }

func (m madeArray) eval(s *scope) (value, error) {
	items := make([]value, len(m.items))
	for i, e := range m.items {
		v, err := e.eval(s)
		if err != nil {
			return value{}, err
		}
		if v.kind == missing {
			v.kind = null
		}
		items[i] = v
	}
	return ofItems(items), nil
}

// expression parses one. After a fault it returns one all the same, which
// nobody runs.
func (p *parser) expression(at string, v *value) expression {
	switch v.kind {
	case text:
		if s := v.content(); strings.HasPrefix(s, "$") {
			return p.reference(at, s)
		}
	case array:
		items := v.open().items
		made, fixed := make([]expression, len(items)), true
		for i := range items {
			made[i] = p.expression(index(at, i), &items[i])
			fixed = fixed && isConstant(made[i])
		}
		if !fixed {
			return madeArray{made}
		}
		return folded(madeArray{made})
	case object:
		return p.objectExpression(at, v)
	}
	return constant{*v}
}

func isConstant(e expression) bool { _, ok := e.(constant); return ok }

// folded is the value of an array or an object of nothing but constants.
func folded(e expression) expression {
	v, _ := e.eval(&scope{})
	v.freeze()
	return constant{v}
}

// objectExpression parses an operator, or an object with expressions in it.
func (p *parser) objectExpression(at string, v *value) expression {
	fields := v.open().fields
	if i := slices.IndexFunc(fields, func(f field) bool { return strings.HasPrefix(f.name, "$") }); i >= 0 {
		name := fields[i].name
		if len(fields) != 1 {
			p.fault(at, "the operator %s must stand alone in its object, which has %d fields", name, len(fields))
			return constant{}
		}
		return p.operator(within(at, name), name, &fields[0].value)
	}
	var made madeObject
	fixed := true
	for i := range fields {
		name := fields[i].name
		if strings.Contains(name, ".") {
			p.fault(within(at, name), "a field's name in an expression must not have a dot: write an object in an object")
		}
		e := p.expression(within(at, name), &fields[i].value)
		made.names, made.values = append(made.names, name), append(made.values, e)
		fixed = fixed && isConstant(e)
	}
	if fixed {
		return folded(made)
	}
	return made
}

// reference parses "$a.b" and "$$name.a.b".
func (p *parser) reference(at, s string) expression {
	path, isVariable := strings.CutPrefix(s, "$$")
	if !isVariable {
		path = s[1:]
	}
	if path == "" {
		p.fault(at, "%q names no field: for the text itself write {\"$literal\": %q}", s, s)
		return constant{}
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		if err := checkName(name); err != nil && !(i == 0 && isVariable && name != "") {
			p.fault(at, "field path %q: %w (for the text itself write {\"$literal\": %q})", s, err, s)
			return constant{}
		}
	}
	if !isVariable {
		return fieldOf{names}
	}
	switch name, rest := names[0], names[1:]; name {
	case "ROOT", "CURRENT":
		return fieldOf{rest}
	case "REMOVE":
		return constant{}
	default:
		// The innermost of a name counts.
		for slot := len(p.variables) - 1; slot >= 0; slot-- {
			if p.variables[slot] == name {
				return variable{slot, rest}
			}
		}
		known := []string{"$$ROOT", "$$CURRENT", "$$REMOVE"}
		for _, v := range p.variables {
			known = append(known, "$$"+v)
		}
		p.unknown(at, "variable", "$$"+name, known)
		return constant{}
	}
}

// call is an operator that is a function of its operands' values.
type call struct {
	at       string
	operands []expression
	function func([]value) (value, error)
}

func (c *call) eval(s *scope) (value, error) {
	base := len(s.stack)
	for _, e := range c.operands {
		v, err := e.eval(s)
		if err != nil {
			return value{}, err
		}
		s.stack = append(s.stack, v)
	}
	v, err := c.function(s.stack[base:])
	s.stack = s.stack[:base]
	if err != nil {
		return value{}, &evaluationError{c.at, err}
	}
	return v, nil
}

// operands parses what an operator takes: an array of expressions, or one
// expression that is none. A negative most is any number.
func (p *parser) operands(at, name string, v *value, least, most int) []expression {
	var list []expression
	if v.kind == array {
		items := v.open().items
		for i := range items {
			list = append(list, p.expression(index(at, i), &items[i]))
		}
	} else {
		list = append(list, p.expression(at, v))
	}
	n := len(list)
	if n >= least && (n <= most || most < 0) {
		return list
	}
	wanted := fmt.Sprintf("at least %d operands", least)
	if least == most {
		wanted = fmt.Sprintf("%d operands", least)
		if least == 1 {
			wanted = "1 operand (an array that is the operand itself stands in another one)"
		}
	}
	p.fault(at, "%s takes %s, not %d", name, wanted, n)
	for len(list) < least {
		list = append(list, constant{})
	}
	return list
}
