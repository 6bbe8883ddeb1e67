package events_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/events"
)

func TestAStampIsAnIdATimeAndTheOriginOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := events.WithOrigin(t.Context(), events.Origin{
			CorrelationID: "c", UserID: "u", OrganisationID: "o", Traceparent: "t",
		})
		got := events.Stamp(ctx, placed{})
		if id := uuid.MustParse(got.ID); id.Version() != 7 {
			t.Errorf("id %s is not a UUIDv7", got.ID)
		}
		want := events.Metadata{
			ID: got.ID, CorrelationID: "c", UserID: "u", OrganisationID: "o", Traceparent: "t", OccurredAt: time.Now().UTC(),
		}
		if got.Metadata != want {
			t.Errorf("got %+v, want %+v", got.Metadata, want)
		}
		if other := events.Stamp(ctx, placed{}); other.ID == got.ID {
			t.Errorf("two events have the id %s", got.ID)
		}
	})
}

func TestAnEventAtTheEdgeIsItsOwnCorrelation(t *testing.T) {
	got := events.Stamp(t.Context(), placed{})
	if got.CorrelationID != got.ID || got.CausationID != "" {
		t.Errorf("got %+v", got.Metadata)
	}
}

func TestAStampedEventKeepsItsStamp(t *testing.T) {
	first := events.Stamp(t.Context(), placed{"O-1"})
	ctx := events.WithOrigin(t.Context(), events.Origin{CorrelationID: "another"})
	if got := events.Stamp(ctx, first); got != first {
		t.Errorf("got %+v, want %+v", got, first)
	}
}

func TestAnEntryIsMetadataAndData(t *testing.T) {
	e := events.Envelope{
		Metadata: events.Metadata{ID: "i", CorrelationID: "c", OccurredAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)},
		Event:    placed{"O-1"},
	}
	got, err := e.Entry()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"metadata":{"id":"i","correlationId":"c","occurredAt":"2026-01-02T03:04:05.000006Z"},"data":{"order":"O-1"}}`; string(got.Detail) != want {
		t.Errorf("got %s, want %s", got.Detail, want)
	}
	if got.ID != "i" || got.Type != e.EventType() {
		t.Errorf("got %s %s", got.Type, got.ID)
	}
}

func TestMetadataComesBackFromJSONAsItWas(t *testing.T) {
	want := events.Metadata{
		ID: "i", CorrelationID: "c", CausationID: "b", UserID: "u", OrganisationID: "o",
		OccurredAt: time.Now().UTC().Round(0), Traceparent: "t", Code: 1000, Depth: 3,
	}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got events.Metadata
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// odd is an event of any type and data.
type odd struct {
	Type events.Type `json:"-"`
	Data any         `json:"data"`
}

func (o odd) EventType() events.Type { return o.Type }
func (o odd) Schema() events.Event   { return o }

func TestWhatCannotBePublishedIsRefused(t *testing.T) {
	fine := events.Type{Source: "shop", Name: "ORDER_PLACED"}
	for what, c := range map[string]struct {
		event events.Event
		want  string
	}{
		"an invalid type": {odd{Type: events.Type{Source: "shop"}}, `name ""`},
		"not JSON":        {odd{fine, math.Inf(1)}, "event shop/ORDER_PLACED"},
		"too large":       {odd{fine, strings.Repeat("x", events.MaxEntryBytes)}, "the bus takes at most 983040: publish a reference"},
		"an unmade stamp": {events.Envelope{Event: placed{}}, "event shop/ORDER_PLACED has no id: make envelopes with Stamp"},
	} {
		t.Run(what, func(t *testing.T) {
			entries, err := events.StampAll(t.Context(), []events.Event{placed{}, c.event})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if entries != nil {
				t.Errorf("the rest of the batch was returned: %v", entries)
			}
		})
	}
}

func TestTheLargestEntryIsWhatStillFits(t *testing.T) {
	of := func(n int) error {
		_, err := events.Envelope{
			Metadata: events.Metadata{ID: "i", CorrelationID: "c"},
			Event:    placed{strings.Repeat("x", n)},
		}.Entry()
		return err
	}
	empty, err := events.Envelope{Metadata: events.Metadata{ID: "i", CorrelationID: "c"}, Event: placed{}}.Entry()
	if err != nil {
		t.Fatal(err)
	}
	room := events.MaxEntryBytes - len("shop") - len("ORDER_PLACED") - len(empty.Detail)
	if err := of(room); err != nil {
		t.Errorf("an event of the limit is refused: %v", err)
	}
	if of(room+1) == nil {
		t.Error("an event above the limit is accepted")
	}
}

func TestOriginOfABareContextIsZero(t *testing.T) {
	if got := events.OriginFrom(context.Background()); got != (events.Origin{}) {
		t.Errorf("got %+v", got)
	}
}
