package eventbus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/eventbus"
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
	p := eventbus.New(b, "shop-test", eventbus.WithValidation(strict{"bad"}))
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
	if err := eventbus.New(b, "shop-test", eventbus.WithValidation(strict{"bad"})).Publish(t.Context(), e); err != nil {
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
	p := eventbus.New(b, "shop-test", eventbus.WithValidation(strict{"bad"}))
	if err := p.PutEntries(t.Context(), []events.Entry{entry}); err != nil || len(b.calls) != 1 {
		t.Errorf("got %v, sent %v", err, b.calls)
	}
}
