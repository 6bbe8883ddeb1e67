package pipeline

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/events"
)

// goldenSeeds adds the pipelines of the golden files, with their documents.
func goldenSeeds(f *testing.F, add func(stages, document string)) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, c := range readGolden(f, file) {
			add(c.stages(), "{}")
			for _, one := range c.runs {
				add(c.stages(), one.in)
			}
		}
	}
	add(`[{"externalFunction": {"functionName": "f", "as": "a.b", "parallelism": 2, "partitionBy": "$a", "payload": [{"project": {"a": 1}}]}}, {"emit": {"event": "savings/FEE_CHARGED", "data": "$$ROOT"}}]`, `{"a": [1, {"b": 2}]}`)
}

// FuzzParse holds that a pipeline is refused with a path, or runs.
func FuzzParse(f *testing.F) {
	goldenSeeds(f, func(stages, _ string) { f.Add([]byte(stages)) })
	f.Fuzz(func(t *testing.T, stages []byte) {
		given := bytes.Clone(stages)
		p, err := Parse(stages, []events.Type{feeCharged})
		if !bytes.Equal(given, stages) {
			t.Fatal("the stages were changed")
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "pipeline") {
				t.Fatalf("an error without a path: %v", err)
			}
			return
		}
		clear(stages) // a pipeline keeps nothing of them
		p.Run(t.Context(), Document{JSON: []byte(`{"a":[1,{"b":"x"}],"data":{"c":null}}`)}, Effects{Invoker: &answers{response: "1"}})
	})
}

// FuzzRun holds that what comes out or is dead is JSON, and the same each time, and that the document that went in is not touched.
func FuzzRun(f *testing.F) {
	goldenSeeds(f, func(stages, document string) { f.Add(stages, []byte(document)) })
	f.Fuzz(func(t *testing.T, stages string, document []byte) {
		p, err := Parse([]byte(stages), []events.Type{feeCharged})
		if err != nil {
			return
		}
		given := bytes.Clone(document)
		effects := Effects{Invoker: invokerFunc(func(_ context.Context, c Call) ([]byte, error) { return c.Payload, nil })}
		first, again := p.Run(t.Context(), Document{JSON: document}, effects), p.Run(t.Context(), Document{JSON: document}, effects)
		if !bytes.Equal(given, document) {
			t.Fatal("the document was changed")
		}
		if first.Outcome != again.Outcome || !bytes.Equal(first.Document, again.Document) {
			t.Fatalf("first %+v, then %+v", first, again)
		}
		out := first.Document
		switch first.Outcome {
		case Dead:
			if out = first.DeadLetter.Document; first.DeadLetter.Reason == "" || first.DeadLetter.Operator == "" {
				t.Fatalf("%+v", first.DeadLetter)
			}
		case Discarded:
			return
		case Failed:
			t.Fatal(first.Err)
		}
		if !jsontext.Value(out).IsValid() {
			t.Fatalf("out comes %s", out)
		}
	})
}
