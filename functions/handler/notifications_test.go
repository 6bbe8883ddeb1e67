package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
)

const notificationFile = `[
  {"name": "every withdrawal", "event": "savings/SAVINGS_WITHDRAWAL", "kind": "text", "body": "{data.amount} {data.currency} ({metadata.userId})"},
  {"name": "large, as JSON", "event": "savings/SAVINGS_WITHDRAWAL", "condition": {"data": {"amount": [{"numeric": [">", 1000]}]}}, "kind": "json", "body": "{\"account\": {data.accountId}}"},
  {"name": "off", "event": "savings/SAVINGS_WITHDRAWAL", "kind": "text", "body": "never", "active": false},
  {"name": "a trade", "event": "trading/TRADE_ALLOCATED", "kind": "xml", "body": "<trade id=\"{data.tradeId}\"/>"}
]`

// notified collects notifications.
type notified struct {
	mu   sync.Mutex
	all  []handler.Notification
	keys []string
	fail func(*handler.Notification) error
}

func (n *notified) notify(_ context.Context, m *handler.Notification) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, *m)
	n.keys = append(n.keys, m.EventKey())
	if n.fail != nil {
		return n.fail(m)
	}
	return nil
}

// invokeNotifications runs the function on a batch; it returns the ids of failed
// messages and what was logged.
func invokeNotifications(t *testing.T, routes []handler.Route, queue string, batch ...events.Event) (failed []string, log string) {
	t.Helper()
	t.Setenv("PENSTOCK_FUNCTION", "notifier")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "penstock-test-notifier")
	var out strings.Builder
	f := handler.New(routes...).WithLogger(slog.New(slog.NewJSONHandler(&out, nil)))
	response, err := f.Invoke(t.Context(), handlertest.Payload(t, "penstock-test-notifier-"+queue, batch...))
	if err != nil {
		t.Fatal(err)
	}
	return handlertest.Failed(t, response), out.String()
}

func withdrawalOf(amount float64) events.Event {
	return savings.SampleWithdrawal(func(w *savings.Withdrawal) { w.Amount = amount })
}

func TestAnEventMakesANotificationForEachActiveTemplateWhoseConditionHolds(t *testing.T) {
	n := &notified{}
	route := handler.Notifications(n.notify, handler.Templates([]byte(notificationFile)), handler.Concurrency(1))
	large := events.Stamp(t.Context(), withdrawalOf(2000))
	failed, _ := invokeNotifications(t, []handler.Route{route}, "all", withdrawalOf(10), large, trading.SampleTradeAllocated(), savings.SampleFeeCharged())
	if len(failed) > 0 {
		t.Fatalf("failed: %v", failed)
	}
	var got []string
	for _, one := range n.all {
		got = append(got, one.Template+": "+one.Body)
	}
	want := []string{"every withdrawal: 10 EUR ()", "every withdrawal: 2000 EUR ()", `large, as JSON: {"account": "ACC-1001"}`, `a trade: <trade id="TRD-5501"/>`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if want := "notifier/all/" + large.ID + "/large, as JSON"; n.keys[2] != want {
		t.Errorf("the key is %q, want %q", n.keys[2], want)
	}
	one := n.all[2]
	if one.ContentType != "application/json; charset=UTF-8" || one.Type != large.EventType() || one.Subscription != "all" || one.ReceiveCount != 1 || one.Metadata.ID != large.ID {
		t.Errorf("got %+v", one)
	}
	text, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil || len(fields) != 3 || fields["body"] != `{"account": "ACC-1001"}` || fields["template"] != "large, as JSON" {
		t.Errorf("as JSON it is %s", text)
	}
}

func TestAFailedNotificationFailsItsEventAloneAndNotTheOthersOfIt(t *testing.T) {
	n := &notified{fail: func(m *handler.Notification) error {
		if m.Template == "every withdrawal" && strings.HasPrefix(m.Body, "2000 ") {
			return errors.New("the mail server is down")
		}
		return nil
	}}
	route := handler.Notifications(n.notify, handler.Templates([]byte(notificationFile)), handler.Concurrency(1))
	failed, log := invokeNotifications(t, []handler.Route{route}, "all", withdrawalOf(10), withdrawalOf(2000))
	if !slices.Equal(failed, []string{handlertest.MessageID(1)}) {
		t.Errorf("failed: %v", failed)
	}
	if len(n.all) != 3 {
		t.Errorf("%d notifications, want 3: the large one after the one that failed", len(n.all))
	}
	if !strings.Contains(log, `"outcome":"failed","reason":"notification \"every withdrawal\": the mail server is down"`) {
		t.Errorf("the log:\n%s", log)
	}
}

func TestAPanicFailsItsNotificationAndNotTheOthersOfTheEvent(t *testing.T) {
	n := &notified{fail: func(m *handler.Notification) error {
		if m.Template == "every withdrawal" {
			panic("oops")
		}
		return nil
	}}
	route := handler.Notifications(n.notify, handler.Templates([]byte(notificationFile)))
	failed, log := invokeNotifications(t, []handler.Route{route}, "all", withdrawalOf(2000))
	if len(failed) != 1 || len(n.all) != 2 || !strings.Contains(log, `notification \"every withdrawal\": panic: oops`) {
		t.Errorf("failed %v, %d notifications, the log:\n%s", failed, len(n.all), log)
	}
}

// A middleware such as idempotency's is around each notification: what was
// handled is not repeated when the event comes back for another's sake.
func TestAMiddlewareSeesEachNotificationWithAKeyOfItsOwn(t *testing.T) {
	done := map[string]bool{}
	once := func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
			r := records[0]
			if len(records) != 1 || !strings.HasPrefix(r.EventKey(), "notifier/all/"+r.Metadata.ID+"/") {
				t.Errorf("%d records, key %q", len(records), r.EventKey())
			}
			if done[r.EventKey()] {
				r.MarkDuplicate()
				return nil
			}
			failed := next.Handle(ctx, records)
			done[r.EventKey()] = failed.Of(r) == nil
			return failed
		})
	}
	down := true
	n := &notified{fail: func(m *handler.Notification) error {
		if down && m.Template == "large, as JSON" {
			return errors.New("down")
		}
		return nil
	}}
	routes := []handler.Route{handler.Notifications(n.notify, handler.Templates([]byte(notificationFile)), handler.Use(once))}
	withdrawal := events.Stamp(t.Context(), withdrawalOf(2000))
	for i, want := range []struct {
		failed, notifications int
		outcome               string
	}{{1, 2, "failed"}, {0, 3, "handled"}, {0, 3, "duplicate"}} {
		failed, log := invokeNotifications(t, routes, "all", withdrawal)
		if len(failed) != want.failed || len(n.all) != want.notifications || !strings.Contains(log, `"outcome":"`+want.outcome+`"`) {
			t.Errorf("delivery %d: failed %v, %d notifications so far, the log:\n%s", i+1, failed, len(n.all), log)
		}
		down = false
	}
}

