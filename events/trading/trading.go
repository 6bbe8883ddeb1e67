// Package trading holds the events of the trading module.
package trading

import (
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/money"
)

// Source is the module's name on the bus.
const Source = "trading"

// Side says which way a trade went.
type Side string

const (
	// SideBuy is a purchase.
	SideBuy Side = "BUY"
	// SideSell is a sale.
	SideSell Side = "SELL"
)

// TradeExecuted: an order was executed on the market, in one part or several.
type TradeExecuted struct {
	// TradeID names the trade.
	TradeID string `json:"tradeId"`
	// OrderID names the order that it executes; null for a trade that was
	// agreed by telephone.
	OrderID *string `json:"orderId"`
	// Instrument is what was traded.
	Instrument Instrument `json:"instrument"`
	// Side says whether it was bought or sold.
	Side Side `json:"side"`
	// Fills are the parts, at least one.
	Fills []Fill `json:"fills"`
	// Charges are the costs beside the price, by kind.
	Charges map[string]money.Amount `json:"charges,omitempty"`
	// SettlesOn is the day on which money and instrument change hands.
	SettlesOn string `json:"settlesOn" jsonschema:"format=date"`
	// Notes are a trader's own.
	Notes []string `json:"notes,omitempty"`
}

// Instrument is what can be traded.
type Instrument struct {
	// ISIN names it (ISO 6166).
	ISIN string `json:"isin" jsonschema:"pattern=^[A-Z]{2}[A-Z0-9]{9}[0-9]$"`
	// Name is for people.
	Name string `json:"name"`
	// Class says what it is.
	Class Class `json:"class"`
}

// Class is a kind of instrument.
type Class string

const (
	// ClassShare is a part of a company.
	ClassShare Class = "SHARE"
	// ClassBond is a debt.
	ClassBond Class = "BOND"
	// ClassFund is a share of a fund.
	ClassFund Class = "FUND"
)

// Fill is one part of an executed trade.
type Fill struct {
	// Venue is the market, an ISO 10383 code.
	Venue string `json:"venue" jsonschema:"pattern=^[A-Z0-9]{4}$"`
	// Quantity is in units of the instrument, always positive.
	Quantity float64 `json:"quantity" jsonschema:"exclusiveMinimum=0"`
	// Price is for one unit.
	Price money.Amount `json:"price"`
	// ExecutedAt is when the market executed it.
	ExecutedAt time.Time `json:"executedAt"`
}

// EventType implements [events.Event].
func (TradeExecuted) EventType() events.Type {
	return events.Type{Source: Source, Name: "TRADE_EXECUTED"}
}

// Schema implements [events.Event].
func (TradeExecuted) Schema() events.Event { return SampleTradeExecuted() }

// TradeAllocated: an executed trade was divided among portfolios.
type TradeAllocated struct {
	// TradeID names the trade.
	TradeID string `json:"tradeId"`
	// Instrument is an ISIN.
	Instrument string `json:"instrument"`
	// Side says whether the portfolios bought or sold.
	Side Side `json:"side"`
	// ExecutedAt is when the trade was executed.
	ExecutedAt time.Time `json:"executedAt"`
	// Allocations are the parts, at least one.
	Allocations []Allocation `json:"allocations"`
}

// Allocation is one portfolio's part of a trade.
type Allocation struct {
	// PortfolioID names the portfolio.
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
