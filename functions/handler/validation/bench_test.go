package validation_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/validation"
)

// What a valid event costs besides its decoding.
func BenchmarkValidation(b *testing.B) {
	data, err := json.Marshal(savings.SampleWithdrawal())
	if err != nil {
		b.Fatal(err)
	}
	types, err := schema.Load(withdrawals)
	if err != nil {
		b.Fatal(err)
	}
	h := validation.New(types)(handler.HandlerFunc(func(context.Context, []*handler.Record) *handler.Failures { return nil }))
	records := []*handler.Record{{Type: savings.Withdrawal{}.EventType(), Data: data}}
	for b.Loop() {
		if failed := h.Handle(b.Context(), records); failed.Err() != nil {
			b.Fatal(failed)
		}
	}
}
