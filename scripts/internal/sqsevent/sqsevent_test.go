package sqsevent_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/scripts/internal/sqsevent"
)

// The runtime of the functions reads what this package writes, and this
// package what the runtime answers.
func TestAFunctionReceivesTheEventAndItsFailureIsRead(t *testing.T) {
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "penstock-local-withdrawal-fee")
	event := events.Stamp(t.Context(), savings.SampleWithdrawal())
	m, err := sqsevent.New(event, sqsevent.Queue{Partition: "aws", Region: "eu-west-1", Account: "111111111111", Name: "penstock-local-withdrawal-fee-withdrawals"})
	if err != nil {
		t.Fatal(err)
	}
	for _, failure := range []error{nil, errors.New("the ledger is closed")} {
		received := 0
		f := handler.New(handler.Each(func(_ context.Context, m *handler.Message[savings.Withdrawal]) error {
			received++
			if m.Event != savings.SampleWithdrawal() || m.Metadata.ID != event.ID || m.ReceiveCount != 1 {
				t.Errorf("received %+v", m)
			}
			return failure
		}))
		answer, err := f.Invoke(t.Context(), m.Payload)
		if err != nil || received != 1 {
			t.Fatalf("received %d times, %v", received, err)
		}
		var want []string
		if failure != nil {
			want = []string{m.ID}
		}
		if got := sqsevent.Failed(answer); !slices.Equal(got, want) {
			t.Errorf("failed is %v, want %v", got, want)
		}
	}
}

func TestAnAnswerThatIsNoBatchResponseNamesNoMessage(t *testing.T) {
	for _, answer := range []string{"", "null", `"done"`, "[1]", `{"batchItemFailures": []}`} {
		if got := sqsevent.Failed([]byte(answer)); len(got) > 0 {
			t.Errorf("%s: %v", answer, got)
		}
	}
}
