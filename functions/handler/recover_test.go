package handler_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func explode() { panic("out of cheese") }

func TestAPanicFailsItsEventAloneAndLogsItsStack(t *testing.T) {
	bad := events.Stamp(t.Context(), account("bad"))
	response, log := run(t, t.Context(), Payload(t, queueName, account("A"), bad, account("B")),
		handler.Each(func(_ context.Context, m *withdrawal) error {
			if m.Event.AccountID == "bad" {
				explode()
			}
			return nil
		}))
	if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(1)}) {
		t.Errorf("failed: %v", failed)
	}
	if got := log.outcomes(t)[MessageID(1)]; got != [2]string{"failed", "panic: out of cheese"} {
		t.Errorf("outcome is %q", got)
	}
	lines := log.lines(t, "panic")
	if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["id"] != bad.ID || lines[0]["requestId"] != "request-1" {
		t.Fatalf("logged %v", lines)
	}
	if stack := lines[0]["stack"].(string); !strings.Contains(stack, "handler_test.explode") {
		t.Errorf("the stack does not lead to the panic: %s", stack)
	}
}

func TestAPanicInAMiddlewareIsCaughtToo(t *testing.T) {
	response, _ := run(t, t.Context(), Payload(t, queueName, account("A")),
		handler.Each(func(context.Context, *withdrawal) error { return nil },
			handler.Use(func(handler.Handler) handler.Handler {
				return handler.HandlerFunc(func(context.Context, []*handler.Record) *handler.Failures { panic("middleware") })
			})))
	if failed := Failed(t, response); len(failed) != 1 {
		t.Errorf("failed: %v", failed)
	}
}
