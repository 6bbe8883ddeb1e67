package outbox_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/outbox"
)

var types = []events.Type{
	{Source: "savings", Name: "SAVINGS_WITHDRAWAL"},
	{Source: "savings", Name: "FEE_CHARGED"},
	{Source: "trading", Name: "TRADE_ALLOCATED.v2"},
}

func TestAKeyBeginsWithItsType(t *testing.T) {
	for _, want := range types {
		key := outbox.Key(want, "01976e5a-8c00-7000-8000-000000000001")
		if !strings.HasPrefix(key, want.String()+"#") {
			t.Errorf("key is %s", key)
		}
		if got, err := outbox.TypeOf(key); err != nil || got != want {
			t.Errorf("%s: got %s, %v", key, got, err)
		}
	}
}

func TestAKeyWithoutATypeIsAnError(t *testing.T) {
	for _, key := range []string{"", "savings/FEE_CHARGED", "#1", "savings#1", "Savings/FEE#1"} {
		if got, err := outbox.TypeOf(key); err == nil {
			t.Errorf("%q: got %s", key, got)
		}
	}
}

func TestGroupingKeepsEveryEntryInMessagesOfOneTypeAndTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 100
		n := rapid.IntRange(0, 50).Draw(t, "n")
		entries := make([]events.Entry, n)
		for i := range entries {
			entries[i] = events.Entry{
				ID:     fmt.Sprint("id-", i),
				Type:   rapid.SampledFrom(types).Draw(t, "type"),
				Detail: make([]byte, rapid.IntRange(0, limit+20).Draw(t, "size")),
			}
		}
		got := map[events.Type][]string{}
		keys := map[string]bool{}
		for _, m := range outbox.Group(entries, limit) {
			size := 0
			typ := m.Entries[0].Type
			for _, e := range m.Entries {
				if e.Type != typ {
					t.Fatalf("message %s holds %s and %s", m.Key, typ, e.Type)
				}
				size += len(e.Detail)
				got[typ] = append(got[typ], e.ID)
			}
			if size > limit && len(m.Entries) > 1 {
				t.Fatalf("message %s holds %d bytes in %d entries", m.Key, size, len(m.Entries))
			}
			if m.Key != outbox.Key(typ, m.Entries[0].ID) || keys[m.Key] {
				t.Fatalf("key %s is not of its first entry, or taken", m.Key)
			}
			keys[m.Key] = true
		}
		want := map[events.Type][]string{}
		for _, e := range entries {
			want[e.Type] = append(want[e.Type], e.ID)
		}
		for _, typ := range types {
			if !slices.Equal(got[typ], want[typ]) {
				t.Fatalf("%s: got %v, want %v", typ, got[typ], want[typ])
			}
		}
	})
}

func TestSmallEventsOfATypeShareAMessage(t *testing.T) {
	entries := make([]events.Entry, 10)
	for i := range entries {
		entries[i] = events.Entry{ID: fmt.Sprint(i), Type: types[i%2], Detail: make([]byte, 20)}
	}
	if got := outbox.Group(entries, 100); len(got) != 2 {
		t.Errorf("%d messages, want one a type", len(got))
	}
}
