package pipeline_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/pipeline"
)

func Example() {
	p, err := pipeline.Parse([]byte(`[
		{"match": {"data.amount": {"$gte": 100}}},
		{"addFields": {"data.total": {"$sum": "$data.lines.price"}}},
		{"project": {"customer": "$data.customer", "total": "$data.total"}}
	]`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, detail := range []string{
		`{"data": {"amount": 250, "customer": "C-7", "lines": [{"price": 100.25}, {"price": 149.75}]}}`,
		`{"data": {"amount": 5, "customer": "C-8", "lines": []}}`,
	} {
		result := p.Run(context.Background(), pipeline.Document{JSON: []byte(detail)}, pipeline.Effects{})
		fmt.Println(result.Outcome, string(result.Document))
	}
	// Output:
	// passed {"customer":"C-7","total":250}
	// discarded
}

// lambda answers the calls of the examples.
type lambda func(c pipeline.Call) ([]byte, error)

func (f lambda) Invoke(_ context.Context, c pipeline.Call) ([]byte, error) { return f(c) }

// A function is called with what the payload makes of the document, and its
// response is put into the field that "as" names.
func Example_externalFunction() {
	p, err := pipeline.Parse([]byte(`[
		{"externalFunction": {
			"functionName": "score-risk", "as": "risk", "onError": "dlq",
			"payload": [{"project": {"account": "$data.accountId", "amount": "$data.amount"}}]}},
		{"match": {"risk.score": {"$gt": 0.8}}},
		{"set": {"data.flagged": true}}
	]`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	effects := pipeline.Effects{Processor: "risk", Invoker: lambda(func(c pipeline.Call) ([]byte, error) {
		fmt.Println(c.Function, "is called with", string(c.Payload))
		if c.Source.ID == "e-2" {
			return nil, &pipeline.FunctionError{Type: "Runtime.ExitError", Message: "exit status 1"}
		}
		return []byte(`{"score":0.93}`), nil
	})}
	results := p.RunBatch(context.Background(), []pipeline.Document{
		{JSON: []byte(`{"data":{"accountId":"ACC-1","amount":5000}}`), Source: pipeline.Source{ID: "e-1"}},
		{JSON: []byte(`{"data":{"accountId":"ACC-2","amount":70}}`), Source: pipeline.Source{ID: "e-2"}},
	}, effects)
	fmt.Println(results[0].Outcome, string(results[0].Document))
	fmt.Println(results[1].Outcome, results[1].DeadLetter.Operator, "-", results[1].DeadLetter.Reason)
	// Output:
	// score-risk is called with {"account":"ACC-1","amount":5000}
	// score-risk is called with {"account":"ACC-2","amount":70}
	// passed {"data":{"accountId":"ACC-1","amount":5000,"flagged":true},"risk":{"score":0.93}}
	// dead pipeline[0].externalFunction - function score-risk: Runtime.ExitError: exit status 1
}

// What a pipeline emits is in the result, for the caller to publish; made again
// of the same event, it has the same id.
func Example_emit() {
	fee := events.Type{Source: "savings", Name: "FEE_CHARGED"}
	p, err := pipeline.Parse([]byte(`[
		{"emit": {"event": "savings/FEE_CHARGED", "data": {
			"accountId": "$data.accountId",
			"amount": {"$divide": [{"$multiply": ["$data.amount", 5]}, 1000]}}}}
	]`), []events.Type{fee})
	if err != nil {
		fmt.Println(err)
		return
	}
	document := pipeline.Document{
		JSON:   []byte(`{"metadata":{"id":"e-1"},"data":{"accountId":"ACC-1","amount":250}}`),
		Source: pipeline.Source{Key: "fees/withdrawals/e-1", OccurredAt: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)},
	}
	for range 2 {
		for _, e := range p.Run(context.Background(), document, pipeline.Effects{}).Emitted {
			fmt.Println(e.Type, e.ID, string(e.Data))
		}
	}
	// Output:
	// savings/FEE_CHARGED 01a1fd55-7a80-7097-993d-29ca706372be {"accountId":"ACC-1","amount":1.25}
	// savings/FEE_CHARGED 01a1fd55-7a80-7097-993d-29ca706372be {"accountId":"ACC-1","amount":1.25}
}

// Parse finds everything that is wrong, and says where.
func ExampleParse_faults() {
	_, err := pipeline.Parse([]byte(`[
		{"match": {"data.amount": {"$gtt": 5}}},
		{"set": {"total": {"$sun": "$data.lines.price"}}},
		{"externalFunction": {"functionName": "score-risk"}},
		{"emmit": {}}
	]`), nil)
	for _, line := range strings.Split(err.Error(), "\n") {
		at, _, _ := strings.Cut(line, " (there are")
		fmt.Println(at)
	}
	// Output:
	// pipeline[0].match.data.amount.$gtt: unknown operator "$gtt": did you mean $gt?
	// pipeline[1].set.total.$sun: unknown operator "$sun": did you mean $sum?
	// pipeline[2].externalFunction: "as" is required: the field for the response (a sync call does without only in the last stage)
	// pipeline[3]: unknown stage "emmit": did you mean emit?
}
