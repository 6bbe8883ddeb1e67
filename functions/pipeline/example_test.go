package pipeline_test

import (
	"context"
	"fmt"

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
