package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

// filled is a DLQ with n events, that was filled a while ago.
func filled(t *testing.T, n int) (*fakeSQS, *dlq.Queue) {
	t.Helper()
	f := newFake()
	for i := range n {
		f.put("dlq", event(fmt.Sprintf("e-%d", i), i), given("closed", nil))
	}
	time.Sleep(time.Minute) // the test's clock
	return f, open(t, f)
}

func open(t *testing.T, f *fakeSQS) *dlq.Queue {
	t.Helper()
	q, err := dlq.Open(t.Context(), f, dlq.Failed, "dlq")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestAWalkGivesBackWhatItHasSeenHoweverItEnds(t *testing.T) {
	interrupted := errors.New("interrupted")
	failed := errors.New("failed")
	for what, c := range map[string]struct {
		visit func(cancel context.CancelCauseFunc) error
		want  error
	}{
		"by itself":          {func(context.CancelCauseFunc) error { return nil }, nil},
		"since it is enough": {func(context.CancelCauseFunc) error { return dlq.ErrEnough }, nil},
		"by an error":        {func(context.CancelCauseFunc) error { return failed }, failed},
		"by Ctrl-C":          {func(cancel context.CancelCauseFunc) error { cancel(interrupted); return nil }, interrupted},
	} {
		synctest.Test(t, func(t *testing.T) {
			f, q := filled(t, 253)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			began := time.Now()
			seen, err := q.Walk(ctx, dlq.Walk{Chunk: 100}, func(context.Context, []*dlq.Message) ([]*dlq.Message, error) {
				if len(f.visible("dlq")) > 153 {
					t.Errorf("%s: %d messages are visible to others while they are looked at", what, len(f.visible("dlq")))
				}
				return nil, c.visit(cancel)
			})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", what, err)
			}
			if got := len(f.visible("dlq")); got != 253 || seen.Lost != 0 || time.Since(began) > 10*time.Second {
				t.Errorf("%s: %d of 253 messages are visible after %v, lost %d", what, got, time.Since(began), seen.Lost)
			}
		})
	}
}

func TestAWalkHidesWhatItHoldsForAsLongAsItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 30)
		_, err := q.Walk(t.Context(), dlq.Walk{Chunk: 30}, func(context.Context, []*dlq.Message) ([]*dlq.Message, error) {
			for range 100 { // a person at an editor
				time.Sleep(30 * time.Second)
				if n := len(f.visible("dlq")); n > 0 {
					t.Fatalf("%d messages are visible to others", n)
				}
			}
			return nil, nil
		})
		if err != nil || len(f.visible("dlq")) != 30 {
			t.Error(err, f.visible("dlq"))
		}
	})
}

func TestAWalkSaysWhatItHasNotSeen(t *testing.T) {
	nothing := func(context.Context, []*dlq.Message) ([]*dlq.Message, error) { return nil, nil }
	synctest.Test(t, func(t *testing.T) {
		_, q := filled(t, 253)
		seen, err := q.Walk(t.Context(), dlq.Walk{Limit: 120, Chunk: 100}, nothing)
		if err != nil || seen.Messages != 120 || seen.Unseen != 133 || seen.Stopped != "the limit of 120 was reached" {
			t.Errorf("%+v, %v", seen, err)
		}
		seen, err = q.Walk(t.Context(), dlq.Walk{Limit: 253, Chunk: 100}, nothing)
		if err != nil || seen.Messages != 253 || seen.Stopped != "" {
			t.Errorf("%+v, %v", seen, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // another one looks at it
		f, q := filled(t, 20)
		other := open(t, f)
		_, err := other.Walk(t.Context(), dlq.Walk{Limit: 10, Chunk: 10}, func(ctx context.Context, _ []*dlq.Message) ([]*dlq.Message, error) {
			seen, err := q.Walk(ctx, dlq.Walk{Chunk: 10}, nothing)
			if err != nil || seen.Messages != 10 || seen.Hidden != 10 {
				t.Errorf("%+v, %v", seen, err)
			}
			var told string
			began := time.Now()
			seen, err = q.Walk(ctx, dlq.Walk{Chunk: 10, Patient: true, Note: func(format string, args ...any) { told += fmt.Sprintf(format, args...) }}, nothing)
			if err != nil || seen.Messages != 10 || !strings.Contains(seen.Stopped, "somebody else looks at them: 10") || !strings.Contains(told, "meanwhile: 10 (waiting for them") || time.Since(began) < time.Minute {
				t.Errorf("after %v: %+v, %v; told %q", time.Since(began), seen, err, told)
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestAPatientWalkSeesWhatAKillHasLeftHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 20)
		for _, m := range f.queues["dlq"][:12] {
			m.visible = time.Now().Add(30 * time.Second)
		}
		seen, err := q.Walk(t.Context(), dlq.Walk{Chunk: 10, Patient: true}, func(_ context.Context, batch []*dlq.Message) ([]*dlq.Message, error) { return batch, nil })
		if err != nil || seen.Deleted != 20 || seen.Stopped != "" {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

func TestAWalkLeavesWhatComesWhileItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q := filled(t, 20)
		time.Sleep(2 * time.Second)
		seen, err := q.Walk(t.Context(), dlq.Walk{Chunk: 10, Patient: true}, func(_ context.Context, batch []*dlq.Message) ([]*dlq.Message, error) {
			for _, m := range batch { // each fails again at once
				f.put("dlq", m.Body, given("closed", nil))
			}
			return batch, nil
		})
		if err != nil || seen.Deleted != 20 || seen.Newer != 20 || len(f.visible("dlq")) != 20 {
			t.Errorf("%+v, %v", seen, err)
		}
	})
}

func TestADLQThatGivesMessagesUpItselfIsNotLookedInto(t *testing.T) {
	f := newFake()
	f.policy = `{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:1:other","maxReceiveCount":3}`
	if _, err := dlq.Open(t.Context(), f, dlq.Failed, "dlq"); !errors.Is(err, dlq.ErrRedrivePolicy) {
		t.Error(err)
	}
	if _, err := dlq.Open(t.Context(), f, dlq.Failed, "none"); !errors.Is(err, dlq.ErrNoQueue) {
		t.Error(err)
	}
}
