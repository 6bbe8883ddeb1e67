package demo

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events/savings"
)

func TestSamplesAreTheSameForTheSameSeed(t *testing.T) {
	a, b, c := Samples(100, 1), Samples(100, 1), Samples(100, 2)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed made other samples")
	}
	if reflect.DeepEqual(a, c) {
		t.Error("another seed made the same samples")
	}
	for _, w := range a {
		if _, err := parse(fmt.Appendf(nil, `{"accountId":%q,"amount":%v,"currency":%q}`, w.AccountID, w.Amount, w.Currency)); err != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestReadTakesAWholeFileOrNothing(t *testing.T) {
	const good = `{"accountId":"A","transactionId":"T","amount":1.5,"currency":"EUR","channel":"ATM"}`
	for _, c := range []struct {
		name, in string
		want     int
		err      []string
	}{
		{"lines", good + "\n" + good, 2, nil},
		{"blank lines", "\n" + good + "\n\n", 1, nil},
		{"nothing", "\n", 0, []string{"holds no withdrawal"}},
		{"not JSON", good + "\nx", 0, []string{"line 2: not the data"}},
		{"two values", good + good, 0, []string{"line 1: more than one"}},
		{"an unknown field", `{"accountID":"A","sum":1}`, 0, []string{`line 1`, `"sum"`}},
		{"no account", `{"amount":1,"currency":"EUR"}`, 0, []string{"line 1: accountId must not be empty"}},
		{"a negative amount", strings.Replace(good, "1.5", "-1", 1), 0, []string{"line 1: amount must be positive (got -1)"}},
		{"too long a line", good + "\n" + strings.Repeat("x", maxLine+1), 0, []string{"line 2: ", "too long"}},
		{"many bad lines", strings.Repeat("x\n", 15), 0, []string{"line 10:", "and 5 more lines"}},
	} {
		got, err := Read(strings.NewReader(c.in))
		if len(c.err) == 0 && (err != nil || len(got) != c.want) {
			t.Errorf("%s: got %d, %v", c.name, len(got), err)
		}
		for _, want := range c.err {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", c.name, err, want)
			}
		}
	}
}

func TestAFeeIsRightWithinHalfACent(t *testing.T) {
	for _, c := range []struct {
		amount        float64
		percent, fee  string
		right, broken bool
	}{
		{201, "0.5", "1.01", true, false}, // 1.005: either cent is within half of one
		{201, "0.5", "1.00", true, false},
		{201, "0.5", "1.02", false, false},
		{200, "0.5", "1", true, false},
		{200, "0.5", "1.001", false, false}, // no whole cents
		{0.01, "0.5", "0.00", true, false},
		{200, "half", "1", false, true},
	} {
		w := &withdrawal{Withdrawal: savings.Withdrawal{Amount: c.amount}}
		right, err := w.owes(c.percent, c.fee)
		if right != c.right || (err != nil) != c.broken {
			t.Errorf("%v at %s: a fee of %s: got %v, %v", c.amount, c.percent, c.fee, right, err)
		}
	}
}

func TestAReportIsOKOnlyIfEveryWithdrawalIsRight(t *testing.T) {
	fine := func() *Report { return &Report{Committed: 2, Published: 2, Handled: 2, Fees: 2, FeeCharged: 2} }
	if !fine().OK() {
		t.Error("a clean report is not OK")
	}
	for name, spoil := range map[string]func(*Report){
		"nothing committed": func(r *Report) { *r = Report{} },
		"missing":           func(r *Report) { r.Missing = []string{"a"} },
		"duplicated":        func(r *Report) { r.Duplicated = []string{"a"} },
		"wrong":             func(r *Report) { r.Wrong = []string{"a"} },
		"not handled":       func(r *Report) { r.Handled-- },
		"not published":     func(r *Report) { r.Published-- },
	} {
		r := fine()
		if spoil(r); r.OK() {
			t.Errorf("%s: OK", name)
		}
	}
}

func TestAReportNamesTheIdsOfWhatIsWrong(t *testing.T) {
	var out strings.Builder
	r := &Report{Committed: 3, Missing: []string{"id-1"}, Duplicated: []string{"id-2"}, Wrong: []string{"id-3"}, Elapsed: time.Second}
	r.Write(&out)
	for _, want := range []string{"missing: id-1", "duplicated: id-2", "wrong amount: id-3", "committed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out.String())
		}
	}
}

func TestRunReconcilesWhatItCommittedWithWhatItFinds(t *testing.T) {
	r := &run{started: time.Unix(100, 0), committed: map[string]*withdrawal{}}
	add := func(id string, fees []fee, events ...string) {
		w := &withdrawal{Withdrawal: savings.Withdrawal{Amount: 200}, committedAt: time.Unix(101, 0), handledAt: time.Unix(102, 0), seen: true, fees: fees, feeEvents: map[string]bool{}}
		for _, e := range events {
			w.feeEvents[e] = true
		}
		r.committed[id] = w
	}
	add("right", []fee{{"f1", "1.00"}}, "e1")
	add("no fee", nil, "e2")
	add("no event", []fee{{"f3", "1.00"}})
	add("two fees", []fee{{"f4", "1.00"}, {"f5", "1.00"}}, "e4")
	add("two events", []fee{{"f6", "1.00"}}, "e6", "e7")
	add("wrong fee", []fee{{"f8", "2.00"}}, "e8")
	got, err := r.report(&outcomeLog{handled: 6, records: 6, batches: map[string]bool{"b": true, "c": true}, lastWhen: time.Unix(102, 0)}, "0.5")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		got  []string
		want int
	}{{"missing", got.Missing, 2}, {"duplicated", got.Duplicated, 2}, {"wrong", got.Wrong, 1}} {
		if len(c.got) != c.want {
			t.Errorf("%s: %v", c.what, c.got)
		}
	}
	if got.OK() || got.Fees != 6 || got.FeeCharged != 6 || got.MeanBatch != 3 || got.P50 != time.Second || got.Elapsed != 2*time.Second {
		t.Errorf("got %+v", got)
	}
}
