// Code generated from the event types by go generate; DO NOT EDIT.

// Package trading has the events of trading, for consumers that copy this file.
package trading

import "time"

// Source is the source of these events on the bus.
const Source = "trading"

// The events' names on the bus: EventBridge's detail-type.
const (
	DetailTypeTradeAllocated = "TRADE_ALLOCATED"
	DetailTypeTradeExecuted  = "TRADE_EXECUTED"
)

// Detail is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type Detail[T any] struct {
	Metadata Metadata `json:"metadata"`
	Data     T        `json:"data"`
}

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

// TradeExecuted: an order was executed on the market, in one part or several.
type TradeExecuted struct {
	// TradeID names the trade.
	TradeID string `json:"tradeId"`
	// OrderID names the order that it executes; null for a trade that was agreed by
	// telephone.
	OrderID *string `json:"orderId"`
	// Instrument is what was traded.
	Instrument Instrument `json:"instrument"`
	// Side says whether it was bought or sold.
	Side Side `json:"side"`
	// Fills are the parts, at least one.
	Fills []Fill `json:"fills"`
	// Charges are the costs beside the price, by kind.
	Charges map[string]Amount `json:"charges,omitzero"`
	// SettlesOn is the day on which money and instrument change hands.
	SettlesOn string `json:"settlesOn"`
	// Notes are a trader's own.
	Notes []string `json:"notes,omitzero"`
}

// Allocation is one portfolio's part of a trade.
type Allocation struct {
	// PortfolioID names the portfolio.
	PortfolioID string `json:"portfolioId"`
	// Quantity is in units of the instrument, always positive.
	Quantity float64 `json:"quantity"`
}

// Amount is an amount of money. It may be negative. The zero value is nothing
// of no currency, which is not valid in an event.
type Amount struct {
	// MinorUnits counts the currency's smallest unit: cents of EUR, whole JPY.
	// A filter compares numbers from -5.0e9 to +5.0e9 only ("Comparison operators
	// for use in event patterns in Amazon EventBridge").
	MinorUnits int64 `json:"minorUnits"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
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
	Venue string `json:"venue"`
	// Quantity is in units of the instrument, always positive.
	Quantity float64 `json:"quantity"`
	// Price is for one unit.
	Price Amount `json:"price"`
	// ExecutedAt is when the market executed it.
	ExecutedAt time.Time `json:"executedAt"`
}

// Instrument is what can be traded.
type Instrument struct {
	// ISIN names it (ISO 6166).
	ISIN string `json:"isin"`
	// Name is for people.
	Name string `json:"name"`
	// Class says what it is.
	Class Class `json:"class"`
}

// Side says which way a trade went.
type Side string

const (
	// SideBuy is a purchase.
	SideBuy Side = "BUY"
	// SideSell is a sale.
	SideSell Side = "SELL"
)

// Metadata is what Penstock knows of an event besides its data. Empty fields
// other than ID, CorrelationID and OccurredAt are left out on the wire.
type Metadata struct {
	// ID names this event for ever: a redelivery has the same. A UUIDv7.
	ID string `json:"id"`
	// CorrelationID is shared by everything that one cause at the edge set off.
	// It is the event's own id where the context carries none.
	CorrelationID string `json:"correlationId"`
	// CausationID is the id of the event that was being handled when this one was
	// made.
	CausationID *string `json:"causationId,omitzero"`
	// Depth is how many events caused one another before this one: 0 for an event
	// that no other caused. The handler runtime refuses what goes on for too long.
	Depth *int64 `json:"depth,omitzero"`
	// UserID and OrganisationID say on whose behalf it happened.
	UserID         *string `json:"userId,omitzero"`
	OrganisationID *string `json:"organisationId,omitzero"`
	// OccurredAt is when the event was stamped, in UTC. There is no order of
	// delivery: compare this.
	OccurredAt time.Time `json:"occurredAt"`
	// Traceparent carries a W3C trace on ("Trace Context").
	Traceparent *string `json:"traceparent,omitzero"`
	// Code is the number of an event type that has one, see Coded.
	Code *int64 `json:"code,omitzero"`
}
