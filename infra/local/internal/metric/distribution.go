package metric

import (
	"cmp"
	"math"
	"slices"
)

// maxExact is how many different values a distribution holds as they are.
// Beyond, they are rounded to a grid whose steps are gridStep apart, so that
// what it holds stays small whatever is measured.
const (
	maxExact = 128
	gridStep = 1.02
)

// Distribution is what CloudWatch knows of the values of a time: how many there
// were, their sum, least and greatest, and, for percentiles, how often each
// occurred: exactly of up to 128 different values, within 1% of more. The zero
// value is empty.
type Distribution struct {
	Count    float64
	Sum      float64
	Min, Max float64 // of values; 0 without any
	Values   []Value // ascending
	Rounded  bool    // whether Values are on the grid
}

// Value is a value and how often it occurred.
type Value struct{ Value, Count float64 }

// Add records a value that occurred n times, n > 0.
func (d *Distribution) Add(value, n float64) {
	if d.Count == 0 {
		d.Min, d.Max = value, value
	}
	d.Count += n
	d.Sum += value * n
	d.Min = min(d.Min, value)
	d.Max = max(d.Max, value)
	d.put(value, n)
}

// AddSet records n values of which only these figures are known, n > 0.
// Percentiles take each for their average.
func (d *Distribution) AddSet(n, sum, least, greatest float64) {
	d.Merge(&Distribution{Count: n, Sum: sum, Min: least, Max: greatest, Values: []Value{{sum / n, n}}})
}

// Merge records everything that another distribution holds.
func (d *Distribution) Merge(o *Distribution) {
	if o.Count == 0 {
		return
	}
	if d.Count == 0 {
		d.Min, d.Max = o.Min, o.Max
	}
	d.Count += o.Count
	d.Sum += o.Sum
	d.Min = min(d.Min, o.Min)
	d.Max = max(d.Max, o.Max)
	for _, v := range o.Values {
		d.put(v.Value, v.Count)
	}
}

// Percentile returns the least value that at least p percent of the values are
// not greater than, p from 0 to 100; 0 of none.
func (d *Distribution) Percentile(p float64) float64 {
	var total float64
	for _, v := range d.Values {
		total += v.Count
	}
	rank := total * p / 100
	var seen float64
	for _, v := range d.Values {
		if seen += v.Count; seen >= rank {
			return min(max(v.Value, d.Min), d.Max) // the grid may lie outside
		}
	}
	return d.Max
}

func (d *Distribution) put(value, n float64) {
	if d.Rounded {
		value = onGrid(value)
	}
	i, found := slices.BinarySearchFunc(d.Values, value, func(v Value, value float64) int { return cmp.Compare(v.Value, value) })
	if found {
		d.Values[i].Count += n
		return
	}
	d.Values = slices.Insert(d.Values, i, Value{value, n})
	if !d.Rounded && len(d.Values) > maxExact {
		d.Rounded = true
		exact := d.Values
		d.Values = make([]Value, 0, maxExact)
		for _, v := range exact {
			d.put(v.Value, v.Count)
		}
	}
}

// onGrid rounds a value to the nearest of …, gridStep^-1, 1, gridStep, ….
func onGrid(value float64) float64 {
	if value == 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return value
	}
	step := math.Log(gridStep)
	return math.Copysign(math.Exp(math.Round(math.Log(math.Abs(value))/step)*step), value)
}
