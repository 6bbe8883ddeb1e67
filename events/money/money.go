// Package money holds how events tell amounts of money.
//
// An amount is a whole number of a currency's minor units. That is exact in
// every language that reads the event (JavaScript's numbers are, up to 2^53), and
// unlike a decimal text it can be compared in a subscription's filter:
//
//	{"data": {"amount": {"minorUnits": [{"numeric": [">=", 100000]}], "currency": ["EUR"]}}}
package money

// Amount is an amount of money. It may be negative. The zero value is nothing
// of no currency, which is not valid in an event.
type Amount struct {
	// MinorUnits counts the currency's smallest unit: cents of EUR, whole JPY.
	// A filter compares numbers from -5.0e9 to +5.0e9 only ("Comparison
	// operators for use in event patterns in Amazon EventBridge").
	MinorUnits int64 `json:"minorUnits"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency" jsonschema:"pattern=^[A-Z]{3}$"`
}

// Of returns an amount of a currency: Of(1250, "EUR") is 12.50 EUR.
func Of(minorUnits int64, currency string) Amount { return Amount{minorUnits, currency} }
