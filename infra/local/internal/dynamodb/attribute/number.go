package attribute

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// The range and precision of numbers ("Supported data types and naming rules
// in Amazon DynamoDB": 1E-130 to 9.99…E+125, 38 significant digits).
const (
	maxDigits   = 38
	maxExponent = 125
	minExponent = -130
)

var (
	errOverflow  = invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	errUnderflow = invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	errPrecision = invalid("Attempting to store more than %d significant digits in a Number", maxDigits)
)

// decimal is ±d.ddd… × 10^exponent, with neither leading nor trailing zeros
// in its digits; without digits it is zero.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

// canonical returns a number's one spelling: plain, without exponent, plus
// sign or superfluous zeros. 1, 1.0 and 1e0 are all 1.
func canonical(s string) (string, error) {
	if isPlainInteger(s) {
		return s, nil
	}
	d, err := parseDecimal(s)
	if err != nil {
		return "", err
	}
	return d.String(), nil
}

// isPlainInteger recognises the spelling that most numbers already have.
func isPlainInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > maxDigits || digits[0] == '0' {
		return s == "0"
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

func parseDecimal(s string) (decimal, error) {
	notANumber := func() (decimal, error) {
		if s == "" {
			return decimal{}, invalid("The parameter cannot be converted to a numeric value")
		}
		return decimal{}, invalid("The parameter cannot be converted to a numeric value: %s", s)
	}
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(s), "e")
	shift := 0
	if hasExponent {
		n, err := strconv.Atoi(exponent)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return notANumber()
		}
		shift = max(min(n, 1<<30), -1<<30) // either is beyond any range
	}
	var d decimal
	if mantissa != "" && (mantissa[0] == '-' || mantissa[0] == '+') {
		d.negative = mantissa[0] == '-'
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return notANumber()
	}
	significant := strings.TrimLeft(digits, "0")
	d.exponent = len(whole) - 1 - (len(digits) - len(significant)) + shift
	d.digits = strings.TrimRight(significant, "0")
	return d.checked()
}

// checked returns d if it is within range and precision.
func (d decimal) checked() (decimal, error) {
	switch {
	case d.digits == "":
		return decimal{}, nil
	case d.exponent > maxExponent:
		return decimal{}, errOverflow
	case d.exponent < minExponent:
		return decimal{}, errUnderflow
	case len(d.digits) > maxDigits:
		return decimal{}, errPrecision
	}
	return d, nil
}

// parseCanonical reads a number that is in its one spelling.
func parseCanonical(s string) decimal {
	var d decimal
	if s == "0" {
		return d
	}
	if s[0] == '-' {
		d.negative = true
		s = s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	switch {
	case fraction == "":
		d.exponent = len(whole) - 1
		d.digits = strings.TrimRight(whole, "0")
	case whole == "0":
		d.digits = strings.TrimLeft(fraction, "0")
		d.exponent = len(d.digits) - len(fraction) - 1
	default:
		d.exponent = len(whole) - 1
		d.digits = whole + fraction
	}
	return d
}

func (d decimal) String() string {
	if d.digits == "" {
		return "0"
	}
	var b strings.Builder
	if d.negative {
		b.WriteByte('-')
	}
	switch {
	case d.exponent < 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -d.exponent-1))
		b.WriteString(d.digits)
	case d.exponent >= len(d.digits)-1:
		b.WriteString(d.digits)
		b.WriteString(strings.Repeat("0", d.exponent-len(d.digits)+1))
	default:
		b.WriteString(d.digits[:d.exponent+1])
		b.WriteByte('.')
		b.WriteString(d.digits[d.exponent+1:])
	}
	return b.String()
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d decimal) compare(e decimal) int {
	if d.sign() != e.sign() || d.sign() == 0 {
		return d.sign() - e.sign()
	}
	order := d.exponent - e.exponent
	if order == 0 {
		order = strings.Compare(d.digits, e.digits)
	}
	return order * d.sign()
}

// size is a number's share of an item's size: a byte for every two digits
// (as they lie around an even power of ten), one for the exponent, and one for
// a minus.
func (d decimal) size() int {
	n := len(d.digits)
	if n == 0 {
		return 1
	}
	size := 1 + (n+1)/2
	if n%2 == 0 && d.exponent%2 == 0 {
		size++
	}
	if d.negative {
		size++
	}
	return size
}

// scaled returns d as an integer times 10^power, for a power that is not above
// that of its last digit.
func (d decimal) scaled(power int) *big.Int {
	n := new(big.Int)
	if d.digits == "" {
		return n
	}
	n.SetString(d.digits+strings.Repeat("0", d.exponent-len(d.digits)+1-power), 10)
	if d.negative {
		n.Neg(n)
	}
	return n
}

// Add returns the sum of two numbers, exactly, or an error if it is out of
// DynamoDB's range or precision.
func (v Value) Add(w Value) (Value, error) { return v.sum(w, (*big.Int).Add) }

// Subtract returns v less w, exactly, or an error as Add.
func (v Value) Subtract(w Value) (Value, error) { return v.sum(w, (*big.Int).Sub) }

func (v Value) sum(w Value, operator func(z, x, y *big.Int) *big.Int) (Value, error) {
	d, e := parseCanonical(v.Text), parseCanonical(w.Text)
	power := min(d.exponent-len(d.digits)+1, e.exponent-len(e.digits)+1)
	n := operator(new(big.Int), d.scaled(power), e.scaled(power))
	digits := n.Text(10)
	result := decimal{negative: n.Sign() < 0}
	digits = strings.TrimPrefix(digits, "-")
	result.exponent = len(digits) - 1 + power
	result.digits = strings.TrimRight(digits, "0")
	result, err := result.checked()
	if err == errPrecision {
		err = errOverflow // what DynamoDB says of 1E50 + 1
	}
	if err != nil {
		return Value{}, err
	}
	return Value{Kind: N, Text: result.String()}, nil
}

// Number makes a number of an integer.
func Number(n int) Value { return Value{Kind: N, Text: strconv.Itoa(n)} }

// Ordered returns the bytes of an S, N or B that sort as the values do, and
// are the same for the same value: what a key is stored under.
func (v Value) Ordered() string {
	if v.Kind != N {
		return v.Text
	}
	return parseCanonical(v.Text).ordered()
}

// ordered is a byte for the sign, one for the exponent and one for each two
// digits. Those of negative numbers are inverted and end in a mark, since of
// two negative numbers the one with more digits is the lesser.
func (d decimal) ordered() string {
	if d.digits == "" {
		return "\x80"
	}
	out := make([]byte, 0, 3+(len(d.digits)+1)/2)
	out = append(out, 0x81, byte(d.exponent-minExponent))
	for i := 0; i < len(d.digits); i += 2 {
		pair := (d.digits[i] - '0') * 10
		if i+1 < len(d.digits) {
			pair += d.digits[i+1] - '0'
		}
		out = append(out, pair+1) // so that inverted it is below the mark
	}
	if d.negative {
		for i := range out {
			out[i] = ^out[i]
		}
		out = append(out, 0xff)
	}
	return string(out)
}
