package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/savings"
	"github.com/penstock-dev/penstock/functions/handler"
	. "github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// judge fails by the account's name.
func judge(_ context.Context, m *withdrawal) error {
	err := errors.New("no such account")
	switch {
	case strings.HasPrefix(m.Event.AccountID, "permanent"):
		return fmt.Errorf("account: %w", handler.Permanent(err))
	case strings.HasPrefix(m.Event.AccountID, "failed"):
		return err
	}
	return handler.Permanent(nil)
}

func judgeAll(ctx context.Context, batch []*withdrawal) error {
	var failed handler.Failures
	for _, m := range batch {
		failed.Add(m, judge(ctx, m))
	}
	return failed.Err()
}

func invokeWithQueue(t *testing.T, q queue.Queue, route handler.Route, batch ...events.Event) ([]string, *logbook) {
	t.Helper()
	deployed(t)
	log := new(logbook)
	f := handler.New(route).WithLogger(log.logger())
	if q != nil {
		f.WithQueue(q)
	}
	response, err := f.Invoke(invocation(t.Context(), "request-1"), Payload(t, queueName, batch...))
	if err != nil {
		t.Fatal(err)
	}
	return Failed(t, response), log
}

// outcomes are those of the records, by message id.
func outcomes(t *testing.T, log *logbook) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, l := range log.lines(t, "outcome") {
		id := l["messageId"].(string)
		if all[id] != "" {
			t.Errorf("%s has two outcome records", id)
		}
		all[id] = fmt.Sprintf("%v %v: %v", l["level"], l["outcome"], l["reason"])
	}
	return all
}

func TestWhatFailsPermanentlyIsSentToTheDLQAndAcknowledged(t *testing.T) {
	for what, route := range map[string]handler.Route{"Each": handler.Each(judge), "Batch": handler.Batch(judgeAll)} {
		t.Run(what, func(t *testing.T) {
			q := &fakeQueue{}
			bad := events.Stamp(t.Context(), account("permanent"))
			failed, log := invokeWithQueue(t, q, route, account("good"), bad, account("failed"))
			if !slices.Equal(failed, []string{MessageID(2)}) {
				t.Errorf("failed %v", failed)
			}
			if len(q.letters) != 1 || !strings.HasSuffix(q.arn, ":"+queueName) {
				t.Fatalf("sent %v from %s", q.letters, q.arn)
			}
			if l := q.letters[0]; l.MessageID != MessageID(1) || l.Reason != "account: no such account" || !strings.Contains(l.Body, bad.ID) {
				t.Errorf("sent %+v", l)
			}
			got := outcomes(t, log)
			for i, want := range []string{"INFO handled: ", "ERROR permanent: account: no such account", "WARN failed: no such account"} {
				if got[MessageID(i)] != want {
					t.Errorf("outcome of message %d: %q, want %q", i, got[MessageID(i)], want)
				}
			}
		})
	}
}

func TestABatchThatFailsPermanentlyIsSentWhole(t *testing.T) {
	q := &fakeQueue{}
	failed, _ := invokeWithQueue(t, q, handler.Batch(func(context.Context, []*withdrawal) error {
		return handler.Permanent(errors.New("closed"))
	}), account("A"), account("B"))
	if len(failed) != 0 || len(q.letters) != 2 {
		t.Errorf("failed %v, sent %v", failed, q.letters)
	}
}

func TestWhatTheDLQDoesNotAcceptComesBack(t *testing.T) {
	for what, c := range map[string]struct {
		queue  queue.Queue
		failed []string
		want   string // the outcome of the first message
	}{
		"there is none":       {nil, []string{MessageID(0), MessageID(1)}, "WARN failed: account: no such account"},
		"it refuses one":      {&fakeQueue{refuse: []string{MessageID(0)}}, []string{MessageID(0)}, "ERROR failed: account: no such account (and it could not be sent to the DLQ: the DLQ is down)"},
		"it forgets the last": {&fakeQueue{short: true}, []string{MessageID(1)}, "ERROR permanent: account: no such account"},
	} {
		t.Run(what, func(t *testing.T) {
			failed, log := invokeWithQueue(t, c.queue, handler.Each(judge), account("permanent-1"), account("permanent-2"))
			if !slices.Equal(failed, c.failed) {
				t.Errorf("failed %v, want %v", failed, c.failed)
			}
			got := outcomes(t, log)
			if len(got) != 2 || got[MessageID(0)] != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAPermanentErrorIsTheErrorItMarks(t *testing.T) {
	cause := errors.New("cause")
	if err := handler.Permanent(cause); !errors.Is(err, cause) || err.Error() != "cause" {
		t.Errorf("got %v", err)
	}
	if err := handler.Permanent(nil); err != nil {
		t.Errorf("got %v", err)
	}
}

// described is an error that tells where in a pipeline an event failed.
type described struct{ error }

func (described) Attributes() map[string]string {
	return map[string]string{queue.Processor: "rates", queue.Operator: "pipeline[1].externalFunction", queue.Document: `{"a":1}`}
}

func TestAnErrorThatTellsMoreTellsItInTheDLQ(t *testing.T) {
	for name, c := range map[string]struct {
		earlier []string // attributes that the message has had before
		err     error
		want    map[string]string
	}{
		"told for the first time": {nil, described{errors.New("no rate")},
			map[string]string{queue.Processor: "rates", queue.Operator: "pipeline[1].externalFunction", queue.Document: `{"a":1}`}},
		"wrapped": {nil, fmt.Errorf("rate: %w", described{errors.New("no rate")}),
			map[string]string{queue.Processor: "rates", queue.Operator: "pipeline[1].externalFunction", queue.Document: `{"a":1}`}},
		"after a redrive": {[]string{queue.Redrives, queue.Time, queue.Document}, described{errors.New("no rate")},
			map[string]string{queue.Redrives: "1", queue.Processor: "rates", queue.Operator: "pipeline[1].externalFunction", queue.Document: `{"a":1}`}},
		"another error after a redrive": {[]string{queue.Redrives, queue.Processor, queue.Time, queue.Operator, queue.Document}, errors.New("closed"),
			map[string]string{queue.Redrives: "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			deployed(t)
			attributes := map[string]any{}
			for _, name := range c.earlier {
				attributes[name] = map[string]string{"stringValue": "1", "dataType": "String"}
			}
			var payload map[string][]map[string]any
			if err := json.Unmarshal(Payload(t, queueName, savings.SampleWithdrawal()), &payload); err != nil {
				t.Fatal(err)
			}
			payload["Records"][0]["messageAttributes"] = attributes
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			q := new(Queue)
			f := handler.New(handler.Each(func(context.Context, *withdrawal) error { return handler.Permanent(c.err) })).WithLogger(new(logbook).logger()).WithQueue(q)
			if _, err := f.Invoke(t.Context(), text); err != nil {
				t.Fatal(err)
			}
			if len(q.Letters) != 1 || q.Letters[0].Reason != c.err.Error() || !maps.Equal(q.Letters[0].Attributes, c.want) {
				t.Errorf("letters %v, want one with %v", q.Letters, c.want)
			}
		})
	}
}
