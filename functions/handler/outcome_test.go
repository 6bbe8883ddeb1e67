package handler_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

func TestEveryEventLeavesAnOutcomeRecord(t *testing.T) {
	good := events.Stamp(t.Context(), account("good"))
	bad := events.Stamp(t.Context(), account("bad"))
	_, log := run(t, t.Context(), Payload(t, queueName, good, bad), handler.Each(func(_ context.Context, m *withdrawal) error {
		if m.Event.AccountID == "bad" {
			return errors.New("no such account")
		}
		return nil
	}, handler.Concurrency(1)))

	lines := log.lines(t, "outcome")
	if len(lines) != 2 {
		t.Fatalf("%d outcome records, want 2", len(lines))
	}
	for i, want := range []line{
		{"level": "INFO", "id": good.ID, "outcome": "handled", "reason": ""},
		{"level": "WARN", "id": bad.ID, "outcome": "failed", "reason": "no such account"},
	} {
		id := want["id"].(string)
		maps.Copy(want, line{
			"msg":           "outcome",
			"requestId":     "request-1",
			"function":      "withdrawal-fee",
			"eventKey":      "withdrawal-fee/withdrawals/" + id,
			"type":          "savings/SAVINGS_WITHDRAWAL",
			"subscription":  "withdrawals",
			"messageId":     MessageID(i),
			"attempt":       1.0,
			"correlationId": id, // of an event at the edge
		})
		got := lines[i]
		if _, err := time.Parse(time.RFC3339Nano, got["time"].(string)); err != nil {
			t.Error(err)
		}
		if ms, ok := got["durationMs"].(float64); !ok || ms < 0 {
			t.Errorf("durationMs is %v", got["durationMs"])
		}
		delete(got, "time")
		delete(got, "durationMs")
		if !maps.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

func TestAnOutcomeTellsHowLongItsOwnEventTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, log := run(t, t.Context(), Payload(t, queueName, account("quick"), account("slow")),
			handler.Each(func(ctx context.Context, m *withdrawal) error {
				if m.Event.AccountID == "slow" {
					<-time.After(1500 * time.Microsecond)
				}
				return nil
			}))
		for _, o := range log.lines(t, "outcome") {
			want := 0.0
			if o["messageId"] == MessageID(1) {
				want = 1.5
			}
			if o["durationMs"] != want {
				t.Errorf("message %s took %v ms, want %v", o["messageId"], o["durationMs"], want)
			}
		}
	})
}

func TestAnOutcomeOfWhatIsNoEventHasEmptyAttributes(t *testing.T) {
	_, log := run(t, t.Context(), PayloadOf(t, queueName, "garbage"),
		handler.Each(func(context.Context, *withdrawal) error { return nil }))
	got := log.lines(t, "outcome")[0]
	for _, name := range []string{"eventKey", "id", "type", "correlationId"} {
		if got[name] != "" {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if got["messageId"] != MessageID(0) || got["subscription"] != "withdrawals" {
		t.Errorf("got %v", got)
	}
}
