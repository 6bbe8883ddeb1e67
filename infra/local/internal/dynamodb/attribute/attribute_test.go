package attribute

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

func TestAnItemHasOneJSONForm(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"attributes by name", `{"b":{"S":"x"},"a":{"BOOL":false}}`, `{"a":{"BOOL":false},"b":{"S":"x"}}`},
		{"numbers in one spelling", `{"a":{"N":"1.0"},"b":{"N":"1e0"},"c":{"N":"+007"},"d":{"N":"-0.0"},"e":{"N":".5"},"f":{"N":"5."}}`,
			`{"a":{"N":"1"},"b":{"N":"1"},"c":{"N":"7"},"d":{"N":"0"},"e":{"N":"0.5"},"f":{"N":"5"}}`},
		{"sets by element", `{"a":{"SS":["b","a"]},"b":{"NS":["10","9.0","-1"]},"c":{"BS":["Yg==","YQ=="]}}`,
			`{"a":{"SS":["a","b"]},"b":{"NS":["-1","9","10"]},"c":{"BS":["YQ==","Yg=="]}}`},
		{"lists as they are", `{"a":{"L":[{"N":"2"},{"M":{"z":{"NULL":true},"y":{"L":[]}}},{"S":""}]}}`,
			`{"a":{"L":[{"N":"2"},{"M":{"y":{"L":[]},"z":{"NULL":true}}},{"S":""}]}}`},
		{"texts that JSON escapes", `{"a\"b":{"S":"\u00e9\n"}}`, `{"a\"b":{"S":"é\n"}}`},
		{"nothing", `{}`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := ParseMap([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.AppendJSON(nil)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatDynamoDBRefusesIsAValidationException(t *testing.T) {
	nested := func(depth int) string {
		return `{"a":` + strings.Repeat(`{"L":[`, depth) + `{"S":"x"}` + strings.Repeat(`]}`, depth) + `}`
	}
	for _, c := range []struct{ name, in, want string }{
		{"no type", `{"a":{}}`, "Supplied AttributeValue is empty"},
		{"no value", `{"a":null}`, "Supplied AttributeValue is empty"},
		{"two types", `{"a":{"S":"x","N":"1"}}`, "more than one datatypes"},
		{"empty text set", `{"a":{"SS":[]}}`, "An string set  may not be empty"},
		{"empty number set", `{"a":{"NS":[]}}`, "An number set  may not be empty"},
		{"empty byte set", `{"a":{"BS":[]}}`, "Binary sets should not be empty"},
		{"an element twice", `{"a":{"SS":["x","y","x"]}}`, "contains duplicates"},
		{"a number twice", `{"a":{"NS":["1","1.0"]}}`, "Input collection contains duplicates"},
		{"null that is false", `{"a":{"NULL":false}}`, "must have the value of true"},
		{"not a number", `{"a":{"N":"one"}}`, "cannot be converted to a numeric value: one"},
		{"an empty number", `{"a":{"N":""}}`, "cannot be converted to a numeric value"},
		{"infinity", `{"a":{"N":"Infinity"}}`, "cannot be converted to a numeric value"},
		{"a number in spaces", `{"a":{"N":" 1"}}`, "cannot be converted to a numeric value"},
		{"only an exponent", `{"a":{"N":"1e"}}`, "cannot be converted to a numeric value"},
		{"too large", `{"a":{"N":"1e126"}}`, "Number overflow"},
		{"far too large", `{"a":{"N":"1e100000000000000000000"}}`, "Number overflow"},
		{"too small", `{"a":{"N":"0.9e-130"}}`, "Number underflow"},
		{"39 digits", `{"a":{"N":"3.14159265358979323846264338327950288419"}}`, "more than 38 significant digits"},
		{"33 levels", nested(33), "Nesting Levels have exceeded supported limits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseMap([]byte(c.in))
			var e *awswire.Error
			if !errors.As(err, &e) || e.Code != "ValidationException" || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v, want a ValidationException: %s", err, c.want)
			}
		})
	}
	for _, in := range []string{nested(32), `{"a":{"N":"9.9999999999999999999999999999999999999e125"}}`, `{"a":{"N":"-1E-130"}}`, `{"a":{"N":"0e1000"}}`} {
		if _, err := ParseMap([]byte(in)); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
	for _, in := range []string{`{"a":{"X":"x"}}`, `{"a":{"N":1}}`, `{"a":{"B":"?"}}`, `{"a":{"L":"x"}}`, `{"a":{"BOOL":"x"}}`, `{"a":"x"}`, `[]`, `{"a":{"S":"x"}`} {
		if _, err := ParseMap([]byte(in)); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

func TestAnItemIsMeasuredAsDynamoDBCountsIt(t *testing.T) {
	for _, c := range []struct {
		in          string
		size, depth int
	}{
		{`{"pk":{"S":"é"}}`, 2 + 2, 0},
		{`{"b":{"B":"AAAA"},"t":{"BOOL":true},"n":{"NULL":true}}`, 1 + 3 + 1 + 1 + 1 + 1, 0},
		{`{"n":{"N":"0"}}`, 1 + 1, 0},
		{`{"n":{"N":"123"}}`, 1 + 3, 0},
		{`{"n":{"N":"12"}}`, 1 + 2, 0},
		{`{"n":{"N":"120"}}`, 1 + 3, 0},
		{`{"n":{"N":"-1000000"}}`, 1 + 3, 0},
		{`{"s":{"SS":["ab","c"]},"t":{"NS":["1","2"]}}`, 1 + 3 + 1 + 4, 0},
		{`{"l":{"L":[{"S":"ab"},{"L":[]}]}}`, 1 + 3 + 1 + 2 + 1 + 3, 2},
		{`{"m":{"M":{"k":{"S":"v"}}}}`, 1 + 3 + 1 + 1 + 1, 1},
	} {
		m, err := ParseMap([]byte(c.in))
		if err != nil {
			t.Fatal(err)
		}
		if size, depth := m.Measure(); size != c.size || depth != c.depth {
			t.Errorf("%s: got %d bytes and depth %d, want %d and %d", c.in, size, depth, c.size, c.depth)
		}
	}
}

func TestAMapIsChangedByMakingAnother(t *testing.T) {
	text := func(s string) Value { return Value{Kind: S, Text: s} }
	a := Map(nil).With("m", text("1")).With("z", text("2"))
	b := a.With("b", text("3")).With("m", text("4")).Without("z").Without("none")
	if got := string(a.AppendJSON(nil)); got != `{"m":{"S":"1"},"z":{"S":"2"}}` {
		t.Errorf("the first map became %s", got)
	}
	if got := string(b.AppendJSON(nil)); got != `{"b":{"S":"3"},"m":{"S":"4"}}` {
		t.Errorf("the second map is %s", got)
	}
}

// number draws numbers of every size that DynamoDB takes.
func number(t *rapid.T, label string) string {
	digits := rapid.StringMatching(`[0-9]{1,38}`).Draw(t, label)
	exponent := rapid.IntRange(-130, 125-len(digits)).Draw(t, label+" exponent")
	sign := rapid.SampledFrom([]string{"", "-"}).Draw(t, label+" sign")
	return fmt.Sprintf("%s%se%d", sign, digits, exponent)
}

func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic(s)
	}
	return r
}

func TestNumbersKeepTheirValueAndTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var values [2]Value
		var exact [2]*big.Rat
		for i := range values {
			s := number(t, fmt.Sprint("number ", i))
			if i == 1 && rapid.Bool().Draw(t, "near") { // a neighbour, to compare digit by digit
				s = values[0].Text
				if !strings.Contains(s, ".") {
					s += "."
				}
				s += "5"
			}
			text, err := canonical(s)
			if err != nil {
				t.Skip(err)
			}
			exact[i] = rational(s)
			if rational(text).Cmp(exact[i]) != 0 {
				t.Fatalf("%s became %s", s, text)
			}
			if again, err := canonical(text); err != nil || again != text {
				t.Fatalf("%s became %s: not one spelling (%v)", text, again, err)
			}
			values[i] = Value{Kind: N, Text: text}
		}
		want := exact[0].Cmp(exact[1])
		if got, ok := values[0].Compare(values[1]); !ok || sign(got) != want {
			t.Fatalf("Compare(%s, %s) = %d, want %d", values[0].Text, values[1].Text, got, want)
		}
		if got := strings.Compare(values[0].Ordered(), values[1].Ordered()); got != want {
			t.Fatalf("Ordered: %s against %s is %d, want %d", values[0].Text, values[1].Text, got, want)
		}
		for _, op := range []struct {
			name  string
			got   func(Value) (Value, error)
			exact *big.Rat
		}{
			{"+", values[0].Add, new(big.Rat).Add(exact[0], exact[1])},
			{"-", values[0].Subtract, new(big.Rat).Sub(exact[0], exact[1])},
		} {
			got, err := op.got(values[1])
			if err != nil {
				continue // out of range or precision, tested by example
			}
			if rational(got.Text).Cmp(op.exact) != 0 {
				t.Fatalf("%s %s %s = %s, want %s", values[0].Text, op.name, values[1].Text, got.Text, op.exact.RatString())
			}
		}
	})
}

