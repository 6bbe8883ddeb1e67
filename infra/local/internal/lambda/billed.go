package lambda

import (
	"strings"

	"github.com/penstock-dev/penstock/infra/local/meter"
)

// billed is what an invocation is billed for besides being one: the whole
// milliseconds that it took, and those that its Init adds, of the memory
// configured ("AWS Lambda Pricing").
type billed struct {
	memoryMB   int
	ms, initMs float64
}

// charge counts an invocation that took place.
func (l *Lambda) charge(function string, b billed) {
	l.cfg.Meter.Add(meter.FunctionRequest, function, 1)
	l.cfg.Meter.Add(meter.FunctionGBSecond, function, (b.ms+b.initMs)/1000*float64(b.memoryMB)/1024)
}

// chargeBatch notes what a batch took; a nil result is of none that took place.
func (m *mapping) chargeBatch(records int, result *Result) {
	if result == nil {
		return
	}
	m.l.cfg.Meter.Batch(m.function, SourceName(m.source), result.billed.memoryMB, records, result.billed.ms)
}

// SourceName is the queue of arn:aws:sqs:…:QUEUE, or the table of
// arn:aws:dynamodb:…:table/TABLE/stream/LABEL.
func SourceName(arn string) string {
	if _, table, ok := strings.Cut(arn, ":table/"); ok {
		name, _, _ := strings.Cut(table, "/")
		return name
	}
	return arn[strings.LastIndex(arn, ":")+1:]
}
