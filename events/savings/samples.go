package savings

import (
	"time"

	"github.com/penstock-dev/penstock/events/money"
)

// SampleWithdrawal returns a withdrawal with a value for every field, changed
// by edit. It is the type's schema sample, and the factory for tests.
func SampleWithdrawal(edit ...func(*Withdrawal)) Withdrawal {
	w := Withdrawal{
		AccountID:     "ACC-1001",
		TransactionID: "TX-77120",
		Amount:        250,
		Currency:      "EUR",
		Channel:       ChannelATM,
	}
	for _, e := range edit {
		e(&w)
	}
	return w
}

// SampleFeeCharged returns a fee with a value for every field, changed by
// edit.
func SampleFeeCharged(edit ...func(*FeeCharged)) FeeCharged {
	f := FeeCharged{
		AccountID:    "ACC-1001",
		WithdrawalID: "01976e5a-8c00-7000-8000-000000000001",
		EntryID:      "01976e5a-8c10-7000-8000-000000000002",
		Amount:       1.25,
		Currency:     "EUR",
	}
	for _, e := range edit {
		e(&f)
	}
	return f
}

// SampleDeposit returns a deposit with a value for every field, changed by
// edit.
func SampleDeposit(edit ...func(*Deposit)) Deposit {
	d := Deposit{
		AccountID:     "ACC-1001",
		TransactionID: "TX-77121",
		Amount:        money.Of(125_050, "EUR"),
		Channel:       ChannelTransfer,
		ValueDate:     "2026-03-03",
		From:          sampleCounterparty(),
		Reference:     "Rent March",
		Labels:        map[string]string{"category": "rent", "screening": "clear"},
	}
	for _, e := range edit {
		e(&d)
	}
	return d
}

// SampleAccountOpened returns a new account with a value for every field,
// changed by edit.
func SampleAccountOpened(edit ...func(*AccountOpened)) AccountOpened {
	a := AccountOpened{
		AccountID: "ACC-1001",
		Product:   ProductFixed,
		Currency:  "EUR",
		OpenedAt:  time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC),
		Holders: []Holder{
			{CustomerID: "C-501", Role: RoleOwner, BornOn: "1988-11-05"},
			{CustomerID: "C-502", Role: RoleMinor, BornOn: "2015-06-21"},
		},
		InterestPercent: new(2.75),
		OverdraftLimit:  new(money.Of(50_000, "EUR")),
		Term:            "P12M",
		Documents:       []string{"DOC-31", "DOC-32"},
	}
	for _, e := range edit {
		e(&a)
	}
	return a
}

// SampleAccountClosed returns a closed account with a value for every field,
// changed by edit.
func SampleAccountClosed(edit ...func(*AccountClosed)) AccountClosed {
	a := AccountClosed{
		AccountID: "ACC-1001",
		ClosedAt:  time.Date(2027, time.March, 2, 0, 0, 0, 0, time.UTC),
		Reason:    ClosedAtMaturity,
		PaidOut:   []Payout{{To: *sampleCounterparty(), Amount: money.Of(1_027_500, "EUR")}},
		Balances: map[string]money.Amount{
			"principal": money.Of(1_000_000, "EUR"),
			"interest":  money.Of(27_500, "EUR"),
		},
	}
	for _, e := range edit {
		e(&a)
	}
	return a
}

func sampleCounterparty() *Counterparty {
	return &Counterparty{Name: "Ada Example", IBAN: "DE89370400440532013000"}
}
