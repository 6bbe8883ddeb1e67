package main

import (
	"fmt"

	"github.com/penstock-dev/penstock/events/trading"
)

// request is what the function is called with.
type request struct {
	Class trading.Class `json:"class"`
}

// response is what it answers.
type response struct {
	Portfolios []share `json:"portfolios"`
}

// share is one portfolio's part, in per cent.
type share struct {
	PortfolioID string  `json:"portfolioId"`
	Percent     float64 `json:"percent"`
}

// byClass stands for what a real function would look up.
var byClass = map[trading.Class][]share{
	trading.ClassShare: {{"PF-1", 60}, {"PF-2", 40}},
	trading.ClassFund:  {{"PF-2", 100}},
}

// shares answers a call. A class that nobody holds is an error, which its caller
// sees as that of a function.
func shares(r request) (response, error) {
	portfolios := byClass[r.Class]
	if portfolios == nil {
		return response{}, fmt.Errorf("no portfolio holds instruments of class %q", r.Class)
	}
	return response{portfolios}, nil
}
