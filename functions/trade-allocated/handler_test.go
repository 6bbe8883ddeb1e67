package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// line is what the tests read of a log line.
type line struct {
	Msg         string
	ID          string
	TradeID     string
	PortfolioID string
	Quantity    float64
}

// invoke runs the function on a batch; it returns the ids of failed messages
// and the allocations that were logged.
func invoke(t *testing.T, batch ...events.Event) (failed []string, allocations []line) {
	t.Helper()
	t.Setenv("PENSTOCK_FUNCTION", "trade-allocated")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "penstock-test-trade-allocated")
	var out bytes.Buffer
	fn := handler.New(handler.Batch(record)).WithLogger(slog.New(slog.NewJSONHandler(&out, nil)))
	response, err := fn.Invoke(t.Context(), handlertest.Payload(t, "penstock-test-trade-allocated-allocations", batch...))
	if err != nil {
		t.Fatal(err)
	}
	for text := range bytes.Lines(out.Bytes()) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("log line %q: %v", text, err)
		}
		if l.Msg == "allocation" {
			allocations = append(allocations, l)
		}
	}
	return handlertest.Failed(t, response), allocations
}

func TestEachAllocationOfATradeIsRecorded(t *testing.T) {
	trade := events.Stamp(t.Context(), trading.SampleTradeAllocated())
	failed, got := invoke(t, trade)
	if len(failed) != 0 {
		t.Fatalf("failed: %v", failed)
	}
	want := []line{
		{"allocation", trade.ID, "TRD-5501", "PF-1", 60},
		{"allocation", trade.ID, "TRD-5501", "PF-2", 40},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestATradeWithoutAllocationsFailsAlone(t *testing.T) {
	failed, got := invoke(t,
		trading.SampleTradeAllocated(),
		trading.SampleTradeAllocated(func(a *trading.TradeAllocated) { a.Allocations = nil }),
		trading.SampleTradeAllocated(),
	)
	if !slices.Equal(failed, []string{handlertest.MessageID(1)}) {
		t.Errorf("failed: %v", failed)
	}
	if len(got) != 4 {
		t.Errorf("%d allocations were recorded, want the 4 of the other trades", len(got))
	}
}
