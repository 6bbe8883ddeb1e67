// Package catalogue is the one list of the project's event types.
package catalogue

import (
	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/auth"
	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/storage"
	"github.com/penstock-dev/penstock/events/trading"
)

// Schemas come before infrastructure, which is checked against them: go generate
// takes packages in the order of their paths.
//
//go:generate go run ../../scripts/schemas/generate

// All is every event type of the project. A test fails for a type that is
// missing here.
var All = events.NewCatalogue(
	events.Describe[auth.Login](),
	events.Describe[auth.Register](),
	events.Describe[penstock.SubscriptionStopped](),
	events.Describe[penstock.SubscriptionResumed](),
	events.Describe[savings.AccountOpened](),
	events.Describe[savings.AccountClosed](),
	events.Describe[savings.Deposit](),
	events.Describe[savings.Withdrawal](),
	events.Describe[savings.FeeCharged](),
	events.Describe[storage.Insert](),
	events.Describe[storage.Update](),
	events.Describe[storage.Delete](),
	events.Describe[trading.TradeExecuted](),
	events.Describe[trading.TradeAllocated](),
)
