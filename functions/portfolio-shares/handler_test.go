package main

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/penstock-dev/penstock/events/trading"
)

func TestSharesAreThoseOfTheClassAndMakeAWhole(t *testing.T) {
	for class := range byClass {
		got, err := shares(request{class})
		if err != nil {
			t.Fatal(err)
		}
		whole := 0.0
		for _, s := range got.Portfolios {
			whole += s.Percent
		}
		if whole != 100 {
			t.Errorf("%s: %v per cent in all, want 100", class, whole)
		}
	}
	if _, err := shares(request{trading.ClassBond}); err == nil || err.Error() != `no portfolio holds instruments of class "BOND"` {
		t.Errorf("a class that nobody holds: %v", err)
	}
}

func TestTheAnswerForTryingPipelinesIsARealOne(t *testing.T) {
	text, err := os.ReadFile("testdata/share.json")
	if err != nil {
		t.Fatal(err)
	}
	var stub response
	if err := json.Unmarshal(text, &stub); err != nil {
		t.Fatal(err)
	}
	if got, err := shares(request{trading.ClassShare}); err != nil || !reflect.DeepEqual(got, stub) {
		t.Errorf("the function answers %v, %v; the file has %v", got, err, stub)
	}
}
