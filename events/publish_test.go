package events_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/penstock-dev/penstock/events"
)

func TestAPublishErrorNamesFiveEvents(t *testing.T) {
	var err events.PublishError
	for i := range 7 {
		err.Failed = append(err.Failed, events.FailedEntry{
			ID: fmt.Sprint("id-", i), Type: placed{}.EventType(), Code: "MalformedDetail", Err: errors.New("no JSON"),
		})
	}
	want := "7 events were not published:"
	for i := range 5 {
		want += fmt.Sprintf(" shop/ORDER_PLACED id-%d (MalformedDetail: no JSON);", i)
	}
	if got := err.Error(); got != want+" and 2 more" {
		t.Errorf("got %q", got)
	}
	err.Failed = err.Failed[:1]
	if got, want := err.Error(), "1 events were not published: shop/ORDER_PLACED id-0 (MalformedDetail: no JSON)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
