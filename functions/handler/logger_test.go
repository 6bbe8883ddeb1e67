package handler_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestTheLoggerNamesTheEvent(t *testing.T) {
	for form, route := range map[string]handler.Route{
		"Each": handler.Each(func(ctx context.Context, _ *withdrawal) error {
			handler.Logger(ctx).Info("here", "mine", 1)
			return nil
		}),
		"Batch": handler.Batch(func(ctx context.Context, messages []*withdrawal) error {
			handler.Logger(messages[0].Context(ctx)).Info("here", "mine", 1)
			return nil
		}),
	} {
		t.Run(form, func(t *testing.T) {
			e := events.Stamp(t.Context(), account("A"))
			_, log := run(t, t.Context(), Payload(t, queue, e), route)
			got := log.lines(t, "here")[0]
			for name, want := range map[string]any{
				"mine": 1.0, "id": e.ID, "correlationId": e.CorrelationID, "messageId": MessageID(0),
				"eventKey": "withdrawal-fee/withdrawals/" + e.ID, "requestId": "request-1", "function": "withdrawal-fee",
			} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
		})
	}
}

func TestTheLoggerOfABatchNamesTheInvocationAlone(t *testing.T) {
	_, log := run(t, t.Context(), Payload(t, queue, account("A")),
		handler.Batch(func(ctx context.Context, _ []*withdrawal) error {
			handler.Logger(ctx).Info("here")
			return nil
		}))
	got := log.lines(t, "here")[0]
	if got["requestId"] != "request-1" || got["id"] != nil {
		t.Errorf("got %v", got)
	}
}

func TestOutsideOfAnInvocationTheLoggerIsTheDefault(t *testing.T) {
	if handler.Logger(t.Context()) != slog.Default() {
		t.Error("it is another")
	}
}
