package handler_test

import (
	"context"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestAnEventOfALoopThatDoesNotEndGoesToTheDLQ(t *testing.T) {
	deep := func(depth int) events.Event {
		e := events.Stamp(t.Context(), savings.SampleWithdrawal())
		e.Depth = depth
		return e
	}
	var handled []int
	route := handler.Each(func(_ context.Context, m *withdrawal) error {
		handled = append(handled, m.Metadata.Depth)
		return nil
	}, handler.Concurrency(1))
	_, log := invokeWithQueue(t, &handlertest.Queue{}, route, deep(0), deep(handler.MaxDepth), deep(handler.MaxDepth+1))
	if len(handled) != 2 || handled[1] != handler.MaxDepth {
		t.Errorf("handled the depths %v, want 0 and %d", handled, handler.MaxDepth)
	}
	permanent := 0
	for _, line := range log.lines(t, "outcome") {
		if line["outcome"] == "permanent" {
			permanent++
			if reason := line["reason"].(string); !strings.Contains(reason, "chain of 33 others, and a function takes 32") {
				t.Errorf("reason %s", reason)
			}
		}
	}
	if permanent != 1 {
		t.Errorf("%d are permanent, want the deepest alone", permanent)
	}
}
