package handlertest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventstest"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// fees is a function: its publisher is a field, so that a test gives it another.
type fees struct{ publisher events.Publisher }

func (f fees) charge(ctx context.Context, m *handler.Message[savings.Withdrawal]) error {
	if m.Event.Amount <= 0 {
		return handler.Permanent(errors.New("the amount must be positive"))
	}
	return f.publisher.Publish(ctx, savings.SampleFeeCharged(func(e *savings.FeeCharged) {
		e.AccountID, e.WithdrawalID = m.Event.AccountID, m.Metadata.ID
	}))
}

func Example() {
	t := test{} // in a test, its own *testing.T
	p := eventstest.NewPublisher(t)
	withdrawal := events.Stamp(context.Background(), savings.SampleWithdrawal())

	result := handlertest.New(t, handler.Each(fees{p}.charge)).Send(
		withdrawal,
		savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = -1 }),
	)

	result.RequireOutcomes("handled", "permanent")
	result.RequireReason(1, "must be positive")
	ofIt := func(e savings.FeeCharged) bool { return e.WithdrawalID == withdrawal.ID }
	fmt.Println(len(eventstest.RequirePublished(t, p, ofIt)), "fee")
	fmt.Println(p.Published()[0].CausationID == withdrawal.ID)
	fmt.Println(result.Outcomes[1].Reason)
	// Output:
	// 1 fee
	// true
	// the amount must be positive
}
