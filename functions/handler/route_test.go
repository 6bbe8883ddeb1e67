package handler_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
)

// What an event of a generated batch does.
const (
	succeeds = iota
	fails
	panics
	garbage  // not an event
	misfit   // an event whose data is of another type
	stranger // an event of a type without a route
	kinds
)

// payload makes a batch of the given kinds. The account of a withdrawal is its
// index in the batch.
func payload(t testing.TB, batch []int) []byte {
	bodies := make([]string, len(batch))
	for i, kind := range batch {
		switch kind {
		case garbage:
			bodies[i] = "garbage"
		case misfit:
			bodies[i] = strings.Replace(Body(t, account("misfit")), `"misfit"`, `7`, 1)
		case stranger:
			bodies[i] = Body(t, other{})
		default:
			bodies[i] = Body(t, account(fmt.Sprint(i)))
		}
	}
	return PayloadOf(t, queueName, bodies...)
}

// other is an event type that no test has a route for.
type other struct{}

func (other) EventType() events.Type { return events.Type{Source: "test", Name: "OTHER"} }
func (other) Schema() events.Event   { return other{} }

// check compares a response and its outcome records with the batch.
func check(t *rapid.T, tb testing.TB, batch []int, failed func(int) bool, response []byte, log *logbook) {
	want := []string{}
	for i, kind := range batch {
		if failed(kind) {
			want = append(want, MessageID(i))
		}
	}
	if got := Failed(tb, response); !slices.Equal(got, want) {
		t.Fatalf("failed %v, want %v", got, want)
	}
	outcomes := log.outcomes(tb)
	if len(outcomes) != len(batch) {
		t.Fatalf("%d outcome records for %d messages", len(outcomes), len(batch))
	}
	for i := range batch {
		got := outcomes[MessageID(i)]
		if wantFailed := slices.Contains(want, MessageID(i)); wantFailed != (got[0] == "failed") || wantFailed == (got[1] == "") {
			t.Fatalf("outcome of message %d is %q", i, got)
		}
	}
}

func TestEachFailsExactlyTheEventsThatFailed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := rapid.SliceOfN(rapid.IntRange(0, kinds-1), 0, 40).Draw(rt, "batch")
		concurrency := rapid.IntRange(1, 12).Draw(rt, "concurrency")
		response, log := run(t, t.Context(), payload(t, batch), handler.Each(func(_ context.Context, m *withdrawal) error {
			var i int
			fmt.Sscan(m.Event.AccountID, &i)
			switch batch[i] {
			case fails:
				return errors.New("failed")
			case panics:
				panic("panicked")
			}
			return nil
		}, handler.Concurrency(concurrency)))
		check(rt, t, batch, func(kind int) bool { return kind != succeeds }, response, log)
	})
}

func TestBatchFailsExactlyTheMessagesInItsFailures(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := rapid.SliceOfN(rapid.SampledFrom([]int{succeeds, fails, garbage, misfit, stranger}), 0, 40).Draw(rt, "batch")
		response, log := run(t, t.Context(), payload(t, batch), handler.Batch(func(_ context.Context, messages []*withdrawal) error {
			var failed handler.Failures
			for _, m := range messages {
				var i int
				fmt.Sscan(m.Event.AccountID, &i)
				if batch[i] == fails {
					failed.Add(m, errors.New("failed"))
				}
			}
			clear(messages) // the function's own slice
			return failed.Err()
		}))
		check(rt, t, batch, func(kind int) bool { return kind != succeeds }, response, log)
	})
}

