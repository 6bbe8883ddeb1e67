package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/events"
)

// strict is a Validator that finds fault with data that has a word in it.
type strict struct{ word string }

var errWord = errors.New("orderId: has the word")

func (s strict) Validate(t events.Type, data []byte) error {
	if t != (placed{}).EventType() {
		return fmt.Errorf("no schema of %s", t)
	}
	if strings.Contains(string(data), s.word) {
		return errWord
	}
	return nil
}

func TestAnInvalidEventIsRefusedAndNothingOfItsBatchIsSent(t *testing.T) {
	b := &bus{}
	p := events.NewBusPublisher(b, "shop-test", events.WithValidation(strict{"bad"}))
	bad := events.Stamp(t.Context(), placed{"bad"})
	err := p.PublishBatch(t.Context(), []events.Event{placed{"good"}, bad})
	var invalid *events.InvalidError
	if !errors.As(err, &invalid) || invalid.ID != bad.ID || invalid.Type != bad.EventType() || !errors.Is(err, errWord) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{bad.EventType().String(), bad.ID, errWord.Error()} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if len(b.calls) != 0 {
		t.Errorf("sent %v", b.calls)
	}
}

func TestAValidEventIsSentAsItWouldBeUnchecked(t *testing.T) {
	e := events.Stamp(t.Context(), placed{"good <&>"})
	want, err := e.Entry()
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{}
	if err := events.NewBusPublisher(b, "shop-test", events.WithValidation(strict{"bad"})).Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(b.calls); got != fmt.Sprintf("[[%s]]", want.Detail) {
		t.Errorf("got %s, want %s", got, want.Detail)
	}
}

func TestWhatIsAlreadyEncodedIsNotCheckedAgain(t *testing.T) {
	entry, err := events.Stamp(t.Context(), placed{"bad"}).Entry()
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{}
	p := events.NewBusPublisher(b, "shop-test", events.WithValidation(strict{"bad"}))
	if err := p.PutEntries(t.Context(), []events.Entry{entry}); err != nil || len(b.calls) != 1 {
		t.Errorf("got %v, sent %v", err, b.calls)
	}
}

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
