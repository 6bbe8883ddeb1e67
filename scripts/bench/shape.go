package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/penstock-dev/penstock/functions/pipeline"
)

var pipelines = suite{"pipeline", "Functions without code", []part{
	{"pipeline_shape", "documents of 1 KB a second through addFields and project, from bytes to bytes, by one core and in its time, against gojq", shaping},
}}

// shapedBytes is how long the documents are.
const shapedBytes = 1024

// What documents go through, and the same in jq's language.
const (
	shapeStages = `[
		{"addFields": {
			"data.total": {"$sum": "$data.lines.price"},
			"data.reference": {"$concat": [{"$toUpper": "$data.channel"}, "-", "$data.reference"]},
			"data.large": {"$gte": ["$data.amount", 200]}}},
		{"project": {
			"eventId": "$metadata.id", "amount": "$data.amount", "currency": {"$ifNull": ["$data.currency", "EUR"]},
			"total": "$data.total", "reference": "$data.reference", "large": "$data.large",
			"customer": {"name": "$data.customer.name", "country": "$data.customer.country"}, "lines": "$data.lines"}}]`
	shapeJQ = `
		.data.total = ([.data.lines[].price] | add)
		| .data.reference = ((.data.channel | ascii_upcase) + "-" + .data.reference)
		| .data.large = (.data.amount >= 200)
		| {eventId: .metadata.id, amount: .data.amount, currency: (.data.currency // "EUR"),
		   total: .data.total, reference: .data.reference, large: .data.large,
		   customer: {name: .data.customer.name, country: .data.customer.country}, lines: .data.lines}`
)

// shaping measures from a document's bytes to those of what comes out, without
// calls.
func shaping(ctx context.Context, b *bench) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	p, err := pipeline.Parse([]byte(shapeStages), nil)
	if err != nil {
		return err
	}
	query, err := gojq.Parse(shapeJQ)
	if err != nil {
		return err
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return err
	}
	const units = 1000
	documents := make([]pipeline.Document, units)
	for i := range documents {
		documents[i].JSON = shapedDocument(i)
	}
	jq := func(data []byte) ([]byte, error) {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, err
		}
		out, _ := code.Run(v).Next()
		if err, ok := out.(error); ok {
			return nil, err
		}
		return gojq.Marshal(out)
	}
	if err := sameShape(p, documents, jq); err != nil {
		return err
	}
	rates, err := b.scale.rates(ctx,
		side{watch: computing, work: func(ctx context.Context) (int, error) {
			for i, r := range p.RunBatch(ctx, documents, pipeline.Effects{}) {
				if r.Outcome != pipeline.Passed {
					return 0, fmt.Errorf("document %d: %+v", i, r)
				}
			}
			return units, nil
		}},
		side{watch: computing, work: func(context.Context) (int, error) {
			for i := range documents {
				if _, err := jq(documents[i].JSON); err != nil {
					return 0, err
				}
			}
			return units, nil
		}})
	if err != nil {
		return err
	}
	b.report.add(result{Name: "pipeline_shape", Value: rates[0], Unit: "1/s", Goal: "≥ 50000"}.against("gojq, with encoding/json", rates[1]))
	return nil
}

// sameShape checks that both make the same of every document.
func sameShape(p *pipeline.Pipeline, documents []pipeline.Document, jq func([]byte) ([]byte, error)) error {
	for i, r := range p.RunBatch(context.Background(), documents, pipeline.Effects{}) {
		peers, err := jq(documents[i].JSON)
		if err != nil {
			return err
		}
		var ours, theirs map[string]any
		if err := json.Unmarshal(r.Document, &ours); err != nil {
			return fmt.Errorf("document %d: %w: %+v", i, err, r)
		}
		if err := json.Unmarshal(peers, &theirs); err != nil {
			return err
		}
		if len(ours) != 8 || !reflect.DeepEqual(ours, theirs) {
			return fmt.Errorf("the pipeline makes\n%s\nof a document, gojq\n%s", r.Document, peers)
		}
	}
	return nil
}

// shapedDocument is an event's detail.
func shapedDocument(i int) []byte {
	id := fmt.Sprintf("0197a1b2-c3d4-7e5f-8a9b-%012x", i)
	text := fmt.Sprintf(`{"metadata":{"id":%q,"correlationId":%q,"userId":"user-4711","organisationId":"organisation-12","occurredAt":"2026-11-21T09:00:00.123456Z","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},`+
		`"data":{"amount":%d.75,"currency":"EUR","channel":"atm","reference":"INV-2026-%06d","customer":{"name":"M\u00fcller & Co","country":"CH","city":"Basel","segment":"retail"},`+
		`"lines":[{"article":"A-1","quantity":2,"price":100.25},{"article":"A-3","quantity":1,"price":50.25},{"article":"A-7","quantity":12,"price":%d}],"tags":["retail","branch"],"approved":true,"note":`,
		id, id, 100+i%300, i, i%50)
	return []byte(text + `"` + strings.Repeat("n", shapedBytes-len(text)-4) + `"}}`)
}
