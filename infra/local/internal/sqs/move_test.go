package sqs

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// deadLetters makes queue name, whose messages go to queue "dlq" after one
// receive, and lets the bodies go there.
func deadLetters(t *testing.T, s *Service, name string, bodies ...string) (q, dlq *queue) {
	t.Helper()
	dlq = ensure(t, s, "dlq", nil)
	q = ensure(t, s, name, Attributes{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + s.ARN("dlq") + `","maxReceiveCount":1}`})
	send(t, s, q, bodies...)
	for range 2 {
		if _, err := q.receive(t.Context(), receiveLimits{messages: len(bodies)}, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	return q, dlq
}

func startMove(t *testing.T, s *Service, destination string, rate int) MoveTask {
	t.Helper()
	task, err := s.StartMove(s.ARN("dlq"), destination, rate)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func lastMove(t *testing.T, s *Service) MoveTask {
	t.Helper()
	tasks, err := s.Moves(s.ARN("dlq"))
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	return tasks[0]
}

func wantMove(t *testing.T, s *Service, status MoveStatus, moved int) MoveTask {
	t.Helper()
	task := lastMove(t, s)
	if task.Status != status || task.Moved != moved {
		t.Fatalf("the task is %+v, want %s with %d moved", task, status, moved)
	}
	return task
}

func code(err error) string {
	var e *awswire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return fmt.Sprint(err)
}

func TestAMoveTaskGivesDeadLettersBackToTheQueuesTheyCameFromAsNewMessages(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		a, dlq := deadLetters(t, s, "a", "a1", "a2")
		b, _ := deadLetters(t, s, "b", "b1")
		dead := receive(t, dlq, 0)
		want(t, dead, "a1", "a2", "b1")
		for _, r := range dead {
			if err := dlq.changeVisibility(r.ReceiptHandle, 0); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Minute)
		task := startMove(t, s, "", 0)
		if task.Status != MoveRunning || task.ToMove != 3 || task.Moved != 0 {
			t.Fatalf("started as %+v", task)
		}
		synctest.Wait()
		wantMove(t, s, MoveCompleted, 3)
		want(t, receive(t, dlq, 0))
		back := receive(t, a, 0)
		want(t, back, "a1", "a2")
		want(t, receive(t, b, 0), "b1")
		if r := back[0]; r.ID == dead[0].ID || r.ReceiveCount != 1 || r.DeadLetterSource != "" || r.SentAt.Sub(dead[0].SentAt) < time.Minute || !r.FirstReceived.Equal(time.Now()) {
			t.Fatalf("came back as %+v, %+v; was %+v", r, r.Message, dead[0].Message)
		}
	})
}

func TestAMoveTaskKeepsItsRateAndCanBeCancelledInBetween(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		_, dlq := deadLetters(t, s, "q", "1", "2", "3", "4", "5")
		other := ensure(t, s, "other", nil)
		task := startMove(t, s, s.ARN("other"), 2)
		pass(time.Second + time.Millisecond)
		synctest.Wait()
		wantMove(t, s, MoveRunning, 2)
		if _, err := s.StartMove(s.ARN("dlq"), "", 0); code(err) != "InvalidParameterValue" {
			t.Fatalf("a second task: %v", err)
		}
		moved, err := s.CancelMove(task.Handle())
		if err != nil || moved != 2 {
			t.Fatal(moved, err)
		}
		synctest.Wait()
		wantMove(t, s, MoveCancelled, 2)
		pass(time.Minute)
		want(t, receive(t, other, 0), "1", "2")
		want(t, receive(t, dlq, 0), "3", "4", "5")
		if _, err := s.CancelMove(task.Handle()); code(err) != "UnsupportedOperation" {
			t.Fatalf("cancelled twice: %v", err)
		}
		startMove(t, s, s.ARN("other"), 500) // the next may start
	})
}

func TestAMoveTaskLeavesWhatIsInFlightAndWhatArrivesWhileItRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q, dlq := deadLetters(t, s, "q", "held", "moved")
		if _, err := dlq.receive(t.Context(), receiveLimits{messages: 1}, time.Hour, 0); err != nil {
			t.Fatal(err)
		}
		if task := startMove(t, s, "", 1); task.ToMove != 1 {
			t.Fatalf("to move: %d", task.ToMove)
		}
		pass(1500 * time.Millisecond)
		deadLetters(t, s, "q2", "late")
		for range 2 { // it fails again, and is a dead letter once more
			_ = receive(t, q, 0)
		}
		pass(time.Minute)
		wantMove(t, s, MoveCompleted, 1)
		want(t, receive(t, dlq, 0), "late", "moved")
	})
}

