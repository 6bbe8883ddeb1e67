package handler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

type trade = handler.Message[trading.TradeAllocated]

func accept[T events.Event](context.Context, *handler.Message[T]) error { return nil }

func TestARouteTakesTheEventsOfItsType(t *testing.T) {
	var withdrawals, trades []string
	response, _ := run(t, t.Context(),
		Payload(t, queueName, account("A"), trading.SampleTradeAllocated(), account("B")),
		handler.Each(func(_ context.Context, m *withdrawal) error {
			withdrawals = append(withdrawals, m.Event.AccountID)
			return nil
		}, handler.Concurrency(1)),
		handler.Each(func(_ context.Context, m *trade) error {
			trades = append(trades, m.Event.TradeID)
			return nil
		}),
	)
	if failed := Failed(t, response); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
	if !slices.Equal(withdrawals, []string{"A", "B"}) || !slices.Equal(trades, []string{"TRD-5501"}) {
		t.Errorf("withdrawals %v, trades %v", withdrawals, trades)
	}
}

func TestARouteOnASubscriptionComesBeforeOneForAny(t *testing.T) {
	var got []string
	note := func(route string) handler.Route {
		return handler.Each(func(_ context.Context, m *withdrawal) error {
			got = append(got, route+" took "+m.Subscription)
			return nil
		})
	}
	routes := []handler.Route{note("any"), note("audit").On("audit")}
	for _, subscription := range []string{"audit", "withdrawals"} {
		run(t, t.Context(), Payload(t, lambdaName+"-"+subscription, account("A")), routes...)
	}
	if want := []string{"audit took audit", "any took withdrawals"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAnEventWithoutARouteFailsAndItsNeighboursDoNot(t *testing.T) {
	for what, c := range map[string]struct {
		route  handler.Route
		reason string
	}{
		"another type":         {handler.Each(accept[savings.Withdrawal]), `the function has no route for trading/TRADE_ALLOCATED of subscription "withdrawals"`},
		"another subscription": {handler.Each(accept[savings.Withdrawal]).On("withdrawals"), `the function has no route for trading/TRADE_ALLOCATED of subscription "withdrawals"`},
	} {
		t.Run(what, func(t *testing.T) {
			response, log := run(t, t.Context(),
				Payload(t, queueName, account("A"), trading.SampleTradeAllocated(), account("B")), c.route)
			if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(1)}) {
				t.Errorf("failed: %v", failed)
			}
			if got := log.outcomes(t)[MessageID(1)]; got != [2]string{"failed", c.reason} {
				t.Errorf("outcome is %q", got)
			}
		})
	}
}

func TestAMessageThatIsNoEventFailsAndItsNeighboursDoNot(t *testing.T) {
	event := func(detail string) string {
		return `{"version":"0","source":"savings","detail-type":"SAVINGS_WITHDRAWAL","detail":` + detail + `}`
	}
	for what, c := range map[string]struct{ body, reason string }{
		"no JSON":              {"hello", "the message is not an event from the bus: invalid character 'h'"},
		"empty":                {"", "the message is not an event from the bus: unexpected end of JSON input"},
		"another object":       {`{"hello":"world"}`, "it has no source or no detail-type"},
		"no object":            {`[1]`, "cannot unmarshal array"},
		"no metadata":          {event(`{"data":{}}`), "savings/SAVINGS_WITHDRAWAL was not published by Penstock: detail.metadata has no id"},
		"no data":              {event(`{"metadata":{"id":"1"}}`), "savings/SAVINGS_WITHDRAWAL was not published by Penstock: detail has no data"},
		"null data":            {event(`{"metadata":{"id":"1"},"data":null}`), "detail has no data"},
		"a time that is not":   {event(`{"metadata":{"id":"1","occurredAt":"yesterday"},"data":{}}`), "yesterday"},
		"data of another type": {event(`{"metadata":{"id":"1"},"data":{"amount":"ten"}}`), "the data is not that of savings/SAVINGS_WITHDRAWAL: json: cannot unmarshal string"},
	} {
		for form, route := range map[string]handler.Route{
			"Each":  handler.Each(accept[savings.Withdrawal]),
			"Batch": handler.Batch(func(context.Context, []*withdrawal) error { return nil }),
		} {
			t.Run(what+" "+form, func(t *testing.T) {
				response, log := run(t, t.Context(),
					PayloadOf(t, queueName, Body(t, account("A")), c.body, Body(t, account("B"))), route)
				if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(1)}) {
					t.Errorf("failed: %v", failed)
				}
				outcomes := log.outcomes(t)
				if got := outcomes[MessageID(1)]; got[0] != "failed" || !strings.Contains(got[1], c.reason) {
					t.Errorf("outcome is %q, want the reason %q", got, c.reason)
				}
				if len(outcomes) != 3 {
					t.Errorf("%d outcome records for 3 messages", len(outcomes))
				}
			})
		}
	}
}

