package events_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

func TestAStamperTakesTheTimeAndTheIdsItIsGiven(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, time.FixedZone("", 3600))
	n := 0
	s := events.Stamper{Now: func() time.Time { return at }, NewID: func() string { n++; return fmt.Sprint("id-", n) }}
	first, second := s.Stamp(t.Context(), placed{}), s.Stamp(t.Context(), placed{})
	if first.ID != "id-1" || second.ID != "id-2" || second.CorrelationID != "id-2" {
		t.Errorf("got ids %s and %s", first.ID, second.ID)
	}
	if first.OccurredAt != at.UTC() {
		t.Errorf("occurred at %v", first.OccurredAt)
	}
	cause := events.WithCause(t.Context(), first.Metadata, "f/s/1")
	if caused := s.Stamp(cause, placed{}); caused.ID == "id-3" {
		t.Error("an event that has a cause is not named after it")
	}
	if again := s.Stamp(t.Context(), first); again != first {
		t.Errorf("stamped again: %+v", again)
	}
}
