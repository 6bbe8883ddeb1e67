// Code generated from the event types by go generate; DO NOT EDIT.

// Package savings has the events of savings, for consumers that copy this file.
package savings

import "time"

// Source is the source of these events on the bus.
const Source = "savings"

// The events' names on the bus: EventBridge's detail-type.
const (
	DetailTypeAccountClosed = "ACCOUNT_CLOSED"
	DetailTypeAccountOpened = "ACCOUNT_OPENED"
	DetailTypeFeeCharged    = "FEE_CHARGED"
	DetailTypeDeposit       = "SAVINGS_DEPOSIT"
	DetailTypeWithdrawal    = "SAVINGS_WITHDRAWAL"
)

// Detail is an event on the bus: what EventBridge calls its detail. T is the type
// of its data.
type Detail[T any] struct {
	Metadata Metadata `json:"metadata"`
	Data     T        `json:"data"`
}

// AccountClosed: a deposit account was closed. Its id is never given again.
type AccountClosed struct {
	// AccountID names the account.
	AccountID string `json:"accountId"`
	// ClosedAt is when it was closed.
	ClosedAt time.Time `json:"closedAt"`
	// Reason says why.
	Reason CloseReason `json:"reason"`
	// PaidOut is what was left, by where it went.
	PaidOut []Payout `json:"paidOut,omitzero"`
	// Balances is what the account held at its end, by the kind of money:
	// principal, interest, fees.
	Balances map[string]Amount `json:"balances"`
}

// AccountOpened: a deposit account was opened.
type AccountOpened struct {
	// AccountID names the account for ever.
	AccountID string `json:"accountId"`
	// Product is what kind of account it is.
	Product Product `json:"product"`
	// Currency is the account's, an ISO 4217 code.
	Currency string `json:"currency"`
	// OpenedAt is when it was opened.
	OpenedAt time.Time `json:"openedAt"`
	// Holders are the people whom it belongs to, at least one.
	Holders []Holder `json:"holders"`
	// InterestPercent is the yearly rate that was agreed; null if the account
	// follows the product's.
	InterestPercent *float64 `json:"interestPercent"`
	// OverdraftLimit is how far below nothing it may go; null if it may not.
	OverdraftLimit *Amount `json:"overdraftLimit"`
	// Term is how long the money is bound, an ISO 8601 duration such as P12M.
	// Only a fixed deposit has one.
	Term *string `json:"term,omitzero"`
	// Documents are the ids of the papers that were signed.
	Documents []string `json:"documents,omitzero"`
}

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

// Deposit: money came into a deposit account.
type Deposit struct {
	// AccountID names the account that was credited.
	AccountID string `json:"accountId"`
	// TransactionID names the deposit in the ledger of the savings module.
	TransactionID string `json:"transactionId"`
	// Amount is what was credited, always positive.
	Amount Amount `json:"amount"`
	// Channel says where it was made.
	Channel Channel `json:"channel"`
	// ValueDate is the day from which it bears interest.
	ValueDate string `json:"valueDate"`
	// From is who sent it, for a transfer.
	From *Counterparty `json:"from,omitzero"`
	// Reference is the sender's own text.
	Reference *string `json:"reference,omitzero"`
	// Labels are whatever the bank's modules noted for one another.
	Labels map[string]string `json:"labels,omitzero"`
}

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

// CloseReason is why an account was closed.
type CloseReason string

const (
	// ClosedByCustomer is at the holders' wish.
	ClosedByCustomer CloseReason = "CUSTOMER"
	// ClosedAtMaturity is at the end of a fixed deposit's term.
	ClosedAtMaturity CloseReason = "MATURITY"
	// ClosedByBank is at the bank's wish.
	ClosedByBank CloseReason = "BANK"
)

// Counterparty is the other side of a transfer.
type Counterparty struct {
	// Name is the holder's, as the other bank gives it.
	Name string `json:"name"`
	// IBAN is the account's, without blanks (ISO 13616).
	IBAN string `json:"iban"`
}

// Holder is a person whom an account belongs to.
type Holder struct {
	// CustomerID names the person.
	CustomerID string `json:"customerId"`
	// Role says what the person may do.
	Role Role `json:"role"`
	// BornOn is a minor's day of birth.
	BornOn *string `json:"bornOn,omitzero"`
}

// Payout is one part of a closed account's money.
type Payout struct {
	// To is who received it.
	To Counterparty `json:"to"`
	// Amount is how much, always positive.
	Amount Amount `json:"amount"`
}

// Product is a kind of account.
type Product string

const (
	// ProductInstantAccess is an account whose money is free at any time.
	ProductInstantAccess Product = "INSTANT_ACCESS"
	// ProductNotice is an account whose withdrawals need notice.
	ProductNotice Product = "NOTICE"
	// ProductFixed is a fixed deposit, whose money is bound for a term.
	ProductFixed Product = "FIXED"
)

// Role is what a holder may do with an account.
type Role string

const (
	// RoleOwner is a holder who may do anything.
	RoleOwner Role = "OWNER"
	// RoleJoint is a holder who may act only together with another.
	RoleJoint Role = "JOINT"
	// RoleMinor is a child, for whom the others act.
	RoleMinor Role = "MINOR"
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
