// Package savings holds the events of the savings module: what happens on
// deposit accounts.
package savings

import "github.com/penstock-dev/penstock/events"

// Source is the module's name on the bus.
const Source = "savings"

// Channel is where money came in or went out.
type Channel string

const (
	// ChannelATM is a cash machine.
	ChannelATM Channel = "ATM"
	// ChannelBranch is the counter of a branch.
	ChannelBranch Channel = "BRANCH"
	// ChannelTransfer is a transfer from or to another account.
	ChannelTransfer Channel = "TRANSFER"
)

// Withdrawal: money left a deposit account.
type Withdrawal struct {
	// AccountID names the account that was debited.
	AccountID string `json:"accountId"`
	// TransactionID names the withdrawal in the ledger of the savings module.
	TransactionID string `json:"transactionId"`
	// Amount is in units of Currency, always positive.
	Amount float64 `json:"amount"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Channel says where it was made.
	Channel Channel `json:"channel"`
}

// EventType implements [events.Event].
func (Withdrawal) EventType() events.Type {
	return events.Type{Source: Source, Name: "SAVINGS_WITHDRAWAL"}
}

// Schema implements [events.Event].
func (Withdrawal) Schema() events.Event { return SampleWithdrawal() }

// FeeCharged: a fee was charged for a withdrawal.
type FeeCharged struct {
	// AccountID names the account that owes the fee.
	AccountID string `json:"accountId"`
	// WithdrawalID is the id of the withdrawal's event.
	WithdrawalID string `json:"withdrawalId"`
	// EntryID names the fee in the fee ledger.
	EntryID string `json:"entryId"`
	// Amount is in units of Currency.
	Amount float64 `json:"amount"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
}

// EventType implements [events.Event].
func (FeeCharged) EventType() events.Type {
	return events.Type{Source: Source, Name: "FEE_CHARGED"}
}

// Schema implements [events.Event].
func (FeeCharged) Schema() events.Event { return SampleFeeCharged() }
