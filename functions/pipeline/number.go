package pipeline

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
)

// number is a number to compute with. JSON has one kind of them; here as in
// MongoDB a number that is spelled without a fraction or an exponent and has
// room in 64 bits is a whole one, with exact arithmetic, and any other one is
// in floating point. (MongoDB's 32-bit integers differ from its 64-bit ones in
// nothing that JSON shows.)
type number struct {
	whole bool
	i     int64
	f     float64 // if it is not whole
}

func ofInt(i int64) number     { return number{whole: true, i: i} }
func ofFloat(f float64) number { return number{f: f} }

// number is the value of a number; 0 for anything else.
func (v *value) number() number {
	switch v.kind {
	case integer:
		return ofInt(int64(v.bits))
	case double:
		return ofFloat(math.Float64frombits(v.bits))
	case digits:
		if !strings.ContainsAny(v.str, ".eE") {
			if i, err := strconv.ParseInt(v.str, 10, 64); err == nil {
				return ofInt(i)
			}
		}
		f, _ := strconv.ParseFloat(v.str, 64) // beyond its range it is infinite
		return ofFloat(f)
	}
	return ofInt(0)
}

// value makes a value of a number that is spelled so; "" for one that was
// computed.
func (n number) value(spelled string) value {
	if n.whole {
		return value{kind: integer, bits: uint64(n.i), str: spelled}
	}
	return value{kind: double, bits: math.Float64bits(n.f), str: spelled}
}

// result is the value of a computed number, which must be one that JSON has.
func (n number) result() (value, error) {
	if !n.whole && (math.IsInf(n.f, 0) || math.IsNaN(n.f)) {
		return value{}, errors.New("the result is beyond the numbers that JSON has")
	}
	return n.value(""), nil
}

func (n number) float() float64 {
	if n.whole {
		return float64(n.i)
	}
	return n.f
}

func (n number) sign() int { return compareNumbers(n, ofInt(0)) }

// append writes a number as JavaScript does, as encoding/json: a whole number
// without a fraction, whatever its kind.
func (n number) append(b []byte) []byte {
	if n.whole {
		return strconv.AppendInt(b, n.i, 10)
	}
	format := byte('f')
	if abs := math.Abs(n.f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, n.f, format, -1, 64)
	if i := len(b) - 4; format == 'e' && i >= 0 && b[i] == 'e' && b[i+1] == '-' && b[i+2] == '0' {
		b = append(b[:i+2], b[i+3]) // e-09 is e-9
	}
	return b
}

// compareNumbers compares by value, exactly, whatever the kinds.
func compareNumbers(a, b number) int {
	switch {
	case a.whole && b.whole:
		return cmp.Compare(a.i, b.i)
	case !a.whole && !b.whole:
		return cmp.Compare(a.f, b.f)
	case b.whole:
		return -compareNumbers(b, a)
	}
	const limit = 1 << 63
	switch {
	case b.f >= limit:
		return -1
	case b.f < -limit:
		return 1
	}
	floor := math.Floor(b.f)
	if c := cmp.Compare(a.i, int64(floor)); c != 0 {
		return c
	}
	return cmp.Compare(floor, b.f)
}

// add, sub and mul are exact for whole numbers as long as the result has 64
// bits, and go on in floating point beyond.
func add(a, b number) number {
	if a.whole && b.whole {
		if sum := a.i + b.i; (sum > a.i) == (b.i > 0) {
			return ofInt(sum)
		}
	}
	return ofFloat(a.float() + b.float())
}

func sub(a, b number) number {
	if a.whole && b.whole {
		if diff := a.i - b.i; (diff < a.i) == (b.i > 0) {
			return ofInt(diff)
		}
	}
	return ofFloat(a.float() - b.float())
}

func mul(a, b number) number {
	if a.whole && b.whole {
		if a.i == 0 || b.i == 0 {
			return ofInt(0)
		}
		product := a.i * b.i
		if product/b.i == a.i && !(a.i == -1 && b.i == math.MinInt64) && !(b.i == -1 && a.i == math.MinInt64) {
			return ofInt(product)
		}
	}
	return ofFloat(a.float() * b.float())
}

// summation adds up many numbers as $sum does: whole ones exactly as long as
// there is room, others with what each addition rounds off carried along
// (Neumaier), so that ten times 0.1 is 1.
type summation struct {
	exact number // of the first whole numbers, as long as there is room
	f, c  float64
	float bool
}

func (s *summation) add(n number) {
	if n.whole && s.exact.whole {
		s.exact = add(s.exact, n)
		return
	}
	s.float = true
	x := n.float()
	t := s.f + x
	if math.Abs(s.f) >= math.Abs(x) {
		s.c += (s.f - t) + x
	} else {
		s.c += (x - t) + s.f
	}
	s.f = t
}

func (s *summation) total() number {
	if !s.float {
		return s.exact
	}
	all := summation{f: s.f, c: s.c}
	if !s.exact.whole {
		all.add(s.exact)
	} else { // in two halves, which floating point has exactly
		low := s.exact.i & (1<<32 - 1)
		all.add(ofFloat(float64(s.exact.i - low)))
		all.add(ofFloat(float64(low)))
	}
	return ofFloat(all.f + all.c)
}
