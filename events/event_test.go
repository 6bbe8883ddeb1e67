package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
)

// placed is the event type of this package's tests.
type placed struct {
	Order string `json:"order"`
}

func (placed) EventType() events.Type { return events.Type{Source: "shop", Name: "ORDER_PLACED"} }
func (placed) Schema() events.Event   { return placed{Order: "O-1"} }

// shipped is another.
type shipped struct{}

func (shipped) EventType() events.Type { return events.Type{Source: "shop", Name: "ORDER_SHIPPED"} }
func (shipped) Schema() events.Event   { return shipped{} }

func TestATypeIsWrittenAsSourceAndName(t *testing.T) {
	for _, s := range []string{"savings/SAVINGS_WITHDRAWAL", "a/B", "core.cards/Card_Issued.v2", "x-1/y.v10", "contact/CONTACT", "com-1/COM10"} {
		got, err := events.ParseType(s)
		if err != nil || got.String() != s {
			t.Errorf("%s: got %s, %v", s, got, err)
		}
		text, err := json.Marshal(got)
		if err != nil || string(text) != `"`+s+`"` {
			t.Errorf("%s: JSON is %s, %v", s, text, err)
		}
		var again events.Type
		if err := json.Unmarshal(text, &again); err != nil || again != got {
			t.Errorf("%s: from JSON %s, %v", s, again, err)
		}
	}
}

func TestAnInvalidTypeSaysWhatIsWrong(t *testing.T) {
	for s, want := range map[string]string{
		"":                                    "want source/NAME",
		"savings":                             "want source/NAME",
		"/NAME":                               `source ""`,
		"Savings/NAME":                        `source "Savings"`,
		"savings./NAME":                       `source "savings."`,
		"aws.s3/NAME":                         "reserved by EventBridge",
		"aws/NAME":                            "reserved by EventBridge",
		"savings/":                            `name ""`,
		"savings/A B":                         `name "A B"`,
		"savings/A/B":                         `name "A/B"`,
		"savings/A.v":                         `name "A.v"`,
		"con/A":                               "cannot be files on Windows",
		"aux.core/A":                          "cannot be files on Windows",
		"savings/NUL":                         "cannot be files on Windows",
		"savings/Com1.v2":                     "cannot be files on Windows",
		"savings/" + strings.Repeat("A", 129): "at most 128",
		strings.Repeat("a", 129) + "/A":       "at most 128",
	} {
		if _, err := events.ParseType(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want an error with %q", s, err, want)
		}
	}
}
