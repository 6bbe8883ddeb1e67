package sqs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// A move task takes the messages of a dead-letter queue back to the queues
// that gave them up, or to another queue ("StartMessageMoveTask", Amazon SQS
// API reference):
//
//  1. A start writes its record, which says up to which message it moves: what
//     fails again while it runs comes back behind that mark and stays.
//  2. Each step takes visible messages out of the source's memory, oldest
//     first, and writes them to their destinations, removes them from the
//     source and counts them in the record, all in one commit. A process that
//     dies before the commit has moved nothing, and after it everything.
//  3. It ends when no message before the mark is visible, when it is cancelled,
//     or when a message has no place to go, which stays. What is in flight then
//     stays too.
//
// A task that was running when the process ended goes on after the next start.

// MoveStatus is the status of a move task.
type MoveStatus string

// The statuses of a move task.
const (
	MoveRunning    MoveStatus = "RUNNING"
	MoveCompleted  MoveStatus = "COMPLETED"
	MoveCancelling MoveStatus = "CANCELLING"
	MoveCancelled  MoveStatus = "CANCELLED"
	MoveFailed     MoveStatus = "FAILED"
)

// MoveTask is what is known of a move task.
type MoveTask struct {
	ID             string
	SourceARN      string
	DestinationARN string // empty: each message goes back where it came from
	MaxPerSecond   int    // 0: as fast as it goes
	Status         MoveStatus
	FailureReason  string // of MoveFailed
	StartedAt      time.Time
	ToMove         int // how many messages were visible at the start
	Moved          int
}

const (
	// maxMoveRate bounds MaxNumberOfMessagesPerSecond ("StartMessageMoveTask").
	maxMoveRate = 500
	// maxMovesListed is how many tasks of a queue are remembered
	// ("ListMessageMoveTasks").
	maxMovesListed = 10
	// maxActiveMoves is how many tasks an account may have running, and
	// maxMoveTime for how long ("Learn how to configure a dead-letter queue
	// redrive in Amazon SQS").
	maxActiveMoves = 100
	maxMoveTime    = 36 * time.Hour
	// moveStep is how many messages a task without a rate moves in one commit.
	moveStep = 100
)

// moveTask is a task as the service keeps it.
type moveTask struct {
	number    uint64        // orders the tasks of a queue
	before    uint64        // only messages with smaller numbers are moved
	source    *queue        // as it was when the task started
	cancelled chan struct{} // closed by Cancel
	ended     chan struct{} // closed when nothing more is moved

	mu   sync.Mutex // taken before the service's lock and any queue's
	info MoveTask
}

// savedMove is a task as the store keeps it.
type savedMove struct {
	MoveTask
	Before uint64
}

func (t *moveTask) key() store.Key {
	return store.NewKey("sqs.move").String(t.source.name).Uint(t.number)
}

// save adds the task's record to a batch. The caller holds mu.
func (t *moveTask) save(b *store.Batch) error {
	value, err := json.Marshal(savedMove{t.info, t.before})
	if err != nil {
		return err
	}
	b.Set(t.key(), value)
	return nil
}

