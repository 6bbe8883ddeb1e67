// Package expression is CloudWatch's metric math ("Metric math syntax and
// functions", Amazon CloudWatch User Guide): it parses an expression, and
// evaluates it over the data points of metrics.
//
// Values are of three kinds: a number; a series, which has one number or none in
// each slot (a period) of a query; and an array of series. An expression's
// result that is shown, or that an alarm watches, is a series or an array.
//
// Supported are the operators, METRICS, FILL, IF, PERIOD, TIME_SERIES, SUM, AVG,
// MIN, MAX, ABS, CEIL and FLOOR. Any other function is an error that names it.
package expression

import (
	"fmt"
	"math"
	"slices"
)

// Series has a number for each slot, the oldest first; NaN is a slot without a
// data point.
type Series []float64

// Missing is a slot without a data point.
var Missing = math.NaN()

// Metric is a metric of the query, under the id by which expressions call it.
type Metric struct {
	ID     string
	Series Series
}

// Query is what an expression is evaluated over.
type Query struct {
	Slots   int
	Period  int // seconds
	Metrics []Metric
	// Results are those of other expressions, by their ids.
	Results map[string]Value
}

// Value is a number ([float64]), a [Series], or an array of series ([]Series).
type Value any

// Expression is a parsed expression. It is safe for concurrent use.
type Expression struct {
	text string
	root node
}

// Evaluate computes the expression. Its errors name what the expression does
// that cannot be done, which does not depend on the data points.
func (e *Expression) Evaluate(q *Query) (Value, error) {
	v, err := e.root.eval(q)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", e.text, err)
	}
	return v, nil
}

// Names returns the ids of metrics and expressions that the expression names,
// each once.
func (e *Expression) Names() []string {
	var names []string
	e.root.visit(func(n node) {
		if id, ok := n.(identifier); ok && !slices.Contains(names, string(id)) {
			names = append(names, string(id))
		}
	})
	return names
}

// node is a part of an expression.
type node interface {
	eval(q *Query) (Value, error)
	visit(func(node))
}

type number float64

func (n number) eval(*Query) (Value, error) { return float64(n), nil }
func (n number) visit(see func(node))       { see(n) }

type identifier string

func (i identifier) eval(q *Query) (Value, error) {
	for _, m := range q.Metrics {
		if m.ID == string(i) {
			return m.Series, nil
		}
	}
	if v, ok := q.Results[string(i)]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("nothing in the query has the id %s", string(i))
}
func (i identifier) visit(see func(node)) { see(i) }

// text is an argument in quotes, which METRICS alone takes.
type text string

func (text) eval(*Query) (Value, error) {
	return nil, fmt.Errorf("a text is an argument of METRICS only")
}
func (t text) visit(see func(node)) { see(t) }

// array is [m1, m2].
type array []node

func (a array) eval(q *Query) (Value, error) {
	out := []Series{}
	for _, n := range a {
		v, err := n.eval(q)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case Series:
			out = append(out, v)
		case []Series:
			out = append(out, v...)
		default:
			return nil, fmt.Errorf("an element of an array is a number: want a series")
		}
	}
	return out, nil
}

func (a array) visit(see func(node)) {
	see(a)
	for _, n := range a {
		n.visit(see)
	}
}

// negation is -m1.
type negation struct{ of node }

func (n negation) eval(q *Query) (Value, error) {
	v, err := n.of.eval(q)
	if err != nil {
		return nil, err
	}
	return each(v, func(x float64) float64 { return -x }), nil
}

func (n negation) visit(see func(node)) {
	see(n)
	n.of.visit(see)
}

// each applies fn to every number of a value.
func each(v Value, fn func(float64) float64) Value {
	switch v := v.(type) {
	case float64:
		return fn(v)
	case Series:
		out := make(Series, len(v))
		for i, x := range v {
			out[i] = fn(x) // NaN stays NaN
		}
		return out
	case []Series:
		out := make([]Series, len(v))
		for i, s := range v {
			out[i] = each(s, fn).(Series)
		}
		return out
	}
	return v
}

// binary is an operator between two values.
type binary struct {
	operator    string
	left, right node
}

func (b binary) visit(see func(node)) {
	see(b)
	b.left.visit(see)
	b.right.visit(see)
}

func (b binary) eval(q *Query) (Value, error) {
	left, err := b.left.eval(q)
	if err != nil {
		return nil, err
	}
	right, err := b.right.eval(q)
	if err != nil {
		return nil, err
	}
	return combine(operators[b.operator], left, right)
}

// operators compute one data point. What is not a number (a division by zero)
// is dropped.
var operators = map[string]func(x, y float64) float64{
	"+": func(x, y float64) float64 { return x + y },
	"-": func(x, y float64) float64 { return x - y },
	"*": func(x, y float64) float64 { return x * y },
	"/": func(x, y float64) float64 { return x / y },
	"^": math.Pow,

	"==":  func(x, y float64) float64 { return truth(x == y) },
	"!=":  func(x, y float64) float64 { return truth(x != y) },
	"<":   func(x, y float64) float64 { return truth(x < y) },
	"<=":  func(x, y float64) float64 { return truth(x <= y) },
	">":   func(x, y float64) float64 { return truth(x > y) },
	">=":  func(x, y float64) float64 { return truth(x >= y) },
	"AND": func(x, y float64) float64 { return truth(x != 0 && y != 0) },
	"OR":  func(x, y float64) float64 { return truth(x != 0 || y != 0) },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func combine(op func(x, y float64) float64, left, right Value) (Value, error) {
	finite := func(x, y float64) float64 {
		if v := op(x, y); !math.IsInf(v, 0) {
			return v
		}
		return Missing
	}
	switch l := left.(type) {
	case float64:
		switch r := right.(type) {
		case float64:
			return op(l, r), nil
		default:
			return each(r, func(y float64) float64 { return keep(y, finite(l, y)) }), nil
		}
	case Series:
		switch r := right.(type) {
		case float64:
			return each(l, func(x float64) float64 { return keep(x, finite(x, r)) }), nil
		case Series:
			out := make(Series, len(l))
			for i := range out {
				out[i] = Missing
				if x, y := l[i], r[i]; !math.IsNaN(x) || !math.IsNaN(y) {
					out[i] = finite(orZero(x), orZero(y)) // one that is missing counts as 0
				}
			}
			return out, nil
		case []Series:
			return distribute(len(r), func(i int) (Value, error) { return combine(op, l, r[i]) })
		}
	case []Series:
		switch r := right.(type) {
		case []Series:
			if len(l) != len(r) {
				return nil, fmt.Errorf("an operator between arrays of %d and %d series", len(l), len(r))
			}
			return distribute(len(l), func(i int) (Value, error) { return combine(op, l[i], r[i]) })
		default:
			return distribute(len(l), func(i int) (Value, error) { return combine(op, l[i], r) })
		}
	}
	return nil, fmt.Errorf("an operator takes numbers and series")
}

func distribute(n int, one func(i int) (Value, error)) (Value, error) {
	out := make([]Series, n)
	for i := range out {
		v, err := one(i)
		if err != nil {
			return nil, err
		}
		out[i] = v.(Series)
	}
	return out, nil
}

// keep returns y, unless x is missing: then the result is.
func keep(x, y float64) float64 {
	if math.IsNaN(x) {
		return Missing
	}
	return y
}

func orZero(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}
