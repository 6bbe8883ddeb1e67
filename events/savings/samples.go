package savings

// SampleWithdrawal returns a withdrawal with a value for every field, changed
// by edit. It is the type's schema sample, and the factory for tests.
func SampleWithdrawal(edit ...func(*Withdrawal)) Withdrawal {
	w := Withdrawal{
		AccountID:     "ACC-1001",
		TransactionID: "TX-77120",
		Amount:        250,
		Currency:      "EUR",
		Channel:       "ATM",
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
