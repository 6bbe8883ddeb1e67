package eventstest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventstest"
	"github.com/penstock-dev/penstock/events/savings"
)

// charge is code under test: it announces a fee in the transaction that its
// session belongs to.
func charge(ctx context.Context, session events.AfterCommit, w savings.Withdrawal) error {
	return session.PublishAfterCommit(ctx, savings.SampleFeeCharged(func(f *savings.FeeCharged) {
		f.AccountID = w.AccountID
	}))
}

func Example() {
	t := new(testing.T) // in a test, its own
	p := eventstest.NewPublisher(t, eventstest.FixedAt(time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)))

	err := p.InTx(context.Background(), func(s *eventstest.Session) error {
		return charge(context.Background(), s, savings.SampleWithdrawal())
	})
	if err != nil {
		panic(err)
	}

	toAccount := func(f savings.FeeCharged) bool { return f.AccountID == "ACC-1001" }
	fees := eventstest.RequirePublished(t, p, toAccount)
	fmt.Println(len(fees), fees[0].AccountID)
	fmt.Println(p.Published()[0].ID == eventstest.ID(1), p.Published()[0].OccurredAt.Format(time.RFC3339))
	eventstest.RequireNone[savings.Withdrawal](t, p)
	// Output:
	// 1 ACC-1001
	// true 2026-03-02T09:30:00Z
}
