package handler_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/events/trading"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

func TestWhatCanNeverBeHandledGoesToTheDLQAndItsNeighboursDoNot(t *testing.T) {
	bodies := []string{
		Body(t, account("A")),
		"garbage",
		Body(t, trading.SampleTradeAllocated()), // without a route
		strings.Replace(Body(t, account("misfit")), `"misfit"`, `7`, 1),
		Body(t, account("B")),
	}
	for form, route := range map[string]handler.Route{
		"Each":  handler.Each(accept[savings.Withdrawal]),
		"Batch": handler.Batch(func(context.Context, []*withdrawal) error { return nil }),
	} {
		t.Run(form, func(t *testing.T) {
			q := &fakeQueue{}
			failed, log := runWithQueue(t, t.Context(), q, PayloadOf(t, queueName, bodies...), route)
			if len(failed) != 0 || len(q.letters) != 3 {
				t.Fatalf("failed %v, sent %v", failed, q.letters)
			}
			for i, want := range []string{"the message is not an event from the bus", "has no route for trading/TRADE_ALLOCATED", "the data is not that of savings/SAVINGS_WITHDRAWAL"} {
				l := q.letters[i]
				if l.MessageID != MessageID(i+1) || l.Body != bodies[i+1] || !strings.Contains(l.Reason, want) {
					t.Errorf("letter %d is %+v, want the reason %q", i, l, want)
				}
				if got := log.outcomes(t)[MessageID(i+1)]; got != [2]string{"permanent", l.Reason} {
					t.Errorf("outcome is %q", got)
				}
			}
		})
	}
}

// late is a batch whose first event takes all the time that there is.
func late(t *testing.T, q queue.Queue, receive string, events ...string) (failed []string, log *logbook) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	bodies := make([]string, len(events))
	for i, e := range events {
		bodies[i] = Body(t, account(e))
	}
	return runWithQueue(t, ctx, q, received(PayloadOf(t, queueName, bodies...), receive),
		handler.Each(func(ctx context.Context, m *withdrawal) error {
			<-ctx.Done()
			return nil
		}, handler.Concurrency(1)))
}

func TestAnEventThatWasNeverStartedIsSentAfreshOnItsLastReceive(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":3,"baseSeconds":4,"capSeconds":100}`)
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		failed, log := late(t, q, "3", "slow", "A", "B")
		if len(failed) != 0 || len(q.sent) != 2 || !strings.Contains(q.sent[0].Body, `"A"`) || !strings.Contains(q.sent[1].Body, `"B"`) || len(q.delays) != 0 {
			t.Errorf("failed %v, sent %q, delayed %v", failed, q.sent, q.delays)
		}
		want := "WARN failed: not started: the time of the invocation had run out (it was sent afresh, since this was its last receive)"
		if got := outcomes(t, log); got[MessageID(1)] != want || got[MessageID(0)] != "INFO handled: " || len(got) != 3 {
			t.Errorf("outcomes are %q", got)
		}
	})
}

func TestAnEventThatWasNeverStartedComesBackSoonBeforeItsLastReceive(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":4,"baseSeconds":4,"capSeconds":100}`)
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		failed, _ := late(t, q, "3", "slow", "A")
		if d, ok := q.delays[MessageID(1)]; !slices.Equal(failed, []string{MessageID(1)}) || len(q.sent) != 0 || !ok || d > 4*time.Second {
			t.Errorf("failed %v, sent %q, delayed %v", failed, q.sent, q.delays)
		}
	})
}

func TestAnEventThatCannotBeSentAfreshIsNotAcknowledged(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":3,"baseSeconds":4,"capSeconds":100}`)
	synctest.Test(t, func(t *testing.T) {
		failed, log := late(t, &fakeQueue{refuse: []string{MessageID(0)}}, "3", "slow", "A")
		if !slices.Equal(failed, []string{MessageID(1)}) {
			t.Errorf("failed %v", failed)
		}
		want := "ERROR failed: not started: the time of the invocation had run out (and it could not be sent afresh: the DLQ is down)"
		if got := outcomes(t, log)[MessageID(1)]; got != want {
			t.Errorf("outcome is %q", got)
		}
	})
}

func TestSettlingEndsBeforeTheInvocationDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &stuckQueue{}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		failed, _ := runWithQueue(t, ctx, q, Payload(t, queueName, account("permanent"), account("failed")), handler.Each(judge))
		if len(failed) != 2 || ctx.Err() != nil {
			t.Errorf("failed %v, the invocation: %v", failed, ctx.Err())
		}
	})
}

func TestSettlingEndsWhereAnInvocationHasNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed, _ := runWithQueue(t, t.Context(), &stuckQueue{}, Payload(t, queueName, account("permanent"), account("failed")), handler.Each(judge))
		if len(failed) != 2 {
			t.Errorf("failed %v", failed)
		}
	})
}

