package handler_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/penstock-dev/penstock/functions/handler"
)

func TestFailuresNameFiveMessages(t *testing.T) {
	var failed handler.Failures
	if got := failed.Error(); got != "0 messages failed" {
		t.Errorf("got %q", got)
	}
	failed.Add(&handler.Record{MessageID: "m0"}, errors.New("why"))
	if got := failed.Error(); got != "1 messages failed: m0: why" {
		t.Errorf("got %q", got)
	}
	for i := range 7 {
		failed.Add(&handler.Record{MessageID: fmt.Sprint("m", i)}, errors.New("later"))
	}
	want := "7 messages failed: m0: why; m1: later; m2: later; m3: later; m4: later; and 2 more"
	if got := failed.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnItemFailsOnlyForAnError(t *testing.T) {
	var failed handler.Failures
	m := &withdrawal{MessageID: "m"}
	failed.Add(m, nil)
	if failed.Of(m) != nil || failed.Err() != nil {
		t.Errorf("failed: %v", failed.Err())
	}
	var none *handler.Failures
	if none.Of(m) != nil || none.Err() != nil {
		t.Error("nil failures have failures")
	}
}
