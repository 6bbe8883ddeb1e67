package savings

import (
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/money"
)

// Deposit: money came into a deposit account.
type Deposit struct {
	// AccountID names the account that was credited.
	AccountID string `json:"accountId"`
	// TransactionID names the deposit in the ledger of the savings module.
	TransactionID string `json:"transactionId"`
	// Amount is what was credited, always positive.
	Amount money.Amount `json:"amount"`
	// Channel says where it was made.
	Channel Channel `json:"channel"`
	// ValueDate is the day from which it bears interest.
	ValueDate string `json:"valueDate" jsonschema:"format=date"`
	// From is who sent it, for a transfer.
	From *Counterparty `json:"from,omitempty"`
	// Reference is the sender's own text.
	Reference string `json:"reference,omitempty"`
	// Labels are whatever the bank's modules noted for one another.
	Labels map[string]string `json:"labels,omitempty"`
}

// Counterparty is the other side of a transfer.
type Counterparty struct {
	// Name is the holder's, as the other bank gives it.
	Name string `json:"name"`
	// IBAN is the account's, without blanks (ISO 13616).
	IBAN string `json:"iban" jsonschema:"pattern=^[A-Z]{2}[0-9]{2}[A-Z0-9]+$"`
}

// EventType implements [events.Event].
func (Deposit) EventType() events.Type {
	return events.Type{Source: Source, Name: "SAVINGS_DEPOSIT"}
}

// Schema implements [events.Event].
func (Deposit) Schema() events.Event { return SampleDeposit() }

// AccountOpened: a deposit account was opened.
type AccountOpened struct {
	// AccountID names the account for ever.
	AccountID string `json:"accountId"`
	// Product is what kind of account it is.
	Product Product `json:"product"`
	// Currency is the account's, an ISO 4217 code.
	Currency string `json:"currency" jsonschema:"pattern=^[A-Z]{3}$"`
	// OpenedAt is when it was opened.
	OpenedAt time.Time `json:"openedAt"`
	// Holders are the people whom it belongs to, at least one.
	Holders []Holder `json:"holders"`
	// InterestPercent is the yearly rate that was agreed; null if the account
	// follows the product's.
	InterestPercent *float64 `json:"interestPercent"`
	// OverdraftLimit is how far below nothing it may go; null if it may not.
	OverdraftLimit *money.Amount `json:"overdraftLimit"`
	// Term is how long the money is bound, an ISO 8601 duration such as P12M.
	// Only a fixed deposit has one.
	Term string `json:"term,omitempty" jsonschema:"format=duration"`
	// Documents are the ids of the papers that were signed.
	Documents []string `json:"documents,omitempty"`
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

// Holder is a person whom an account belongs to.
type Holder struct {
	// CustomerID names the person.
	CustomerID string `json:"customerId"`
	// Role says what the person may do.
	Role Role `json:"role"`
	// BornOn is a minor's day of birth.
	BornOn string `json:"bornOn,omitempty" jsonschema:"format=date"`
}

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

// EventType implements [events.Event].
func (AccountOpened) EventType() events.Type {
	return events.Type{Source: Source, Name: "ACCOUNT_OPENED"}
}

// Schema implements [events.Event].
func (AccountOpened) Schema() events.Event { return SampleAccountOpened() }

// AccountClosed: a deposit account was closed. Its id is never given again.
type AccountClosed struct {
	// AccountID names the account.
	AccountID string `json:"accountId"`
	// ClosedAt is when it was closed.
	ClosedAt time.Time `json:"closedAt"`
	// Reason says why.
	Reason CloseReason `json:"reason"`
	// PaidOut is what was left, by where it went.
	PaidOut []Payout `json:"paidOut,omitempty"`
	// Balances is what the account held at its end, by the kind of money:
	// principal, interest, fees.
	Balances map[string]money.Amount `json:"balances"`
}

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

// Payout is one part of a closed account's money.
type Payout struct {
	// To is who received it.
	To Counterparty `json:"to"`
	// Amount is how much, always positive.
	Amount money.Amount `json:"amount"`
}

// EventType implements [events.Event].
func (AccountClosed) EventType() events.Type {
	return events.Type{Source: Source, Name: "ACCOUNT_CLOSED"}
}

// Schema implements [events.Event].
func (AccountClosed) Schema() events.Event { return SampleAccountClosed() }
