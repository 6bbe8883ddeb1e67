package events_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
)

var cause = events.Metadata{
	ID: "01976e5a-8c00-7000-8000-000000000001", CorrelationID: "c", UserID: "u", OrganisationID: "o", Traceparent: "t",
	OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC), Depth: 2,
}

func TestWhatAnEventCausesContinuesItsOrigin(t *testing.T) {
	got := events.Stamp(events.WithCause(t.Context(), cause, "f/s/1"), placed{})
	want := events.Metadata{
		ID: got.ID, CorrelationID: "c", CausationID: cause.ID, UserID: "u", OrganisationID: "o", Traceparent: "t",
		OccurredAt: got.OccurredAt, Depth: 3,
	}
	if got.Metadata != want {
		t.Errorf("got %+v, want %+v", got.Metadata, want)
	}
}

func TestHandledAgainTheSameCodeMakesTheSameEvents(t *testing.T) {
	// Three events of two types, in an order that does not matter between
	// the types.
	handle := func(key string, batch ...events.Event) map[string]string {
		ctx := events.WithCause(t.Context(), cause, key)
		ids := map[string]string{}
		for _, e := range batch {
			stamped := events.Stamp(ctx, e)
			if other, taken := ids[stamped.ID]; taken {
				t.Errorf("%s and %s have the same id", other, e.EventType())
			}
			ids[stamped.ID] = e.EventType().Name
		}
		return ids
	}
	first := handle("f/s/1", placed{}, placed{}, shipped{})
	second := handle("f/s/1", placed{}, shipped{}, placed{})
	for id := range second {
		if first[id] != second[id] {
			t.Errorf("the second time, id %s is new", id)
		}
	}
	for id := range handle("f/other/1", placed{}, placed{}, shipped{}) {
		if first[id] != "" {
			t.Errorf("another subscription makes the same id %s", id)
		}
	}
}

func TestACauseCountsForSeveralGoroutines(t *testing.T) {
	ctx := events.WithCause(t.Context(), cause, "f/s/1")
	const n = 50
	ids := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { ids[i] = events.Stamp(ctx, placed{}).ID })
	}
	all.Wait()
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if len(seen) != n {
		t.Errorf("%d ids for %d events", len(seen), n)
	}
}

func TestADerivedIdIsAUUIDv7OfItsSourcesTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "ms"))
		source := rapid.String().Draw(t, "source")
		index := rapid.IntRange(0, 1000).Draw(t, "index")
		id := events.DeriveID(at, source, placed{}.EventType(), index)

		parsed, err := uuid.Parse(id)
		if err != nil || parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 {
			t.Fatalf("%s is not a UUIDv7: %v", id, err)
		}
		var ms int64
		for _, b := range parsed[:6] {
			ms = ms<<8 | int64(b)
		}
		if ms != at.UnixMilli() {
			t.Fatalf("%s is of %d ms, want %d", id, ms, at.UnixMilli())
		}
		if again := events.DeriveID(at, source, placed{}.EventType(), index); again != id {
			t.Fatalf("got %s and then %s", id, again)
		}
		for _, other := range []string{
			events.DeriveID(at, source, placed{}.EventType(), index+1),
			events.DeriveID(at, source, shipped{}.EventType(), index),
			events.DeriveID(at, source+"s", events.Type{Source: "hop", Name: "ORDER_PLACED"}, index),
			events.DeriveID(at.Add(-time.Millisecond), source, placed{}.EventType(), index),
		} {
			if other == id {
				t.Fatalf("two events have the id %s", id)
			}
		}
	})
}

func TestTheEffectsOfAnEventAreCountedPastTheFirstFifty(t *testing.T) {
	ctx := events.WithCause(t.Context(), events.Metadata{ID: "a", OccurredAt: time.UnixMilli(1)}, "f/s/a")
	var ids []string
	for range 52 {
		ids = append(ids, events.Stamp(ctx, placed{}).ID)
	}
	first, more := events.Effects(ctx)
	if len(first) != 50 || more != 2 {
		t.Fatalf("%d effects and %d more, want 50 and 2", len(first), more)
	}
	for i, e := range first {
		if want := (events.Effect{Type: placed{}.EventType(), ID: ids[i]}); e != want {
			t.Errorf("effect %d is %v, want %v", i, e, want)
		}
	}
	if first, more := events.Effects(t.Context()); len(first) > 0 || more > 0 {
		t.Errorf("without a cause there are %v and %d more", first, more)
	}
}
