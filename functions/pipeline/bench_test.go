package pipeline

import (
	"strings"
	"testing"
)

// BenchmarkShape is what scripts/bench measures as pipeline_shape, for
// profiles.
func BenchmarkShape(b *testing.B) {
	p, err := Parse([]byte(`[
		{"addFields": {
			"data.total": {"$sum": "$data.lines.price"},
			"data.reference": {"$concat": [{"$toUpper": "$data.channel"}, "-", "$data.reference"]},
			"data.large": {"$gte": ["$data.amount", 200]}}},
		{"project": {
			"eventId": "$metadata.id", "amount": "$data.amount", "currency": {"$ifNull": ["$data.currency", "EUR"]},
			"total": "$data.total", "reference": "$data.reference", "large": "$data.large",
			"customer": {"name": "$data.customer.name", "country": "$data.customer.country"}, "lines": "$data.lines"}}]`), nil)
	if err != nil {
		b.Fatal(err)
	}
	document := `{"metadata":{"id":"0197a1b2-c3d4-7e5f-8a9b-000000000001","correlationId":"0197a1b2-c3d4-7e5f-8a9b-000000000001","userId":"user-4711","organisationId":"organisation-12","occurredAt":"2026-11-21T09:00:00.123456Z","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},` +
		`"data":{"amount":250.75,"currency":"EUR","channel":"atm","reference":"INV-2026-004711","customer":{"name":"M\u00fcller & Co","country":"CH","city":"Basel","segment":"retail"},` +
		`"lines":[{"article":"A-1","quantity":2,"price":100.25},{"article":"A-3","quantity":1,"price":50.25},{"article":"A-7","quantity":12,"price":7}],"tags":["retail","branch"],"approved":true,"note":"`
	document += strings.Repeat("n", 1024-len(document)-3) + `"}}`
	documents := make([]Document, 100)
	for i := range documents {
		documents[i].JSON = []byte(document)
	}
	b.ReportAllocs()
	for i := 0; i < b.N; i += len(documents) {
		for _, r := range p.RunBatch(b.Context(), documents, Effects{}) {
			if r.Outcome != Passed {
				b.Fatalf("%+v", r)
			}
		}
	}
}
