// Package catalogue is the one list of the project's event types.
package catalogue

import (
	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
)

// Schemas come before infrastructure, which is checked against them: go generate
// takes packages in the order of their paths.
//
//go:generate go run ../../scripts/schemas/generate

// All is every event type of the project. A test fails for a type that is
// missing here.
var All = events.NewCatalogue(
	events.Describe[savings.Withdrawal](),
	events.Describe[savings.FeeCharged](),
	events.Describe[trading.TradeAllocated](),
)
