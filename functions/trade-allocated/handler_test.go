package main

import (
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// allocation is what the tests read of a log line.
type allocation struct {
	ID          string
	TradeID     string
	PortfolioID string
	Quantity    float64
}

func TestEachAllocationOfATradeIsRecorded(t *testing.T) {
	trade := events.Stamp(t.Context(), trading.SampleTradeAllocated())
	result := handlertest.New(t, handler.Batch(record)).Send(trade)
	result.RequireHandled()
	want := []allocation{
		{trade.ID, "TRD-5501", "PF-1", 60},
		{trade.ID, "TRD-5501", "PF-2", 40},
	}
	if got := handlertest.Logged[allocation](result, "allocation"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestATradeWithoutAllocationsFailsAlone(t *testing.T) {
	result := handlertest.New(t, handler.Batch(record)).Send(
		trading.SampleTradeAllocated(),
		trading.SampleTradeAllocated(func(a *trading.TradeAllocated) { a.Allocations = nil }),
		trading.SampleTradeAllocated(),
	)
	result.RequireOutcomes("handled", "permanent", "handled")
	if got := handlertest.Logged[allocation](result, "allocation"); len(got) != 4 {
		t.Errorf("%d allocations were recorded, want the 4 of the other trades", len(got))
	}
}