func TestAMoveTaskFailsWhereAMessageHasNoPlaceToGoAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		q, dlq := deadLetters(t, s, "q", "1", "2")
		send(t, s, dlq, "direct", "behind")
		startMove(t, s, "", 0)
		synctest.Wait()
		if task := wantMove(t, s, MoveFailed, 2); task.FailureReason != "CouldNotDetermineMessageSource" {
			t.Fatalf("%+v", task)
		}
		want(t, receive(t, q, 0), "1", "2")

		ensure(t, s, "other", nil)
		startMove(t, s, s.ARN("other"), 1)
		pass(1500 * time.Millisecond)
		if err := s.DeleteQueue("other"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if task := wantMove(t, s, MoveFailed, 1); task.FailureReason != "AWS.SimpleQueueService.NonExistentQueue" {
			t.Fatalf("%+v", task)
		}
		want(t, receive(t, dlq, 0), "behind")
	})
}

func TestOnlyAnExistingDeadLetterQueueCanBeMovedFromToAnotherExistingQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		_, _ = deadLetters(t, s, "q")
		for _, test := range []struct{ source, destination, code string }{
			{"missing", "", "ResourceNotFoundException"},
			{"q", "", "InvalidParameterValue"},
			{"dlq", "missing", "ResourceNotFoundException"},
			{"dlq", "dlq", "InvalidParameterValue"},
		} {
			destination := ""
			if test.destination != "" {
				destination = s.ARN(test.destination)
			}
			if _, err := s.StartMove(s.ARN(test.source), destination, 0); code(err) != test.code {
				t.Errorf("from %s to %q: got %v, want %s", test.source, test.destination, err, test.code)
			}
		}
		for handle, want := range map[string]string{
			"nonsense": "InvalidParameterValue",
			MoveTask{ID: "x", SourceARN: s.ARN("missing")}.Handle(): "ResourceNotFoundException",
			MoveTask{ID: "x", SourceARN: s.ARN("dlq")}.Handle():     "ResourceNotFoundException",
		} {
			if _, err := s.CancelMove(handle); code(err) != want {
				t.Errorf("cancel %q: got %v, want %s", handle, err, want)
			}
		}
	})
}

func TestTheLastTenMoveTasksAreRememberedAlsoAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	_, _ = deadLetters(t, s, "q")
	var ids []string
	for range 12 {
		task := startMove(t, s, "", 0)
		ids = append([]string{task.ID}, ids...)
		s.mu.RLock()
		last := s.moves["dlq"][len(s.moves["dlq"])-1]
		s.mu.RUnlock()
		<-last.ended
	}
	check := func() {
		t.Helper()
		tasks, err := s.Moves(s.ARN("dlq"))
		if err != nil || len(tasks) != 10 {
			t.Fatal(len(tasks), err)
		}
		for i, task := range tasks {
			if task.ID != ids[i] || task.Status != MoveCompleted {
				t.Fatalf("task %d is %+v, want %s", i, task, ids[i])
			}
		}
	}
	check()
	end()
	s, end = newService(t, dir)
	check()
	if err := s.DeleteQueue("dlq"); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = newService(t, dir)
	defer end()
	ensure(t, s, "dlq", nil)
	if tasks, err := s.Moves(s.ARN("dlq")); err != nil || len(tasks) != 0 {
		t.Fatalf("a queue of the same name inherited %v, %v", tasks, err)
	}
}

