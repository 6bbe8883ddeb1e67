package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
)

// fakeBus takes what it is given, but for what refuse says.
type fakeBus struct {
	refuse func(i int) bool // the i-th event of all
	taken  []time.Time
	calls  int
}

func (b *fakeBus) PutEntries(_ context.Context, entries []events.Entry) error {
	b.calls++
	var failed []events.FailedEntry
	for _, e := range entries {
		b.taken = append(b.taken, time.Now())
		if b.refuse != nil && b.refuse(len(b.taken)-1) {
			failed = append(failed, events.FailedEntry{ID: e.ID, Type: e.Type, Code: "NotAuthorized", Err: errors.New("no")})
		}
	}
	if len(failed) > 0 {
		return &events.PublishError{Failed: failed}
	}
	return nil
}

func publish(ctx context.Context, bus *fakeBus, count int, rate float64) (ids map[string]int, notes string, err error) {
	var out bytes.Buffer
	ids = map[string]int{}
	p := publication{
		publisher: bus, event: savings.SampleWithdrawal(), count: count, rate: rate, notes: &out,
		published: func(e events.Entry) error { ids[e.ID]++; return nil },
	}
	err = p.run(ctx)
	return ids, out.String(), err
}

func TestPublishKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, begin := &fakeBus{}, time.Now()
		ids, notes, err := publish(t.Context(), bus, 100, 5)
		if err != nil || len(ids) != 100 {
			t.Fatal(len(ids), err)
		}
		for i, at := range bus.taken {
			want := time.Duration(i) * time.Second / 5
			if off := at.Sub(begin) - want; off.Abs() > time.Millisecond {
				t.Fatalf("event %d was sent after %v, want %v", i, at.Sub(begin), want)
			}
		}
		if !strings.Contains(notes, " of 100 events, 5 a second") {
			t.Errorf("progress is %q", notes)
		}
	})
}

func TestPublishGivesEachEventAnIDOfItsOwn(t *testing.T) {
	bus := &fakeBus{}
	ids, notes, err := publish(t.Context(), bus, 1200, 0)
	if err != nil || len(ids) != 1200 || notes != "" || bus.calls != 3 {
		t.Fatalf("%d ids, %d calls, notes %q, %v", len(ids), bus.calls, notes, err)
	}
}

func TestPublishListsWhatTheBusRefusedAndGoesOn(t *testing.T) {
	bus := &fakeBus{refuse: func(i int) bool { return i == 7 || i == 700 }}
	ids, notes, err := publish(t.Context(), bus, 1200, 0)
	if err == nil || err.Error() != "2 of 1200 events were not published" || len(ids) != 1198 {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	if strings.Count(notes, "not published: savings/SAVINGS_WITHDRAWAL ") != 2 || !strings.Contains(notes, "(NotAuthorized: no)") {
		t.Errorf("notes are %q", notes)
	}
}

func TestPublishEndsWhenNothingPasses(t *testing.T) {
	bus := &fakeBus{refuse: func(int) bool { return true }}
	ids, _, err := publish(t.Context(), bus, 5000, 0)
	if err == nil || len(ids) != 0 || bus.calls != 1 {
		t.Fatalf("%d ids, %d calls, %v", len(ids), bus.calls, err)
	}
}

func TestPublishThatIsInterruptedSaysHowFarItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		ids, _, err := publish(ctx, &fakeBus{}, 100, 1)
		if err == nil || err.Error() != "interrupted: 10 of 100 events were published" || len(ids) != 10 {
			t.Fatalf("%d ids, %v", len(ids), err)
		}
	})
}
