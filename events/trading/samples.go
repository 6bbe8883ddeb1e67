package trading

import "time"

// SampleTradeAllocated returns a trade with a value for every field, changed
// by edit. It is the type's schema sample, and the factory for tests.
func SampleTradeAllocated(edit ...func(*TradeAllocated)) TradeAllocated {
	t := TradeAllocated{
		TradeID:    "TRD-5501",
		Instrument: "DE0007164600",
		Side:       "BUY",
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
