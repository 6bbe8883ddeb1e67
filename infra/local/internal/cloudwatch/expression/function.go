package expression

import (
	"fmt"
	"math"
	"strings"
)

// call is a function with its arguments.
type call struct {
	name string
	args []node
}

func (c call) visit(see func(node)) {
	see(c)
	for _, a := range c.args {
		a.visit(see)
	}
}

func (c call) eval(q *Query) (Value, error) {
	f := functions[c.name]
	if n := len(c.args); n < f.least || n > f.most {
		return nil, fmt.Errorf("%s takes %d to %d arguments (got %d)", c.name, f.least, f.most, n)
	}
	v, err := f.eval(q, c.args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return v, nil
}

type function struct {
	least, most int // arguments
	eval        func(q *Query, args []node) (Value, error)
}

var functions map[string]function

func init() {
	functions = map[string]function{
		"METRICS":     {0, 1, metrics},
		"PERIOD":      {1, 1, period},
		"TIME_SERIES": {1, 1, timeSeries},
		"FILL":        {2, 2, fill},
		"IF":          {2, 3, conditional},
		"ABS":         {1, 1, pointwise(math.Abs)},
		"CEIL":        {1, 1, pointwise(math.Ceil)},
		"FLOOR":       {1, 1, pointwise(math.Floor)},
		"SUM":         {1, 1, aggregate(func(xs []float64, _ int) float64 { return sum(xs) })},
		// In an array, a missing value counts as 0; of a series alone there are
		// as many values as data points.
		"AVG": {1, 1, aggregate(func(xs []float64, of int) float64 { return sum(xs) / float64(of) })},
		"MIN": {1, 1, aggregate(func(xs []float64, _ int) float64 { return extreme(xs, math.Min) })},
		"MAX": {1, 1, aggregate(func(xs []float64, _ int) float64 { return extreme(xs, math.Max) })},
	}
}

func sum(xs []float64) (total float64) {
	for _, x := range xs {
		total += x
	}
	return total
}

func extreme(xs []float64, of func(x, y float64) float64) float64 {
	out := xs[0]
	for _, x := range xs[1:] {
		out = of(out, x)
	}
	return out
}

func metrics(q *Query, args []node) (Value, error) {
	part := ""
	if len(args) == 1 {
		t, ok := args[0].(text)
		if !ok {
			return nil, fmt.Errorf(`want a text, like METRICS("errors")`)
		}
		part = string(t)
	}
	out := []Series{}
	for _, m := range q.Metrics {
		if strings.Contains(m.ID, part) {
			out = append(out, m.Series)
		}
	}
	return out, nil
}

func period(q *Query, args []node) (Value, error) {
	id, ok := args[0].(identifier)
	if !ok {
		return nil, fmt.Errorf("want a metric's id")
	}
	for _, m := range q.Metrics {
		if m.ID == string(id) {
			return float64(q.Period), nil
		}
	}
	return nil, fmt.Errorf("no metric has the id %s", string(id))
}

func timeSeries(q *Query, args []node) (Value, error) {
	v, err := args[0].eval(q)
	if err != nil {
		return nil, err
	}
	x, ok := v.(float64)
	if !ok {
		return nil, fmt.Errorf("want a number")
	}
	return q.constant(x), nil
}

// constant is a series with the same number everywhere.
func (q *Query) constant(x float64) Series {
	out := make(Series, q.Slots)
	for i := range out {
		out[i] = x
	}
	return out
}

// pointwise is a function of each data point.
func pointwise(fn func(float64) float64) func(*Query, []node) (Value, error) {
	return func(q *Query, args []node) (Value, error) {
		v, err := args[0].eval(q)
		if err != nil {
			return nil, err
		}
		if _, ok := v.(float64); ok {
			return nil, fmt.Errorf("want a series, not a number")
		}
		return each(v, fn), nil
	}
}

// aggregate is a function that makes a number of a series, and a series of an
// array of them. fn is given the values that are there, at least one, and how
// many there could be.
func aggregate(fn func(there []float64, of int) float64) func(*Query, []node) (Value, error) {
	return func(q *Query, args []node) (Value, error) {
		v, err := args[0].eval(q)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case Series:
			there := present(v)
			if len(there) == 0 {
				return Missing, nil
			}
			return fn(there, len(there)), nil
		case []Series:
			out := q.constant(Missing)
			for i := range out {
				column := make([]float64, len(v))
				for j := range v {
					column[j] = v[j][i]
				}
				if there := present(column); len(there) > 0 {
					out[i] = fn(there, len(column))
				}
			}
			return out, nil
		}
		return nil, fmt.Errorf("want a series or an array of them, not a number")
	}
}

func present(xs []float64) []float64 {
	var out []float64
	for _, x := range xs {
		if !math.IsNaN(x) {
			out = append(out, x)
		}
	}
	return out
}

// fill puts values where a series has none: a number, the values of a series,
// the last value before (REPEAT), or what lies between the neighbours (LINEAR).
func fill(q *Query, args []node) (Value, error) {
	v, err := args[0].eval(q)
	if err != nil {
		return nil, err
	}
	var filler func(Series) Series
	switch by := args[1].(type) {
	case identifier:
		filler = map[identifier]func(Series) Series{"REPEAT": repeat, "LINEAR": linear}[by]
	}
	if filler == nil {
		by, err := args[1].eval(q)
		if err != nil {
			return nil, err
		}
		var with Series
		switch by := by.(type) {
		case float64:
			with = q.constant(by)
		case Series:
			with = by
		default:
			return nil, fmt.Errorf("want a number, a series, REPEAT or LINEAR to fill with, not an array")
		}
		filler = func(s Series) Series {
			out := make(Series, len(s))
			for i, x := range s {
				if out[i] = x; math.IsNaN(x) {
					out[i] = with[i]
				}
			}
			return out
		}
	}
	switch v := v.(type) {
	case Series:
		return filler(v), nil
	case []Series:
		return distribute(len(v), func(i int) (Value, error) { return filler(v[i]), nil })
	}
	return nil, fmt.Errorf("want a series to fill, not a number")
}

func repeat(s Series) Series {
	out := make(Series, len(s))
	last := Missing
	for i, x := range s {
		if !math.IsNaN(x) {
			last = x
		}
		out[i] = last
	}
	return out
}

func linear(s Series) Series {
	out := append(Series(nil), s...)
	before := -1
	for i, x := range s {
		if math.IsNaN(x) {
			continue
		}
		for j := before + 1; before >= 0 && j < i; j++ {
			out[j] = s[before] + (x-s[before])*float64(j-before)/float64(i-before)
		}
		before = i
	}
	return out
}

// conditional is IF(condition, then, otherwise): see "Using IF expressions" for
// what becomes of slots without a data point.
func conditional(q *Query, args []node) (Value, error) {
	values := make([]Value, 3)
	for i, a := range args {
		v, err := a.eval(q)
		if err != nil {
			return nil, err
		}
		if _, ok := v.([]Series); ok {
			return nil, fmt.Errorf("argument %d is an array: want a number or a series", i+1)
		}
		values[i] = v
	}
	at := func(v Value, i int) float64 {
		switch v := v.(type) {
		case float64:
			return v
		case Series:
			return v[i]
		}
		return Missing // left out
	}
	out := make(Series, q.Slots)
	for i := range out {
		switch condition := at(values[0], i); {
		case math.IsNaN(condition):
			out[i] = Missing
		case condition == 0:
			out[i] = at(values[2], i)
		default:
			out[i] = at(values[1], i)
			if _, series := values[0].(Series); series {
				out[i] = orZero(out[i])
			}
		}
	}
	return out, nil
}