func sign(n int) int { return big.NewInt(int64(n)).Sign() }

func TestArithmeticIsExactOrFails(t *testing.T) {
	n := func(s string) Value {
		text, err := canonical(s)
		if err != nil {
			t.Fatal(err)
		}
		return Value{Kind: N, Text: text}
	}
	for _, c := range []struct{ a, b, want string }{
		{"0.1", "0.2", "0.3"},
		{"1", "-1", "0"},
		{"10000000000000000000000", "1", "10000000000000000000001"},
		{"99999999999999999999999999999999999999", "1", "1" + strings.Repeat("0", 38)},
		{"1e-130", "1e-130", "0." + strings.Repeat("0", 129) + "2"},
		{"9e125", "9e125", "Number overflow"},
		{"1e50", "1", "Number overflow"},
		{"1.1e-130", "-1e-130", "Number underflow"},
	} {
		got, err := n(c.a).Add(n(c.b))
		if err != nil {
			got.Text = err.Error()
		}
		if got.Text != c.want && !strings.Contains(got.Text, "Exception: "+c.want) {
			t.Errorf("%s + %s = %s, want %s", c.a, c.b, got.Text, c.want)
		}
	}
}

func TestOrderedKeysSortAsNumbersDo(t *testing.T) {
	numbers := []string{"-9.9e125", "-100", "-99.1", "-99", "-10", "-1.01", "-1", "-0.5", "-1e-130", "0", "1e-130", "0.05", "0.5", "0.51", "1", "1.001", "1.01", "9", "10", "11", "99", "100", "1e125"}
	var keys []string
	for _, s := range numbers {
		text, err := canonical(s)
		if err != nil {
			t.Fatal(s, err)
		}
		keys = append(keys, Value{Kind: N, Text: text}.Ordered())
	}
	if !slices.IsSorted(keys) {
		t.Errorf("not in order: %q", keys)
	}
}
