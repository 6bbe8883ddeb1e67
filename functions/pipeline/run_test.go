package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
)

// Whoever runs it with -race learns whether runs share what they change.
func TestAPipelineServesManyGoroutines(t *testing.T) {
	p := mustParse(t, `[
		{"match": {"a": {"$in": [{"b": ["x\n", 1.5]}, "y"]}, "$expr": {"$gt": ["$n", {"$literal": 0.5}]}}},
		{"set": {"c": {"$literal": {"d": [1, {"e": "caf\u00e9"}]}}, "f": [1, "$n"]}},
		{"project": {"upper": {"$toUpper": {"$arrayElemAt": ["$c.d.e", 0]}}, "eq": {"$eq": ["$c", {"$literal": {"d": [1, {"e": "café"}]}}]}, "d": {"$map": {"input": "$c.d", "in": "$$this"}}}}]`)
	const want = `{"upper":"CAFé","eq":true,"d":[1,{"e":"caf\u00e9"}]}`
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				r := p.Run(context.Background(), Document{JSON: []byte(`{"a":[{"b":["x\n",1.5]}],"n":1}`)}, Effects{})
				var got bytes.Buffer
				if r.Outcome == Passed {
					_ = json.Compact(&got, r.Document)
				}
				if got.String() != want {
					t.Errorf("%s %s %+v, want %s", r.Outcome, r.Document, r.DeadLetter, want)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestADocumentThatGrowsTooLargeIsDead(t *testing.T) {
	double := strings.Repeat(`{"set": {"a": ["$a", "$a"]}},`, 10)
	document := Document{JSON: []byte(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)}
	for _, last := range []string{`{"match": {}}`, `{"externalFunction": {"functionName": "f"}}`, `{"validate": {"validator": {"$jsonSchema": {}}}}`, `{"emit": {"event": "savings/FEE_CHARGED", "data": "$$ROOT"}}`} {
		p := mustParse(t, "["+double+last+"]", feeCharged)
		r := p.Run(t.Context(), document, Effects{Invoker: &answers{}})
		if r.Outcome != Dead || !strings.HasSuffix(r.DeadLetter.Reason, "it has grown beyond 16 MiB") || string(r.DeadLetter.Document) != "null" {
			t.Errorf("%s: %s %+v", last, r.Outcome, r.DeadLetter)
		}
	}
	p := mustParse(t, "["+strings.Repeat(`{"set": {"a": {"$concat": ["$a", "$a"]}}},`, 10)+`{"match": {}}]`)
	if r := p.Run(t.Context(), document, Effects{}); r.Outcome != Dead || r.Stage != "pipeline[8].set" {
		t.Errorf("%s %+v", r.Outcome, r.DeadLetter)
	}
}

func TestWhatIsNestedTooDeepIsNotAccepted(t *testing.T) {
	nested := func(levels int) string {
		return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
	}
	p := mustParse(t, `[{"match": {}}]`)
	if r := p.Run(t.Context(), Document{JSON: []byte(nested(100))}, Effects{}); r.Outcome != Passed {
		t.Errorf("100 levels: %+v %+v", r, r.DeadLetter)
	}
	if r := p.Run(t.Context(), Document{JSON: []byte(nested(101))}, Effects{}); r.Outcome != Dead || r.DeadLetter.Reason != "nested deeper than 100 levels" {
		t.Errorf("101 levels: %+v %+v", r, r.DeadLetter)
	}
	isDead(t, through(t, `[{"externalFunction": {"functionName": "f", "as": "x"}}]`, &answers{response: nested(101)}),
		`the response of function f cannot be put in "x": nested deeper than 100 levels`)
	isRefused(t, `[{"set": {"a": `+strings.Repeat(`{"$not": `, 100)+"1"+strings.Repeat("}", 101)+"}]", "pipeline: nested deeper than 100 levels")
}
