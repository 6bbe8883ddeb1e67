package handler_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// replayed is the body of a message for an event that comes from a replay.
func replayed(t *testing.T, e events.Event, replay string) string {
	t.Helper()
	var body map[string]json.RawMessage
	if err := json.Unmarshal([]byte(Body(t, e)), &body); err != nil {
		t.Fatal(err)
	}
	body["replay-name"], _ = json.Marshal(replay)
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAReplayIsPartOfTheEventKeyOnlyIfItMeansToHandleEventsAnew(t *testing.T) {
	e := events.Stamp(t.Context(), account("A"))
	key := "withdrawal-fee/withdrawals/" + e.ID
	var got, replays []string
	payload := PayloadOf(t, queueName, Body(t, e), replayed(t, e, "monday"), replayed(t, e, "monday_again"), Body(t, e))
	_, log := run(t, t.Context(), payload, handler.Each(func(_ context.Context, m *withdrawal) error {
		got, replays = append(got, m.EventKey()), append(replays, m.Replay)
		return nil
	}, handler.Concurrency(1)))
	want := []string{key, key, key + "/monday_again", key}
	if !slices.Equal(got, want) {
		t.Errorf("the event keys are\n%v, want\n%v", got, want)
	}
	if want := []string{"", "monday", "monday_again", ""}; !slices.Equal(replays, want) {
		t.Errorf("the replays are %q, want %q", replays, want)
	}
	for i, o := range log.lines(t, "outcome") {
		if o["eventKey"] != want[i] {
			t.Errorf("the outcome record of message %d is of %v, want %v", i, o["eventKey"], want[i])
		}
	}
}

func TestTheKeyOfANotificationHasItsTemplateAndThenTheReplay(t *testing.T) {
	e := events.Stamp(t.Context(), withdrawalOf(1))
	var got []string
	route := handler.Notifications(func(_ context.Context, n *handler.Notification) error {
		got = append(got, n.EventKey())
		return nil
	}, handler.Templates([]byte(notificationFile)))
	run(t, t.Context(), PayloadOf(t, queueName, replayed(t, e, "monday_again")), route)
	if want := []string{"withdrawal-fee/withdrawals/" + e.ID + "/every withdrawal/monday_again"}; !slices.Equal(got, want) {
		t.Errorf("the event keys are %q, want %q", got, want)
	}
}

func TestWhatIsHandledAnewCausesEventsOfItsOwn(t *testing.T) {
	e := events.Stamp(t.Context(), account("A"))
	ids := map[string]bool{}
	payload := PayloadOf(t, queueName, Body(t, e), replayed(t, e, "one_again"), replayed(t, e, "two_again"))
	run(t, t.Context(), payload, handler.Each(func(ctx context.Context, _ *withdrawal) error {
		ids[events.Stamp(ctx, savings.SampleFeeCharged()).ID] = true
		return nil
	}, handler.Concurrency(1)))
	if len(ids) != 3 {
		t.Errorf("three handlings made %d events", len(ids))
	}
}

func TestAnOutcomeNamesTheEventsThatItsOwnHasCaused(t *testing.T) {
	var made []string
	stamp := func(ctx context.Context) {
		e := events.Stamp(ctx, savings.SampleFeeCharged())
		made = append(made, "savings/FEE_CHARGED "+e.ID)
	}
	_, log := run(t, t.Context(), Payload(t, queueName, account("A"), account("B")), handler.Each(func(ctx context.Context, m *withdrawal) error {
		if m.Event.AccountID == "A" {
			stamp(ctx)
			stamp(m.Context(ctx))
		}
		return nil
	}, handler.Concurrency(1)))
	lines := log.lines(t, "outcome")
	if got, want := lines[0]["caused"], strings.Join(made, ", "); got != want {
		t.Errorf("caused %v, want %v", got, want)
	}
	if got, there := lines[1]["caused"]; there {
		t.Errorf("the other one caused %v", got)
	}
}

func TestAnOutcomeNamesWhatNotificationsHaveCaused(t *testing.T) {
	var made []string
	route := handler.Notifications(func(ctx context.Context, _ *handler.Notification) error {
		made = append(made, "savings/FEE_CHARGED "+events.Stamp(ctx, savings.SampleFeeCharged()).ID)
		return nil
	}, handler.Templates([]byte(notificationFile)))
	_, log := run(t, t.Context(), Payload(t, queueName, withdrawalOf(2000)), route)
	if got := log.lines(t, "outcome")[0]["caused"]; len(made) < 2 || got != strings.Join(made, ", ") {
		t.Errorf("caused %v, want %v", got, made)
	}
}
