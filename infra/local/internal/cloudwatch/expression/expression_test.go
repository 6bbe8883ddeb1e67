package expression_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudwatch/expression"
)

func series(t testing.TB, text string) expression.Series {
	var out expression.Series
	for _, field := range strings.Fields(text) {
		x, err := strconv.ParseFloat(strings.Replace(field, "-", "NaN", map[bool]int{true: 1}[field == "-"]), 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

func query(t testing.TB) *expression.Query {
	q := &expression.Query{Slots: 5, Period: 60, Results: map[string]expression.Value{"e1": series(t, "5 5 5 5 5")}}
	for _, m := range []struct{ id, points string }{
		{"m1", "30 20 0 0 -"}, {"m2", "20 - 20 - -"}, {"errors", "1 0 2 - -"}, {"calls", "10 0 4 5 -"}, {"gap", "1 - - 4 -"},
	} {
		q.Metrics = append(q.Metrics, expression.Metric{ID: m.id, Series: series(t, m.points)})
	}
	return q
}

func write(v expression.Value) string {
	switch v := v.(type) {
	case float64:
		return "number " + strconv.FormatFloat(v, 'g', -1, 64)
	case expression.Series:
		var out []string
		for _, x := range v {
			if math.IsNaN(x) {
				out = append(out, "-")
			} else {
				out = append(out, strconv.FormatFloat(x, 'g', -1, 64))
			}
		}
		return strings.Join(out, " ")
	case []expression.Series:
		var out []string
		for _, s := range v {
			out = append(out, write(s))
		}
		return strings.Join(out, "; ")
	}
	return fmt.Sprint(v)
}

func TestExpressionsGiveWhatThePageSays(t *testing.T) {
	cases, err := os.ReadFile("testdata/cases.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(cases)) {
		source, want, ok := strings.Cut(strings.TrimSpace(line), " => ")
		if !ok {
			continue // a comment
		}
		t.Run(source, func(t *testing.T) {
			var got string
			parsed, err := expression.Parse(source)
			if err == nil {
				var v expression.Value
				v, err = parsed.Evaluate(query(t))
				got = write(v)
			}
			switch {
			case err != nil && !strings.Contains(err.Error(), want):
				t.Errorf("error %v, want %s", err, want)
			case err == nil && got != want:
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestAnExpressionKnowsWhatItNames(t *testing.T) {
	e, err := expression.Parse("IF(calls > 5, 100 * errors / calls, FILL(-e1, [m1, calls]))")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Names(), []string{"calls", "errors", "e1", "m1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNestingIsBounded(t *testing.T) {
	if _, err := expression.Parse(strings.Repeat("(", 10_000) + "m1" + strings.Repeat(")", 10_000)); err == nil || !strings.Contains(err.Error(), "nests more than") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("IF(FILL(m1, 0) >= 5 AND m2 != 1, SUM([m1,m2])^2, -m1/3)")
	f.Fuzz(func(t *testing.T, source string) {
		if e, err := expression.Parse(source); err == nil {
			_, _ = e.Evaluate(query(t))
		}
	})
}