func (t *moveTask) active() bool {
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

func (t *moveTask) state() MoveTask {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info
}

// StartMove starts a move task. The source must be the DLQ of a queue.
func (s *Service) StartMove(sourceARN, destinationARN string, maxPerSecond int) (MoveTask, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	source, ok := s.lookup(sourceARN)
	if !ok {
		return MoveTask{}, noSuchResource("SourceArn", sourceARN)
	}
	if !s.isDeadLetterQueue(sourceARN) {
		return MoveTask{}, awswire.Errorf("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue (no queue's RedrivePolicy names %q)", source.name)
	}
	if destinationARN == sourceARN {
		return MoveTask{}, awswire.Errorf("InvalidParameterValue", "Source queue arn and destination queue arn cannot be the same")
	}
	if destinationARN != "" {
		if _, ok := s.lookup(destinationARN); !ok {
			return MoveTask{}, noSuchResource("DestinationArn", destinationARN)
		}
	}
	tasks := s.moves[source.name]
	if n := len(tasks); n > 0 && tasks[n-1].active() {
		return MoveTask{}, awswire.Errorf("InvalidParameterValue", "There is already a task running. Only one active task is allowed for a source queue arn at a given time")
	}
	active := 0
	for _, of := range s.moves {
		if of[len(of)-1].active() {
			active++
		}
	}
	if active >= maxActiveMoves {
		return MoveTask{}, awswire.Errorf("RequestThrottled", "there are %d active message move tasks, the most that an account may have", active)
	}
	t := &moveTask{source: source, before: source.nextSeq.Load(), cancelled: make(chan struct{}), ended: make(chan struct{}), info: MoveTask{
		ID: uuid.NewString(), SourceARN: sourceARN, DestinationARN: destinationARN, MaxPerSecond: maxPerSecond,
		Status: MoveRunning, StartedAt: time.Now(), ToMove: source.counts().visible,
	}}
	if n := len(tasks); n > 0 {
		t.number = tasks[n-1].number + 1
	}
	b := s.store.NewBatch()
	tasks = append(slices.Clone(tasks), t)
	for ; len(tasks) > maxMovesListed; tasks = tasks[1:] {
		b.Delete(tasks[0].key())
	}
	if err := t.save(b); err != nil {
		b.Discard()
		return MoveTask{}, err
	}
	if err := b.Commit(); err != nil {
		return MoveTask{}, err
	}
	s.moves[source.name] = tasks
	info := t.info
	s.background.Go(func() { s.move(t) })
	return info, nil
}

// Moves returns the last tasks of a source, the newest first, at most
// [maxMovesListed].
func (s *Service) Moves(sourceARN string) ([]MoveTask, error) {
	tasks, err := s.tasksOf(sourceARN)
	out := []MoveTask{}
	for _, t := range slices.Backward(tasks) {
		out = append(out, t.state())
	}
	return out, err
}

// tasksOf returns the tasks of a source, the oldest first.
func (s *Service) tasksOf(sourceARN string) ([]*moveTask, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	source, ok := s.lookup(sourceARN)
	if !ok {
		return nil, noSuchResource("SourceArn", sourceARN)
	}
	return s.moves[source.name], nil
}

// CancelMove stops a running task; what it has moved stays moved. It returns
// how many messages that is.
func (s *Service) CancelMove(handle string) (moved int, err error) {
	h, err := parseTaskHandle(handle)
	if err != nil {
		return 0, err
	}
	tasks, err := s.tasksOf(h.SourceARN)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(tasks, func(t *moveTask) bool { return t.state().ID == h.TaskID })
	if i < 0 {
		return 0, &awswire.Error{Code: "ResourceNotFoundException", Status: http.StatusNotFound, Message: fmt.Sprintf("Task does not exist (%s of %s)", h.TaskID, h.SourceARN)}
	}
	t := tasks[i]
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.info.Status != MoveRunning {
		return 0, unsupported("the message move task is %s: only a RUNNING one can be cancelled", t.info.Status)
	}
	t.info.Status = MoveCancelling
	b := s.store.NewBatch()
	if err := t.save(b); err != nil {
		b.Discard()
		return 0, err
	}
	if err := b.Commit(); err != nil {
		return 0, err
	}
	close(t.cancelled)
	return t.info.Moved, nil
}

// loadMoves reads the tasks back from the store, and goes on with those that
// had not ended.
func (s *Service) loadMoves() error {
	var unfinished []*moveTask
	for _, q := range s.queues {
		for e, err := range s.store.Scan(store.Prefix(store.NewKey("sqs.move").String(q.name))) {
			if err != nil {
				return err
			}
			var saved savedMove
			if err := json.Unmarshal(e.Value, &saved); err != nil {
				return fmt.Errorf("sqs: a message move task of queue %q in the store: %w", q.name, err)
			}
			t := &moveTask{number: e.Key.LastUint(), before: saved.Before, source: q, info: saved.MoveTask,
				cancelled: make(chan struct{}), ended: make(chan struct{})}
			s.moves[q.name] = append(s.moves[q.name], t)
			if t.info.Status != MoveRunning && t.info.Status != MoveCancelling {
				close(t.ended)
				continue
			}
			unfinished = append(unfinished, t)
		}
	}
	for _, t := range unfinished {
		s.background.Go(func() { s.move(t) })
	}
	return nil
}

// move does a task's steps until it ends or the service is closed.
func (s *Service) move(t *moveTask) {
	step, pause := moveStep, time.Duration(0)
	if rate := t.state().MaxPerSecond; rate > 0 {
		// Ten commits a second, or one a message if there are fewer.
		step = max(1, rate/10)
		pause = time.Duration(step) * time.Second / time.Duration(rate)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.cancelled:
		case <-timer.C:
		}
		more, err := s.moveSome(t, step)
		if err != nil {
			s.config.Logger.Error("a message move task stopped; it goes on after a restart", "queue", t.source.name, "error", err)
		}
		if !more || err != nil {
			close(t.ended)
			return
		}
		timer.Reset(pause)
	}
}