func TestAPayloadThatIsNoSQSEventFailsTheInvocation(t *testing.T) {
	deployed(t)
	f := handler.New(handler.Each(accept[savings.Withdrawal]))
	for payload, want := range map[string]string{
		``:               "unexpected end of JSON input",
		`null`:           `it has no Records; got "null"`,
		`{"key":"test"}`: `it has no Records; got "{\"key\":\"test\"}"`,
		`{"Records":[{"messageId":"1","eventSource":"aws:kinesis"}]}`: `the eventSource of record 0 is "aws:kinesis"`,
		`{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}`:         "record 0 has no messageId",
		`{"Records":"` + strings.Repeat("x", 1000) + `"}`:             `xxx…"`,
	} {
		response, err := f.Invoke(t.Context(), []byte(payload))
		if err == nil || !strings.HasPrefix(err.Error(), "handler: the payload is not an SQS event: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %s and error %v", payload, response, err)
		}
	}
}

func TestAnEmptyBatchIsAcknowledged(t *testing.T) {
	response, _ := run(t, t.Context(), []byte(`{"Records":[]}`), handler.Each(accept[savings.Withdrawal]))
	if string(response) != `{"batchItemFailures":[]}` {
		t.Errorf("got %s", response)
	}
}

func TestTheShortNameFallsBackToLambdas(t *testing.T) {
	t.Setenv("PENSTOCK_FUNCTION", "")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "fees")
	var key string
	f := handler.New(handler.Each(func(_ context.Context, m *withdrawal) error {
		key = m.EventKey()
		return nil
	})).WithLogger(new(logbook).logger())
	e := events.Stamp(t.Context(), account("A"))
	if _, err := f.Invoke(t.Context(), Payload(t, "some-queue", e)); err != nil {
		t.Fatal(err)
	}
	if want := "fees/some-queue/" + e.ID; key != want {
		t.Errorf("event key is %q, want %q", key, want)
	}
}

func TestRoutesThatCannotBeRightPanicAtStart(t *testing.T) {
	each := handler.Each(accept[savings.Withdrawal])
	for what, c := range map[string]struct {
		make func()
		want string
	}{
		"none":                        {func() { handler.New() }, "needs at least one route"},
		"a zero route":                {func() { handler.New(handler.Route{}) }, "zero Route"},
		"the same type twice":         {func() { handler.New(each, each) }, "two routes for savings/SAVINGS_WITHDRAWAL: "},
		"the same subscription twice": {func() { handler.New(each.On("a"), each.On("a")) }, `two routes for savings/SAVINGS_WITHDRAWAL on subscription "a": `},
		"an invalid type":             {func() { handler.Each(accept[nameless]) }, "handler: event type"},
		"no concurrency":              {func() { handler.Concurrency(0) }, "must be at least 1"},
		"a concurrent batch": {func() {
			handler.Batch(func(context.Context, []*withdrawal) error { return nil }, handler.Concurrency(2))
		}, "is for Each"},
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, c.want) {
					t.Errorf("got panic %q, want one with %q", got, c.want)
				}
			}()
			c.make()
		})
	}
}

// nameless has an invalid event type.
type nameless struct{}

func (nameless) EventType() events.Type { return events.Type{Source: "savings"} }
func (nameless) Schema() events.Event   { return nameless{} }

func TestARealErrorIsTheReason(t *testing.T) {
	response, log := run(t, t.Context(), Payload(t, queueName, account("A")),
		handler.Each(func(context.Context, *withdrawal) error { return errors.New("the ledger is closed") }))
	if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(0)}) {
		t.Errorf("failed: %v", failed)
	}
	if got := log.outcomes(t)[MessageID(0)]; got != [2]string{"failed", "the ledger is closed"} {
		t.Errorf("outcome is %q", got)
	}
}
