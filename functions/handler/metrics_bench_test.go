package handler

import (
	"io"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

func BenchmarkMetrics(b *testing.B) {
	m := &meter{out: io.Discard, app: "penstock", env: "dev"}
	records := make([]*Record, 1000)
	for i := range records {
		records[i] = &Record{
			Function: "fee", Subscription: "withdrawals", outcome: handledOutcome,
			Metadata: events.Metadata{OccurredAt: time.Now().Add(-time.Duration((i*7919)%1000) * time.Second)},
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		m.write(records, "request-1", time.Now())
	}
}