func TestBatchFailsWholeForAnyOtherErrorAndForAPanic(t *testing.T) {
	for what, fn := range map[string]func([]*withdrawal) error{
		"an error": func([]*withdrawal) error { return errors.New("no database") },
		"a panic":  func([]*withdrawal) error { panic("no database") },
		"failures beside another error": func(messages []*withdrawal) error {
			var failed handler.Failures
			failed.Add(messages[0], errors.New("no account"))
			return errors.Join(failed.Err(), errors.New("no database"))
		},
		"failures of a message from elsewhere": func(messages []*withdrawal) error {
			var failed handler.Failures
			failed.Add(messages[0], errors.New("no account"))
			failed.Add(&withdrawal{MessageID: "another"}, errors.New("no database"))
			return failed.Err()
		},
		"a message whose id was overwritten": func(messages []*withdrawal) error {
			messages[0].MessageID = "no database"
			var failed handler.Failures
			failed.Add(messages[0], errors.New("no account"))
			return failed.Err()
		},
	} {
		t.Run(what, func(t *testing.T) {
			response, log := run(t, t.Context(), Payload(t, queueName, account("A"), account("B"), account("C")),
				handler.Batch(func(_ context.Context, messages []*withdrawal) error { return fn(messages) }))
			want := []string{MessageID(0), MessageID(1), MessageID(2)}
			if failed := Failed(t, response); !slices.Equal(failed, want) {
				t.Errorf("failed: %v, want %v", failed, want)
			}
			for id, o := range log.outcomes(t) {
				if o[0] != "failed" || !strings.Contains(o[1], "no database") {
					t.Errorf("outcome of %s is %q", id, o)
				}
			}
		})
	}
}

func TestEmptyFailuresFailNothing(t *testing.T) {
	for what, err := range map[string]error{
		"none":     (&handler.Failures{}).Err(),
		"empty":    &handler.Failures{},
		"nil ones": (*handler.Failures)(nil),
	} {
		response, _ := run(t, t.Context(), Payload(t, queueName, account("A")),
			handler.Batch(func(context.Context, []*withdrawal) error { return err }))
		if failed := Failed(t, response); len(failed) != 0 {
			t.Errorf("%s: failed %v", what, failed)
		}
	}
}

func TestBatchIsNotCalledForNothing(t *testing.T) {
	run(t, t.Context(), PayloadOf(t, queueName, strings.Replace(Body(t, account("misfit")), `"misfit"`, `7`, 1)),
		handler.Batch(func(_ context.Context, messages []*withdrawal) error {
			t.Errorf("called with %v", messages)
			return nil
		}))
}

func TestMiddlewaresStandAroundTheFunctionInOrder(t *testing.T) {
	var got []string
	note := func(name string) handler.Middleware {
		return func(next handler.Handler) handler.Handler {
			return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
				got = append(got, fmt.Sprintf("%s %s %d", name, records[0].EventKey(), len(records)))
				return next.Handle(ctx, records)
			})
		}
	}
	e := events.Stamp(t.Context(), account("A"))
	run(t, t.Context(), Payload(t, queueName, e), handler.Each(func(context.Context, *withdrawal) error {
		got = append(got, "function")
		return nil
	}, handler.Use(note("outer"), note("inner"))))
	key := "withdrawal-fee/withdrawals/" + e.ID
	if want := []string{"outer " + key + " 1", "inner " + key + " 1", "function"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAMiddlewareCanFailOrHandleARecordItself(t *testing.T) {
	called := map[string]bool{}
	gate := func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
			var pass []*handler.Record
			failed := new(handler.Failures)
			for _, r := range records {
				switch r.MessageID {
				case MessageID(0): // handled
				case MessageID(1):
					failed.Add(r, errors.New("not today"))
				default:
					pass = append(pass, r)
				}
			}
			rest := next.Handle(ctx, pass)
			for _, r := range pass {
				failed.Add(r, rest.Of(r))
			}
			return failed
		})
	}
	response, _ := run(t, t.Context(), Payload(t, queueName, account("A"), account("B"), account("C")),
		handler.Batch(func(_ context.Context, messages []*withdrawal) error {
			for _, m := range messages {
				called[m.Event.AccountID] = true
			}
			return nil
		}, handler.Use(gate)))
	if failed := Failed(t, response); !slices.Equal(failed, []string{MessageID(1)}) {
		t.Errorf("failed: %v", failed)
	}
	if got := slices.Sorted(maps.Keys(called)); !slices.Equal(got, []string{"C"}) {
		t.Errorf("the function saw %v", got)
	}
}
