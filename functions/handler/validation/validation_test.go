package validation_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/schema"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/validation"
)

const queueName = "shop-test-fee-withdrawals"

// withdrawals has the schema of a withdrawal, of a positive amount.
var withdrawals = fstest.MapFS{"savings/SAVINGS_WITHDRAWAL.schema.json": {Data: []byte(`{
	"type": "object", "required": ["accountId", "amount"],
	"properties": {"accountId": {"type": "string"}, "amount": {"type": "number", "exclusiveMinimum": 0}}
}`)}}

func types(t *testing.T) *schema.Set {
	t.Helper()
	set, err := schema.Load(withdrawals)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func withdrawal(account string, amount float64) savings.Withdrawal {
	return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.AccountID, w.Amount = account, amount })
}

func TestAnInvalidEventGoesToTheDLQAndItsNeighboursToTheFunction(t *testing.T) {
	t.Setenv("PENSTOCK_FUNCTION", "fee")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-test-fee")
	refused := errors.New("no such account")
	use := handler.Use(validation.New(types(t)))
	var mu sync.Mutex
	seen := map[string]bool{}
	charge := func(_ context.Context, m *handler.Message[savings.Withdrawal]) error {
		mu.Lock()
		defer mu.Unlock()
		seen[m.Event.AccountID] = true
		if m.Event.AccountID == "unknown" {
			return refused
		}
		return nil
	}
	for what, route := range map[string]handler.Route{
		"Each": handler.Each(charge, use),
		"Batch": handler.Batch(func(ctx context.Context, batch []*handler.Message[savings.Withdrawal]) error {
			var failed handler.Failures
			for _, m := range batch {
				failed.Add(m, charge(ctx, m))
			}
			return failed.Err()
		}, use),
	} {
		t.Run(what, func(t *testing.T) {
			clear(seen)
			sent := &handlertest.Queue{}
			f := handler.New(route).WithQueue(sent).WithLogger(slog.New(slog.DiscardHandler))
			response, err := f.Invoke(t.Context(), handlertest.Payload(t, queueName,
				withdrawal("good", 1), withdrawal("bad", -1), withdrawal("unknown", 1), withdrawal("worse", 0)))
			if err != nil {
				t.Fatal(err)
			}
			if got := handlertest.Failed(t, response); !slices.Equal(got, []string{handlertest.MessageID(2)}) {
				t.Errorf("failed %v", got)
			}
			if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"good", "unknown"}) {
				t.Errorf("the function saw %v", got)
			}
			if len(sent.Letters) != 2 {
				t.Fatalf("sent %v", sent.Letters)
			}
			for i, id := range []int{1, 3} {
				if l := sent.Letters[i]; l.MessageID != handlertest.MessageID(id) || !strings.Contains(l.Reason, "amount") || !json.Valid([]byte(l.Body)) {
					t.Errorf("sent %+v", l)
				}
			}
		})
	}
}

// loan is a type of which there is no schema.
type loan struct{ savings.Withdrawal }

func (loan) EventType() events.Type { return events.Type{Source: "savings", Name: "LOAN"} }

func TestAnEventThatCannotBeCheckedComesBack(t *testing.T) {
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "shop-test-fee")
	sent := &handlertest.Queue{}
	f := handler.New(handler.Each(func(context.Context, *handler.Message[loan]) error {
		t.Error("the function was called")
		return nil
	}, handler.Use(validation.New(types(t))))).WithQueue(sent).WithLogger(slog.New(slog.DiscardHandler))
	response, err := f.Invoke(t.Context(), handlertest.Payload(t, queueName, loan{}))
	if err != nil {
		t.Fatal(err)
	}
	if got := handlertest.Failed(t, response); len(got) != 1 || len(sent.Letters) != 0 {
		t.Errorf("failed %v, sent %v", got, sent.Letters)
	}
}
