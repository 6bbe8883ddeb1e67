package pipeline

import (
	"cmp"
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// Every value is less than those of the lines below it, and equal to those of
// its own.
func TestValuesHaveATotalOrder(t *testing.T) {
	lines := [][]string{
		{""}, // missing
		{"null"},
		{"-1e400"}, {"-9223372036854775809e5"}, {"-9223372036854775808", "-9223372036854775808.0"}, {"-9223372036854775807"},
		{"-1.5"}, {"-1", "-1.0", "-10e-1"}, {"-1e-300"}, {"0", "-0", "0.0", "-0.0", "0e5"}, {"5e-324"}, {"0.1"}, {"1", "1.00"},
		{"9007199254740992", "9007199254740992.0"}, {"9007199254740993"}, {"9223372036854775807"}, {"9223372036854775808", "9.223372036854775808e18"}, {"1e400"},
		{`""`}, {`"A"`, `"\u0041"`}, {`"AB"`}, {`"a"`}, {`"é"`, `"\u00e9"`}, {`"😀"`, `"\ud83d\ude00"`},
		{`{}`}, {`{"b":null}`}, {`{"b":1}`, `{ "b": 1.0 }`}, {`{"b":1,"a":0}`}, {`{"c":1}`}, {`{"a":"x"}`}, {`{"a":{}}`},
		{`[]`}, {`[null]`}, {`[1]`, `[1.0]`}, {`[1,0]`}, {`[2]`}, {`["x"]`}, {`[[]]`}, {`[false]`},
		{"false"}, {"true"},
	}
	read := func(text string) value {
		if text == "" {
			return value{}
		}
		v, err := readValue([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return v
	}
	for i, left := range lines {
		for j, right := range lines {
			for _, l := range left {
				for _, r := range right {
					a, b := read(l), read(r)
					if got := compare(&a, &b); cmp.Compare(got, 0) != cmp.Compare(i, j) {
						t.Errorf("comparing %s with %s gives %d, want %d", l, r, got, cmp.Compare(i, j))
					}
				}
			}
		}
	}
}

func TestArithmeticOfWholeNumbersIsExactWhereThereIsRoom(t *testing.T) {
	edges := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-10, 10), rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1, 1 << 31, -1 << 31, 1 << 32}))
	operations := map[string]struct {
		ours   func(a, b number) number
		exact  func(z, a, b *big.Int) *big.Int
		rounds func(a, b float64) float64
	}{
		"add": {add, (*big.Int).Add, func(a, b float64) float64 { return a + b }},
		"sub": {sub, (*big.Int).Sub, func(a, b float64) float64 { return a - b }},
		"mul": {mul, (*big.Int).Mul, func(a, b float64) float64 { return a * b }},
	}
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				a, b := edges.Draw(t, "a"), edges.Draw(t, "b")
				want := ofFloat(o.rounds(float64(a), float64(b)))
				if exact := o.exact(new(big.Int), big.NewInt(a), big.NewInt(b)); exact.IsInt64() {
					want = ofInt(exact.Int64())
				}
				if got := o.ours(ofInt(a), ofInt(b)); got != want {
					t.Fatalf("%d and %d give %+v, want %+v", a, b, got, want)
				}
			})
		})
	}
}

func TestAComputedNumberIsWrittenAsJSONWritesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		want, err := json.Marshal(f)
		if err != nil {
			t.Skip("not in JSON")
		}
		if got := string(ofFloat(f).append(nil)); got != string(want) {
			t.Fatalf("%v is written %s, encoding/json writes %s", f, got, want)
		}
	})
}