// moveSome moves up to most messages in one commit, and reports whether there
// may be more to move.
func (s *Service) moveSome(t *moveTask, most int) (more bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now, err := s.find(t.source.name); err != nil || now != t.source {
		return false, nil // deleted, and the task's record with it
	}
	before := t.info
	b := s.store.NewBatch()
	picked := &picked{}
	var sent []sending
	switch {
	case t.info.Status == MoveCancelling:
		t.info.Status = MoveCancelled
	case time.Since(t.info.StartedAt) > maxMoveTime:
		t.fail(fmt.Sprintf("The task has run for %v, the longest that one may", maxMoveTime))
	default:
		if picked, err = t.source.pick(most, t.before); err == nil {
			sent, err = s.prepareMoves(b, t, picked)
		}
		if err == nil && t.info.Status == MoveRunning && len(picked.seqs) < most {
			t.info.Status = MoveCompleted
		}
	}
	if err == nil {
		err = t.save(b)
	}
	if err != nil {
		b.Discard()
	} else {
		err = b.Commit()
	}
	if err != nil {
		t.info, sent = before, nil
	}
	t.source.putBack(picked, len(sent))
	admit(sent)
	return t.info.Status == MoveRunning, err
}

func (t *moveTask) fail(reason string) { t.info.Status, t.info.FailureReason = MoveFailed, reason }

// prepareMoves adds the moves of picked messages to a batch, up to the first
// that has no place to go, which fails the task. The caller holds the task's mu.
func (s *Service) prepareMoves(b *store.Batch, t *moveTask, p *picked) (sent []sending, err error) {
	for i, m := range p.messages {
		to := t.info.DestinationARN
		if to == "" {
			to = m.DeadLetterSource
		}
		if to == "" {
			t.fail("CouldNotDetermineMessageSource") // it was sent to the DLQ directly
			return sent, nil
		}
		destination, err := s.findARN(to)
		if err != nil {
			t.fail("AWS.SimpleQueueService.NonExistentQueue")
			return sent, nil
		}
		// A moved message is a new one, with an id and an enqueue time of its own
		// ("Learn how to configure a dead-letter queue redrive in Amazon SQS").
		m.ID, m.SentAt, m.DeadLetterSource = uuid.NewString(), time.Now(), ""
		one, err := destination.prepare(b, m, destination.delay())
		if err != nil {
			return nil, err
		}
		b.Delete(t.source.messageKey(p.seqs[i]))
		b.Delete(t.source.stateKey(p.seqs[i]))
		sent = append(sent, one)
		t.info.Moved++
	}
	return sent, nil
}

// picked are messages on their way out of a queue: for receivers they are gone.
type picked struct {
	seqs     []uint64
	entries  []*entry
	messages []*Message
	cleared  int // the queue's at that time
}

// pick takes up to most visible messages with numbers below before.
func (q *queue) pick(most int, before uint64) (*picked, error) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reveal(now)
	p := &picked{cleared: q.cleared}
	var stay []uint64
	rest := q.ready
	for len(rest) > 0 && len(p.seqs) < most {
		seq := rest[0]
		m, ok := q.messages[seq]
		switch {
		case !ok || m.state != visible: // deleted, or hidden anew, since it became visible
		case seq >= before || now.Sub(m.sentAt) > q.settings.retention:
			stay = append(stay, seq)
		default:
			message, err := q.read(seq, m)
			if err != nil {
				return p, err
			}
			q.release(m)
			delete(q.messages, seq)
			if message != nil {
				p.seqs, p.entries, p.messages = append(p.seqs, seq), append(p.entries, m), append(p.messages, message)
			}
		}
		rest = rest[1:]
	}
	if len(stay) > 0 {
		rest = slices.Concat(stay, rest)
	}
	q.ready = rest
	return p, nil
}

// putBack makes the messages behind the first moved ones of p visible again,
// unless the queue was cleared of them in the meantime.
func (q *queue) putBack(p *picked, moved int) {
	if moved == len(p.seqs) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cleared != p.cleared {
		return
	}
	for i := moved; i < len(p.seqs); i++ {
		q.messages[p.seqs[i]] = p.entries[i]
	}
	q.ready = slices.Concat(p.seqs[moved:], q.ready)
	q.wakeReceivers()
}
