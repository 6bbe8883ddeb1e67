package demo

import (
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what the demo found. Its counts are of withdrawals or of distinct
// events, never of deliveries: delivery is at least once.
type Report struct {
	Committed  int // withdrawals whose transaction committed
	Published  int // of them, seen on the bus
	Handled    int // of them, with an outcome record "handled"
	Fees       int // fees in the ledger for them
	FeeCharged int // distinct FEE_CHARGED events caused by them

	Missing    []string // ids of withdrawals without a fee or a FEE_CHARGED event
	Duplicated []string // ids of those with more than one of either
	Wrong      []string // ids of those whose fee is not what it should be

	Batches   int           // invocations of the function
	MeanBatch float64       // withdrawals an invocation
	Elapsed   time.Duration // from the first transaction to the last handled
	P50, P99  time.Duration // from commit to handled
}

// OK reports whether every withdrawal has exactly one correct fee and one
// FEE_CHARGED event.
func (r *Report) OK() bool {
	return len(r.Missing) == 0 && len(r.Duplicated) == 0 && len(r.Wrong) == 0 &&
		r.Handled == r.Committed && r.Published == r.Committed && r.Committed > 0
}

// report reconciles. Nothing writes to the run any more.
func (r *run) report(log *outcomeLog, percent string) (*Report, error) {
	out := &Report{Committed: len(r.committed), Handled: log.handled, Batches: len(log.batches)}
	if out.Batches > 0 {
		out.MeanBatch = float64(log.records) / float64(out.Batches)
	}
	var latencies []time.Duration
	for _, w := range r.committed {
		out.Fees += len(w.fees)
		out.FeeCharged += len(w.feeEvents)
		if w.seen {
			out.Published++
		}
		if !w.handledAt.IsZero() {
			latencies = append(latencies, w.handledAt.Sub(w.committedAt))
		}
	}
	out.Missing = r.ids(func(w *withdrawal) bool { return len(w.fees) == 0 || len(w.feeEvents) == 0 })
	out.Duplicated = r.ids(func(w *withdrawal) bool { return len(w.fees) > 1 || len(w.feeEvents) > 1 })
	var fault error
	out.Wrong = r.ids(func(w *withdrawal) bool {
		if len(w.fees) == 0 {
			return false
		}
		right, err := w.owes(percent, w.fees[0].amount)
		if err != nil {
			fault = err
		}
		return !right
	})
	if !log.lastWhen.IsZero() {
		out.Elapsed = log.lastWhen.Sub(r.started)
	}
	slices.Sort(latencies)
	out.P50, out.P99 = percentile(latencies, 50), percentile(latencies, 99)
	return out, fault
}

// owes reports whether amount is the percentage of the withdrawal to within
// half a cent: the definition of the fee, and not the function's way to it.
func (w *withdrawal) owes(percent, amount string) (bool, error) {
	share, ok1 := new(big.Rat).SetString(percent)
	charged, ok2 := new(big.Rat).SetString(amount)
	of, ok3 := new(big.Rat).SetString(strconv.FormatFloat(w.Amount, 'f', -1, 64))
	if !ok1 || !ok2 || !ok3 {
		return false, fmt.Errorf("percentage %q, fee %q: want decimal numbers", percent, amount)
	}
	exact := share.Mul(share, of).Quo(share, big.NewRat(100, 1))
	off := exact.Sub(exact, charged)
	cents := new(big.Rat).Mul(charged, big.NewRat(100, 1))
	return cents.IsInt() && off.Abs(off).Cmp(big.NewRat(5, 1000)) <= 0, nil
}

// percentile is the smallest value that p percent of the sorted values do not
// exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// shownIDs is how many ids of one kind the report names.
const shownIDs = 1000

// Write prints the report for people.
func (r *Report) Write(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("committed", "%d", r.Committed)
	line("published", "%d", r.Published)
	line("handled", "%d", r.Handled)
	line("fees", "%d", r.Fees)
	line("FEE_CHARGED events", "%d", r.FeeCharged)
	line("missing", "%d", len(r.Missing))
	line("duplicated", "%d", len(r.Duplicated))
	if len(r.Wrong) > 0 {
		line("wrong amount", "%d", len(r.Wrong))
	}
	line("batches", "%d, %.0f events on average", r.Batches, r.MeanBatch)
	if r.Elapsed > 0 {
		line("events per second", "%.0f", float64(r.Handled)/r.Elapsed.Seconds())
	}
	line("commit to handled", "p50 %s, p99 %s", r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond))
	w.Flush()
	for _, kind := range []struct {
		name string
		ids  []string
	}{{"missing", r.Missing}, {"duplicated", r.Duplicated}, {"wrong amount", r.Wrong}} {
		if len(kind.ids) == 0 {
			continue
		}
		shown := kind.ids[:min(len(kind.ids), shownIDs)]
		fmt.Fprintf(out, "%s: %s", kind.name, strings.Join(shown, " "))
		if more := len(kind.ids) - len(shown); more > 0 {
			fmt.Fprintf(out, " and %d more", more)
		}
		fmt.Fprintln(out)
	}
}
