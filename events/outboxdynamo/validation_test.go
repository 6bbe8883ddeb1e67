package outboxdynamo_test

import (
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outboxdynamo"
	"github.com/penstock-dev/penstock/events/savings"
)

// onlyFees finds fault with everything but fees.
type onlyFees struct{}

func (onlyFees) Validate(t events.Type, _ []byte) error {
	if t == (savings.FeeCharged{}).EventType() {
		return nil
	}
	return errors.New("amount: too small")
}

func TestAnInvalidEventIsRefusedWhereItIsPublished(t *testing.T) {
	checked := config
	checked.Validator = onlyFees{}
	db := &database{}
	err := outboxdynamo.New(db, checked).InTx(t.Context(), func(s *outboxdynamo.Session) error {
		if err := s.PublishAfterCommit(t.Context(), savings.SampleFeeCharged()); err != nil {
			t.Errorf("a valid event: %v", err)
		}
		return s.PublishAfterCommit(t.Context(), savings.SampleWithdrawal())
	})
	var invalid *events.InvalidError
	if !errors.As(err, &invalid) || invalid.Type != (savings.Withdrawal{}).EventType() {
		t.Errorf("got %v", err)
	}
	if len(db.transactions) != 0 {
		t.Errorf("written: %v", db.transactions)
	}
}
