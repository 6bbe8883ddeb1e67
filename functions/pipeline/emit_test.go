package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/schema"
)

var (
	feeCharged = events.Type{Source: "savings", Name: "FEE_CHARGED"}
	flagged    = events.Type{Source: "risk", Name: "FLAGGED"}
)

func schemas(t *testing.T) *schema.Set {
	t.Helper()
	set, err := schema.Load(fstest.MapFS{
		"savings/FEE_CHARGED.schema.json": {Data: []byte(`{"type": "object", "required": ["fee"], "properties": {"fee": {"type": "number", "exclusiveMinimum": 0}}}`)},
		"risk/FLAGGED.schema.json":        {Data: []byte(`{"type": `)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func emitting(t *testing.T, stages, document string) Result {
	t.Helper()
	return mustParse(t, stages, feeCharged, flagged).Run(context.Background(), Document{JSON: []byte(document), Source: source}, Effects{Schemas: schemas(t)})
}

func TestEmitMakesAnEventOfTheData(t *testing.T) {
	r := emitting(t, `[{"$emit": {"event": "savings/FEE_CHARGED"}}]`, `{"metadata": {"id": "e-1"}, "data": {"fee":5}}`)
	passes(t, r, `{"metadata": {"id": "e-1"}, "data": {"fee":5}}`)
	if len(r.Emitted) != 1 || r.Emitted[0].Type != feeCharged || string(r.Emitted[0].Data) != `{"fee":5}` {
		t.Errorf("emitted %+v", r.Emitted)
	}
}

func TestEmitMakesAnEventOfAnExpression(t *testing.T) {
	r := emitting(t, `[{"emit": {"event": "savings/FEE_CHARGED", "data": {"fee": {"$multiply": ["$amount", 0.5]}, "of": "$$ROOT"}}}]`, `{"amount":5}`)
	if len(r.Emitted) != 1 || string(r.Emitted[0].Data) != `{"fee":2.5,"of":{"amount":5}}` {
		t.Errorf("emitted %+v", r.Emitted)
	}
}

func TestTheIdsOfWhatIsEmittedDeriveFromTheEventKeyTheTypeAndAnIndex(t *testing.T) {
	const stages = `[{"emit": {"event": "savings/FEE_CHARGED"}}, {"match": {"data.twice": true}}, {"emit": {"event": "savings/FEE_CHARGED"}}]`
	r := emitting(t, stages, `{"data": {"fee": 1, "twice": true}}`)
	again := emitting(t, stages, `{"data": {"fee": 1, "twice": true}}`)
	var got []string
	for i, e := range r.Emitted {
		got = append(got, e.ID)
		if again.Emitted[i].ID != e.ID {
			t.Errorf("made again, event %d has the id %s, not %s", i, again.Emitted[i].ID, e.ID)
		}
	}
	if want := []string{events.DeriveID(occurred, source.Key, feeCharged, 0), events.DeriveID(occurred, source.Key, feeCharged, 1)}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}

func TestWhatADocumentEmittedBeforeItWasDiscardedIsPublished(t *testing.T) {
	r := emitting(t, `[{"emit": {"event": "savings/FEE_CHARGED"}}, {"match": {"data.fee": {"$gt": 10}}}]`, `{"data": {"fee": 1}}`)
	if r.Outcome != Discarded || r.Stage != "pipeline[1].match" || len(r.Emitted) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestWhatADeadOrFailedDocumentEmittedIsNotPublished(t *testing.T) {
	r := emitting(t, `[{"emit": {"event": "savings/FEE_CHARGED"}}, {"set": {"x": {"$divide": [1, 0]}}}]`, `{"data": {"fee": 1}}`)
	if r.Outcome != Dead || len(r.Emitted) != 0 {
		t.Errorf("%+v", r)
	}
	r = emitting(t, `[{"emit": {"event": "savings/FEE_CHARGED"}}, {"emit": {"event": "risk/FLAGGED"}}]`, `{"data": {"fee": 1}}`)
	if r.Outcome != Failed || len(r.Emitted) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestDataThatViolatesTheSchemaIsDeadWithThePath(t *testing.T) {
	const stages = `[{"emit": {"event": "savings/FEE_CHARGED"}}]`
	isDead(t, emitting(t, stages, `{"data": {"fee": -1}}`), "data: event savings/FEE_CHARGED: fee must be more than 0 (got -1)")
	isDead(t, emitting(t, stages, `{"data": {}}`), "data: event savings/FEE_CHARGED: fee is required")
	isDead(t, emitting(t, stages, `{"data": 5}`), "data: the data of savings/FEE_CHARGED must be an object, and is 5 (of type long)")
	isDead(t, emitting(t, stages, `{}`), "data: the data of savings/FEE_CHARGED must be an object, and is missing (of type missing)")
}

func TestASchemaThatCannotBeReadFailsTheDocument(t *testing.T) {
	r := emitting(t, `[{"emit": {"event": "risk/FLAGGED"}}]`, `{"data": {}}`)
	if _, ok := errors.AsType[*schema.Error](r.Err); r.Outcome != Failed || ok || r.Err == nil {
		t.Errorf("%+v", r)
	}
}

func TestEmitPublishesOnlyWhatTheManifestSays(t *testing.T) {
	_, err := Parse([]byte(`[{"emit": {"event": "savings/FEE_CHARGD"}}]`), []events.Type{feeCharged})
	if want := `pipeline[0].emit.event: savings/FEE_CHARGD is not among what the function "publishes": did you mean savings/FEE_CHARGED?`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	p := mustParse(t, `[{"emit": {"event": "savings/FEE_CHARGED"}}, {"emit": {"event": "risk/FLAGGED"}}, {"emit": {"event": "savings/FEE_CHARGED"}}]`, feeCharged, flagged)
	if got := p.Emits(); !slices.Equal(got, []events.Type{flagged, feeCharged}) {
		t.Errorf("emits %v", got)
	}
}
