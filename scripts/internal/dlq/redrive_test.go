package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

// redrive moves what is in a DLQ, as the command does.
func redrive(ctx context.Context, q *dlq.Queue, r *dlq.Redrive) error {
	r.To = "queue"
	if r.MaxRedrives == 0 {
		r.MaxRedrives = dlq.MaxRedrives
	}
	_, err := q.Walk(ctx, dlq.Walk{Chunk: r.Chunk(), Patient: true}, r.Visit)
	return err
}

func journal(t *testing.T, dir string) *dlq.Journal {
	t.Helper()
	j, err := dlq.OpenJournal(dir, "dlq")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestARedriveMovesEventsWithoutWhatTellsOfTheirFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		sent := time.Now().UTC()
		attributes := given("closed", map[string]string{
			queue.Redrives: "1", "tenant": "A", queue.Processor: "fees", queue.Operator: "pipeline[0].match", queue.Document: "{}", queue.Time: "2026-03-02T09:00:00Z", "penstock.later": "kept",
		})
		f.put("dlq", event("e-1", 1), attributes)
		time.Sleep(time.Minute)
		r := &dlq.Redrive{API: f}
		if err := redrive(t.Context(), open(t, f), r); err != nil || r.Moved != 1 {
			t.Fatal(err, r.Result)
		}
		want := map[string]string{queue.Redrives: "2", queue.FirstFailed: sent.Format(time.RFC3339Nano), "tenant": "A", "penstock.later": "kept"}
		if got := texts(f.queues["queue"][0].MessageAttributes); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if *f.queues["queue"][0].Body != event("e-1", 1) || len(f.queues["dlq"]) != 0 {
			t.Errorf("in the queue %v, in the DLQ %v", f.bodies("queue"), f.bodies("dlq"))
		}
	})
}

func TestARedriveKeepsToItsRate(t *testing.T) {
	for _, perSecond := range []float64{0.5, 7, 100} {
		synctest.Test(t, func(t *testing.T) {
			f, q := filled(t, 40)
			began := time.Now()
			r := &dlq.Redrive{API: f, Rate: perSecond}
			if err := redrive(t.Context(), q, r); err != nil || r.Moved != 40 {
				t.Fatal(err, r.Result)
			}
			took := time.Since(began) - time.Second // of the last receive
			if least := time.Duration(float64(39-r.Chunk()) / perSecond * float64(time.Second)); took < least || took > least+3*time.Second+time.Duration(float64(r.Chunk())/perSecond*float64(time.Second)) {
				t.Errorf("40 events at %v a second took %v", perSecond, took)
			}
		})
	}
}

func TestARedriveThatWasCutShortGoesOnWhereItEnded(t *testing.T) {
	for what, c := range map[string]struct {
		fail                           func(*fakeSQS)
		moved, cleared, movedTwice, in int // of the second run; in: how many are in the queue then
	}{
		"SQS has taken the events, which were not deleted": {func(f *fakeSQS) { f.refuseDeletes = true }, 150, 100, 0, 250},
		"nobody knows whether SQS has taken the events":    {func(f *fakeSQS) { f.loseAnswers = true }, 250, 0, 100, 350},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			f, q := filled(t, 250)
			c.fail(f)
			r := &dlq.Redrive{API: f, Journal: journal(t, dir)}
			if err := redrive(t.Context(), q, r); !errors.Is(err, errLost) {
				t.Fatalf("%s: %v", what, err)
			}
			// Killed: nobody closes the journal.
			f.refuseDeletes, f.loseAnswers = false, false
			if n := len(f.bodies("dlq")); n != 250 {
				t.Errorf("%s: %d are still in the DLQ", what, n)
			}
			j := journal(t, dir)
			began, before := j.Interrupted()
			if began.IsZero() || before != 250-c.moved {
				t.Errorf("%s: before, since %v, %d", what, began, before)
			}
			r = &dlq.Redrive{API: f, Journal: j}
			if err := redrive(t.Context(), open(t, f), r); err != nil {
				t.Fatal(err)
			}
			if r.Moved != c.moved || r.Cleared != c.cleared || r.MovedTwice != c.movedTwice || len(f.bodies("queue")) != c.in || len(f.bodies("dlq")) != 0 {
				t.Errorf("%s: %+v, %d in the queue", what, r.Result, len(f.bodies("queue")))
			}
			if got := slices.Compact(slices.Sorted(slices.Values(f.bodies("queue")))); len(got) != 250 {
				t.Errorf("%s: %d different events arrived", what, len(got))
			}
			if err := j.Close(true); err != nil {
				t.Error(err)
			}
			if began, _ := journal(t, dir).Interrupted(); !began.IsZero() {
				t.Errorf("%s: a redrive that has ended counts as interrupted", what)
			}
		})
	}
}

func TestWhatFailsAgainComesBackOnlySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := filled(t, 1)
		var told []string
		moved := 0
		for range 10 {
			r := &dlq.Redrive{API: f, MaxRedrives: 3, Picker: dlq.Picker{Note: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }}}
			if err := redrive(t.Context(), open(t, f), r); err != nil {
				t.Fatal(err)
			}
			moved += r.Moved
			if r.Moved+r.TooOften != 1 {
				t.Errorf("%+v", r.Result)
			}
			// It fails again: SQS moves it, with its attributes.
			f.queues["dlq"] = append(f.queues["dlq"], f.queues["queue"]...)
			f.queues["queue"] = nil
			time.Sleep(time.Minute)
		}
		if moved != 3 || len(told) != 7 || told[0] != "left, since it was brought back often enough: event e-0" {
			t.Errorf("moved %d times; told %q", moved, told)
		}
	})
}

func TestWhatCannotBeMovedStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 4)
		f.refuseSend = event("e-1", 1)
		change := func(m *dlq.Message) error {
			if m.Metadata.ID == "e-2" {
				return errors.New("amount: want a number")
			}
			if m.Metadata.ID == "e-3" {
				return m.SetData([]byte(`{"amount":30,"note":"<&>"}`), "e-3-new")
			}
			return nil
		}
		var told []string
		r := &dlq.Redrive{API: f, Change: change, Picker: dlq.Picker{Note: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) }}}
		if err := redrive(t.Context(), q, r); err != nil {
			t.Error(err)
		}
		if want := []string{"left: event e-2: amount: want a number", "left, since SQS did not take it: event e-1: InternalError: try again"}; !slices.Equal(told, want) {
			t.Errorf("told %q", told)
		}
		if r.Moved != 2 || r.Refused != 1 || r.Unchanged != 1 || !slices.Equal(f.visible("dlq"), []string{"m-2", "m-3"}) {
			t.Errorf("%+v; %v stay", r.Result, f.visible("dlq"))
		}
		want := `{"detail":{"data":{"amount":30,"note":"<&>"},"metadata":{"correlationId":"c","id":"e-3-new","occurredAt":"2026-03-02T09:00:00Z"}},"detail-type":"SAVINGS_WITHDRAWAL","id":"x","resources":[],"source":"savings","version":"0"}`
		if got := f.bodies("queue"); len(got) != 2 || got[0] != event("e-0", 0) || got[1] != want {
			t.Errorf("moved %s", got)
		}
	})
}

func TestADryRunMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 12)
		r := &dlq.Redrive{API: f, DryRun: true, Picker: dlq.Picker{Filter: dlq.Filter{IDs: []string{"e-3", "m-5", "none"}}}}
		if err := redrive(t.Context(), q, r); err != nil {
			t.Fatal(err)
		}
		if len(r.Would) != 2 || r.Would[0].EventID != "e-3" || r.Would[1].EventID != "e-4" || r.Unpicked != 10 || len(f.visible("dlq")) != 12 || len(f.bodies("queue")) != 0 {
			t.Errorf("would move %+v; %+v", r.Would, r.Result)
		}
	})
}

func TestWhatEventBridgeCouldNotDeliverIsMovedAsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		undelivered := given("", nil)
		clear(undelivered)
		undelivered["ERROR_CODE"], undelivered["ERROR_MESSAGE"], undelivered["RULE_ARN"] = text("NO_PERMISSIONS"), text("the policy says no"), text("arn")
		f.put("dlq", event("e-1", 1), undelivered)
		f.put("dlq", `{"not":"an event"}`, undelivered)
		time.Sleep(time.Minute)
		q, err := dlq.Open(t.Context(), f, dlq.Undelivered, "dlq")
		if err != nil {
			t.Fatal(err)
		}
		r := &dlq.Redrive{API: f, Picker: dlq.Picker{Filter: dlq.Filter{Reason: "NO_PERMISSIONS: the policy *"}, History: dlq.NewHistory(nil, "group", "withdrawals")}}
		if err := redrive(t.Context(), q, r); err != nil {
			t.Fatal(err)
		}
		if got := texts(f.queues["queue"][0].MessageAttributes); r.Moved != 1 || r.Unchanged != 1 || !maps.Equal(got, map[string]string{queue.Redrives: "1"}) {
			t.Errorf("%+v, with %v", r.Result, got)
		}
	})
}