func TestWhatAMessageHasOfPenstocksAttributesGoesWithIt(t *testing.T) {
	retriesOf(t, `{"maxReceiveCount":3,"baseSeconds":1,"capSeconds":60}`)
	// "Example standard queue message event", AWS Lambda Developer Guide, has the
	// form of attributes.
	withAttributes := func(payload []byte) []byte {
		return []byte(strings.ReplaceAll(string(payload), `"messageAttributes":{}`, `"messageAttributes":{
			"penstock.redrives":{"stringValue":"2","stringListValues":[],"binaryListValues":[],"dataType":"String"},
			"penstock.reason":{"stringValue":"of another time","stringListValues":[],"binaryListValues":[],"dataType":"String"},
			"penstock.bytes":{"binaryValue":"AAA=","stringListValues":[],"binaryListValues":[],"dataType":"Binary"},
			"tenant":{"stringValue":"A","stringListValues":[],"binaryListValues":[],"dataType":"String"}}`))
	}
	want := map[string]string{queue.Redrives: "2", queue.Reason: "of another time"}
	q := &fakeQueue{}
	runWithQueue(t, t.Context(), q, withAttributes(received(Payload(t, queueName, account("A")), "2")), handler.Each(func(context.Context, *withdrawal) error {
		return handler.Permanent(errors.New("closed"))
	}))
	if len(q.letters) != 1 || q.letters[0].Receives != 2 || q.letters[0].Reason != "closed" || !maps.Equal(q.letters[0].Attributes, map[string]string{queue.Redrives: "2"}) {
		t.Errorf("to the DLQ: %+v", q.letters)
	}
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // less than the margin: nothing is started
		defer cancel()
		runWithQueue(t, ctx, q, withAttributes(received(Payload(t, queueName, account("A")), "3")), handler.Each(func(context.Context, *withdrawal) error { return nil }))
		if len(q.sent) != 1 || !maps.Equal(q.sent[0].Attributes, want) {
			t.Errorf("afresh: %+v", q.sent)
		}
	})
}

// stuckQueue does nothing until it is no longer wanted.
type stuckQueue struct{}

func (*stuckQueue) wait(ctx context.Context, n int) []error {
	<-ctx.Done()
	return slices.Repeat([]error{ctx.Err()}, n)
}

func (q *stuckQueue) DeadLetter(ctx context.Context, _ string, l []queue.Letter) []error {
	return q.wait(ctx, len(l))
}
func (q *stuckQueue) Send(ctx context.Context, _ string, b []queue.Message) []error {
	return q.wait(ctx, len(b))
}
func (q *stuckQueue) Delay(ctx context.Context, _ string, d []queue.Delay) []error {
	return q.wait(ctx, len(d))
}

func TestAnEventWhoseGoroutineEndsHasAnOutcomeToo(t *testing.T) {
	_, log := runWithQueue(t, t.Context(), &fakeQueue{}, Payload(t, queueName, account("A")), handler.Each(func(context.Context, *withdrawal) error {
		runtime.Goexit()
		return nil
	}))
	if got := outcomes(t, log)[MessageID(0)]; !strings.HasPrefix(got, "WARN failed: the function ended its goroutine") {
		t.Errorf("outcome is %q", got)
	}
}

func TestARecordThatAMiddlewareMarksIsADuplicate(t *testing.T) {
	mark := func(next handler.Handler) handler.Handler {
		return handler.HandlerFunc(func(ctx context.Context, records []*handler.Record) *handler.Failures {
			records[0].MarkDuplicate()
			return nil
		})
	}
	failed, log := runWithQueue(t, t.Context(), &fakeQueue{}, Payload(t, queueName, account("A")), handler.Each(func(context.Context, *withdrawal) error {
		return errors.New("called")
	}, handler.Use(mark)))
	if got := outcomes(t, log)[MessageID(0)]; len(failed) != 0 || got != "INFO duplicate: " {
		t.Errorf("failed %v, outcome %q", failed, got)
	}
}

func TestNothingIsDoneToTheQueueAboutAMessageThatDidNotComeFromIt(t *testing.T) {
	q := &fakeQueue{}
	byHand := strings.ReplaceAll(string(PayloadOf(t, queueName, "garbage", Body(t, account("failed")))), `"receiptHandle":"AQEB`, `"receiptHandle":"","was":"`)
	failed, log := runWithQueue(t, t.Context(), q, []byte(byHand), handler.Each(judge))
	if len(failed) != 2 || len(q.letters)+len(q.sent)+len(q.delays) != 0 {
		t.Errorf("failed %v, told %+v", failed, q)
	}
	if got := log.outcomes(t); got[MessageID(0)][0] != "failed" || len(got) != 2 {
		t.Errorf("outcomes are %q", got)
	}
}
