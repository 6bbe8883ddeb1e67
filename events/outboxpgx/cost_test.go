package outboxpgx_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkCost interleaves transactions with and without an event, by one writer.
func BenchmarkCost(b *testing.B) {
	ob, p := durable(b)
	var took [2][]time.Duration
	for i := range b.N {
		start := time.Now()
		if err := transact(b.Context(), ob, p, i%2); err != nil {
			b.Fatal(err)
		}
		took[i%2] = append(took[i%2], time.Since(start))
	}
	if b.N < 10 {
		return
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	without, with := took[0][len(took[0])/2], took[1][len(took[1])/2]
	b.ReportMetric(float64(without.Microseconds()), "without-µs")
	b.ReportMetric(float64(with.Microseconds()), "with-µs")
	b.ReportMetric(float64(with)/float64(without), "ratio")
}
