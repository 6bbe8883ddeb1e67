package main

import (
	"context"
	"errors"

	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
)

// record writes one log line for each portfolio's part of each trade.
func record(ctx context.Context, trades []*handler.Message[trading.TradeAllocated]) error {
	var failed handler.Failures
	for _, m := range trades {
		failed.Add(m, recordTrade(m.Context(ctx), m.Event))
	}
	return failed.Err()
}

func recordTrade(ctx context.Context, trade trading.TradeAllocated) error {
	if len(trade.Allocations) == 0 {
		return handler.Permanent(errors.New("trade " + trade.TradeID + " has no allocations: want at least one"))
	}
	log := handler.Logger(ctx)
	for _, a := range trade.Allocations {
		log.InfoContext(ctx, "allocation",
			"tradeId", trade.TradeID,
			"instrument", trade.Instrument,
			"side", trade.Side,
			"executedAt", trade.ExecutedAt,
			"portfolioId", a.PortfolioID,
			"quantity", a.Quantity,
		)
	}
	return nil
}
