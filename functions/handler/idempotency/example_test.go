package idempotency_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/idempotency"
)

// test stands for a *testing.T in an example.
type test struct{ testing.TB }

func (test) Helper()                           {}
func (test) Context() context.Context          { return context.Background() }
func (test) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A transfer is made once for each transaction, however often it is announced.
func ExampleKey() {
	transfer := func(_ context.Context, m *handler.Message[savings.Withdrawal]) error {
		fmt.Println("transfer", m.Event.TransactionID)
		return nil
	}
	byTransaction := idempotency.Key(func(m *handler.Message[savings.Withdrawal]) string { return m.Event.TransactionID })
	route := handler.Each(transfer,
		handler.Concurrency(1),
		handler.Use(idempotency.New(new(idempotency.Memory), byTransaction))) // deployed, a DynamoDB

	t := test{} // in a test, its own *testing.T
	a, b := events.Stamp(t.Context(), savings.SampleWithdrawal()), events.Stamp(t.Context(), savings.SampleWithdrawal())
	for _, o := range handlertest.New(t, route).Send(a, b).Outcomes {
		fmt.Println(o.Outcome)
	}
	// Output:
	// transfer TX-77120
	// handled
	// duplicate
}
