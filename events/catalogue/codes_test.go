package catalogue_test

import (
	"encoding/json"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/catalogue"
)

// Consumers tell these events apart by number: a number is never given again.
var numbers = map[string]int{
	"storage/STORAGE_INSERT": 1000,
	"storage/STORAGE_UPDATE": 1001,
	"storage/STORAGE_DELETE": 1002,
	"auth/AUTH_LOGIN":        2000,
	"auth/AUTH_REGISTER":     2001,
}

func TestNumberedEventsCarryTheirNumberOnTheWire(t *testing.T) {
	for d := range catalogue.All.All() {
		entry, err := events.Stamp(t.Context(), d.Sample).Entry()
		if err != nil {
			t.Fatal(err)
		}
		var detail struct {
			Metadata struct{ Code int }
		}
		if err := json.Unmarshal([]byte(entry.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		if want := numbers[d.Type.String()]; detail.Metadata.Code != want || d.Code != want {
			t.Errorf("%s has the number %d on the wire and %d in the catalogue, want %d", d.Type, detail.Metadata.Code, d.Code, want)
		}
	}
}
