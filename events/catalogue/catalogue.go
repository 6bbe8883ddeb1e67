// Package catalogue is the one list of the project's event types.
package catalogue

import (
	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
)

// All is every event type of the project. A test fails for a type that is
// missing here.
var All = events.NewCatalogue(
	events.Describe[savings.Withdrawal](),
	events.Describe[savings.FeeCharged](),
	events.Describe[trading.TradeAllocated](),
)
