// Package trading holds the events of the trading module.
package trading

import (
	"time"

	"github.com/penstock-dev/penstock/events"
)

// Source is the module's name on the bus.
const Source = "trading"

// TradeAllocated: an executed trade was divided among portfolios.
type TradeAllocated struct {
	// TradeID names the trade.
	TradeID string `json:"tradeId"`
	// Instrument is an ISIN.
	Instrument string `json:"instrument"`
	// Side is BUY or SELL.
	Side string `json:"side"`
	// ExecutedAt is when the trade was executed.
	ExecutedAt time.Time `json:"executedAt"`
	// Allocations are the parts, at least one.
	Allocations []Allocation `json:"allocations"`
}

// Allocation is one portfolio's part of a trade.
type Allocation struct {
	PortfolioID string `json:"portfolioId"`
	// Quantity is in units of the instrument, always positive.
	Quantity float64 `json:"quantity"`
}

// EventType implements [events.Event].
func (TradeAllocated) EventType() events.Type {
	return events.Type{Source: Source, Name: "TRADE_ALLOCATED"}
}

// Schema implements [events.Event].
func (TradeAllocated) Schema() events.Event { return SampleTradeAllocated() }