func TestAnEventFailsForGoodOnlyIfEveryNotificationThatFailedDid(t *testing.T) {
	for _, c := range []struct {
		name    string
		large   error
		outcome string
	}{
		{"the other is handled", nil, "permanent"},
		{"the other fails for good too", handler.Permanent(errors.New("no account")), "permanent"},
		{"the other may succeed later", errors.New("timeout"), "failed"},
	} {
		n := &notified{fail: func(m *handler.Notification) error {
			if m.Template == "large, as JSON" {
				return c.large
			}
			return handler.Permanent(errors.New("no address"))
		}}
		route := handler.Notifications(n.notify, handler.Templates([]byte(notificationFile)))
		_, log := invokeWithQueue(t, &handlertest.Queue{}, route, withdrawalOf(2000))
		if got := outcomes(t, log)[handlertest.MessageID(0)]; !strings.Contains(got, " "+c.outcome+": ") {
			t.Errorf("%s: the outcome is %q, want %q", c.name, got, c.outcome)
		}
	}
}

func TestWhatNotificationsPublishNamesTheirOwnKeyInItsID(t *testing.T) {
	ids := map[string]string{}
	route := handler.Notifications(func(ctx context.Context, n *handler.Notification) error {
		e := events.Stamp(ctx, savings.SampleFeeCharged())
		ids[n.Template] = e.ID
		if e.CausationID != n.Metadata.ID {
			t.Errorf("the cause is %q", e.CausationID)
		}
		return nil
	}, handler.Templates([]byte(notificationFile)))
	withdrawal := events.Stamp(t.Context(), withdrawalOf(2000))
	invokeNotifications(t, []handler.Route{route}, "all", withdrawal)
	first := ids["large, as JSON"]
	if first == ids["every withdrawal"] {
		t.Error("two notifications made one event")
	}
	// The large one publishes the same event even if the other publishes none.
	quiet := handler.Notifications(func(ctx context.Context, n *handler.Notification) error {
		if n.Template == "large, as JSON" {
			ids["again"] = events.Stamp(ctx, savings.SampleFeeCharged()).ID
		}
		return nil
	}, handler.Templates([]byte(notificationFile)))
	invokeNotifications(t, []handler.Route{quiet}, "all", withdrawal)
	if ids["again"] != first {
		t.Errorf("the id was %s and is %s", first, ids["again"])
	}
}

func TestNotificationsOfOneSubscriptionAndEventsOfAnother(t *testing.T) {
	n, charged := &notified{}, 0
	routes := []handler.Route{
		handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error { charged++; return nil }),
		handler.Notifications(n.notify, handler.Templates([]byte(notificationFile))).On("mails"),
	}
	invokeNotifications(t, routes, "mails", withdrawalOf(10))
	invokeNotifications(t, routes, "withdrawals", withdrawalOf(10))
	if len(n.all) != 1 || charged != 1 {
		t.Errorf("%d notifications and %d events, want one each", len(n.all), charged)
	}
}

func TestTemplatesThatAreMissingInvalidOrForNobodyAreAPanicAtTheStart(t *testing.T) {
	nothing := func(context.Context, *handler.Notification) error { return nil }
	for name, c := range map[string]struct {
		make func()
		want string
	}{
		"none":    {func() { handler.Notifications(nothing) }, "needs the option Templates"},
		"invalid": {func() { handler.Notifications(nothing, handler.Templates([]byte(`[{"name": "x"}]`))) }, `notification "x"`},
		"for Each": {func() {
			handler.Each(func(context.Context, *handler.Message[savings.Withdrawal]) error { return nil }, handler.Templates([]byte(`[]`)))
		}, "is for Notifications"},
		"twice": {func() {
			r := handler.Notifications(nothing, handler.Templates([]byte(`[]`)))
			handler.New(r, r)
		}, "two routes for notifications"},
		"a sample": {func() { handler.Notifications(nothing, handler.Templates([]byte(`[]`))).Sample() }, "has no sample"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if v, _ := recover().(string); !strings.Contains(v, c.want) {
					t.Errorf("panic %q, want %q", v, c.want)
				}
			}()
			c.make()
		})
	}
}