func TestAMoveTaskGoesOnAfterARestartWithNoMessageLostOrMovedTwice(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	ensure(t, s, "other", nil)
	var all []string
	for i := range 40 {
		all = append(all, fmt.Sprintf("%02d", i))
	}
	_, _ = deadLetters(t, s, "q", all...)
	// At this rate the task's own steps are a second apart; the test makes
	// others.
	startMove(t, s, s.ARN("other"), 1)
	for before := 0; ; {
		s.mu.RLock()
		task := s.moves["dlq"][0]
		s.mu.RUnlock()
		more, err := s.moveSome(task, 7)
		if err != nil {
			t.Fatal(err)
		}
		end()
		s, end = newService(t, dir)
		now := lastMove(t, s)
		other, _ := s.find("other")
		dlq, _ := s.find("dlq")
		if o, d := other.counts().visible, dlq.counts().visible; now.Moved <= before || o != now.Moved || o+d != 40 {
			t.Fatalf("%d moved, %d in the destination, %d in the source", now.Moved, o, d)
		}
		if !more {
			break
		}
		if now.Status != MoveRunning {
			t.Fatalf("after a restart: %+v", now)
		}
		before = now.Moved
	}
	defer func() { end() }()
	wantMove(t, s, MoveCompleted, 40)
	other, _ := s.find("other")
	var arrived []string
	for len(arrived) < 40 {
		got := receive(t, other, 0)
		if len(got) == 0 {
			break
		}
		arrived = append(arrived, bodies(got)...)
	}
	slices.Sort(arrived)
	if !slices.Equal(arrived, all) {
		t.Fatalf("arrived: %v", arrived)
	}
}

func TestACancelledMoveTaskStaysCancelledAfterARestart(t *testing.T) {
	dir := t.TempDir()
	s, end := newService(t, dir)
	_, _ = deadLetters(t, s, "q", "a")
	task := startMove(t, s, "", 1)
	if _, err := s.CancelMove(task.Handle()); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = newService(t, dir)
	defer end()
	s.mu.RLock()
	saved := s.moves["dlq"][0]
	s.mu.RUnlock()
	if saved.active() {
		if _, err := s.moveSome(saved, 1); err != nil {
			t.Fatal(err)
		}
	}
	wantMove(t, s, MoveCancelled, 0)
}

func TestAnAccountHasAHundredMoveTasksAtATimeForThirtySixHoursEach(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Service) {
		var last string
		for i := range maxActiveMoves + 1 {
			dlq := ensure(t, s, fmt.Sprint("dlq-", i), nil)
			q := ensure(t, s, fmt.Sprint("q-", i), Attributes{"VisibilityTimeout": "0", "RedrivePolicy": `{"deadLetterTargetArn":"` + s.ARN(dlq.name) + `","maxReceiveCount":1}`})
			send(t, s, dlq, "a")
			last = s.ARN(dlq.name)
			_, err := s.StartMove(last, s.ARN(q.name), 1)
			if i < maxActiveMoves && err != nil || i == maxActiveMoves && code(err) != "RequestThrottled" {
				t.Fatalf("task %d: %v", i, err)
			}
		}
		s.mu.RLock()
		first := s.moves["dlq-0"][0]
		s.mu.RUnlock()
		first.mu.Lock()
		first.info.StartedAt = time.Now().Add(-maxMoveTime) // moving so long takes many messages
		first.mu.Unlock()
		pass(2 * time.Second)
		if is := first.state(); is.Status != MoveFailed || is.Moved != 0 {
			t.Fatalf("after 36 hours: %+v", is)
		}
		if _, err := s.StartMove(last, s.ARN("q-0"), 1); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAMessageIsEitherMovedOrConsumedNeverBoth(t *testing.T) {
	s, end := newService(t, t.TempDir())
	defer end()
	other := ensure(t, s, "other", nil)
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("%03d", i))
	}
	_, dlq := deadLetters(t, s, "q", all...)
	consume := func(q *queue) (got []string) {
		for {
			batch := receive(t, q, 0)
			if len(batch) == 0 {
				return got
			}
			got = append(got, bodies(batch)...)
			var handles []string
			for _, r := range batch {
				handles = append(handles, r.ReceiptHandle)
			}
			if _, err := q.remove(handles); err != nil {
				t.Error(err)
			}
		}
	}
	startMove(t, s, s.ARN("other"), 0)
	seen := consume(dlq)
	tasks, err := s.tasksOf(s.ARN("dlq"))
	if err != nil {
		t.Fatal(err)
	}
	<-tasks[0].ended
	moved := consume(other)
	if task := lastMove(t, s); task.Status != MoveCompleted || task.Moved != len(moved) {
		t.Fatalf("%d arrived of %+v", len(moved), task)
	}
	seen = append(append(seen, moved...), consume(dlq)...)
	slices.Sort(seen)
	if !slices.Equal(seen, all) {
		t.Fatalf("%d messages were seen, %d of them moved; sent were %d", len(seen), len(moved), len(all))
	}
}
