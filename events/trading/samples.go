package trading

import (
	"time"

	"github.com/penstock-dev/penstock/events/money"
)

// SampleTradeExecuted returns an executed trade with a value for every field,
// changed by edit.
func SampleTradeExecuted(edit ...func(*TradeExecuted)) TradeExecuted {
	t := TradeExecuted{
		TradeID:    "TRD-5501",
		OrderID:    new("ORD-9001"),
		Instrument: Instrument{ISIN: "DE0007164600", Name: "SAP SE", Class: ClassShare},
		Side:       SideBuy,
		Fills: []Fill{
			{Venue: "XETR", Quantity: 70, Price: money.Of(18_240, "EUR"), ExecutedAt: time.Date(2026, time.March, 2, 9, 29, 58, 0, time.UTC)},
			{Venue: "XSTU", Quantity: 30, Price: money.Of(18_242, "EUR"), ExecutedAt: time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)},
		},
		Charges:   map[string]money.Amount{"commission": money.Of(990, "EUR"), "exchange": money.Of(250, "EUR")},
		SettlesOn: "2026-03-04",
		Notes:     []string{"in two parts: the first market had no more"},
	}
	for _, e := range edit {
		e(&t)
	}
	return t
}

// SampleTradeAllocated returns a trade with a value for every field, changed
// by edit. It is the type's schema sample, and the factory for tests.
func SampleTradeAllocated(edit ...func(*TradeAllocated)) TradeAllocated {
	t := TradeAllocated{
		TradeID:    "TRD-5501",
		Instrument: "DE0007164600",
		Side:       SideBuy,
		ExecutedAt: time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC),
		Allocations: []Allocation{
			{PortfolioID: "PF-1", Quantity: 60},
			{PortfolioID: "PF-2", Quantity: 40},
		},
	}
	for _, e := range edit {
		e(&t)
	}
	return t
}
