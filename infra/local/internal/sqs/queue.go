package sqs

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// maxInFlight is how many messages of a standard queue may be received and not
// yet deleted ("Amazon SQS message quotas").
const maxInFlight = 120_000

// maxVisibility is for how long one receive may hide a message, in all
// ("ChangeMessageVisibility", Amazon SQS API reference).
const maxVisibility = 12 * time.Hour

// queue is one queue. What it keeps in memory for a message is small; bodies
// stay in the store.
type queue struct {
	service *Service
	name    string
	nextSeq atomic.Uint64
	figures figures
	used    atomic.Int64 // when, in seconds since 1970

	mu       sync.Mutex
	saved    savedQueue
	settings settings
	messages map[uint64]*entry
	ready    []uint64 // visible, roughly in the order in which they became so
	hidden   hidden   // in flight or delayed, by the time they become visible
	inFlight int
	delayed  int
	cleared  int           // how often the queue was cleared
	arrived  chan struct{} // closed and replaced when a message becomes visible by an act of somebody
}

// entry is a message as the queue sees it.
type entry struct {
	visibleAt     time.Time
	sentAt        time.Time
	firstReceived time.Time
	lastReceived  time.Time
	receives      int
	// Of a message that redrive brought: when, and how often it had been received.
	// Of any other, enteredAt is sentAt.
	enteredAt      time.Time
	receivesBefore int
	state          state
}

type state uint8

const (
	visible state = iota
	inFlight
	delayed
)

func newQueue(s *Service, saved savedQueue, settings settings) *queue {
	q := &queue{service: s, name: saved.Name, saved: saved, settings: settings,
		messages: map[uint64]*entry{}, arrived: make(chan struct{}), figures: newFigures(s.config.Metrics, saved.Name)}
	q.touch(time.Now())
	// Numbers begin behind those of any queue of this name before, so that a
	// receipt handle never comes to stand for another message.
	q.nextSeq.Store(uint64(time.Now().UnixMicro()))
	return q
}

func (q *queue) config() savedQueue {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.saved
}

func (q *queue) configure(saved savedQueue, settings settings) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.saved, q.settings = saved, settings
}

func (q *queue) tag(saved savedQueue) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.saved = saved
}

func (q *queue) counts() counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reveal(time.Now())
	return counts{len(q.messages) - q.inFlight - q.delayed, q.inFlight, q.delayed}
}

// A message has two records: the message itself, written once, and its state,
// written at every receive and change of visibility.
func (q *queue) messageKey(seq uint64) store.Key {
	return store.NewKey("sqs.message").String(q.name).Uint(seq)
}

func (q *queue) stateKey(seq uint64) store.Key {
	return store.NewKey("sqs.state").String(q.name).Uint(seq)
}

// load reads the queue's messages back from the store.
func (q *queue) load() error {
	now := time.Now()
	for e, err := range q.service.store.Scan(store.Prefix(store.NewKey("sqs.state").String(q.name))) {
		if err != nil {
			return err
		}
		m, err := decodeState(e.Value)
		if err != nil {
			return err
		}
		seq := e.Key.LastUint()
		q.nextSeq.Store(max(q.nextSeq.Load(), seq+1))
		q.messages[seq] = m
		q.place(seq, m, now)
	}
	return nil
}

// place puts a message where its state says. The caller holds mu.
func (q *queue) place(seq uint64, m *entry, now time.Time) {
	if !m.visibleAt.After(now) {
		m.state = visible
		q.ready = append(q.ready, seq)
		return
	}
	m.state = delayed
	if m.receives > 0 {
		m.state = inFlight
	}
	q.count(m.state, 1)
	heap.Push(&q.hidden, wake{m.visibleAt, seq})
}

func (q *queue) count(s state, by int) {
	switch s {
	case inFlight:
		q.inFlight += by
	case delayed:
		q.delayed += by
	}
}

// reveal makes visible what has become so by now. The caller holds mu.
func (q *queue) reveal(now time.Time) {
	for len(q.hidden) > 0 && !q.hidden[0].at.After(now) {
		w := heap.Pop(&q.hidden).(wake)
		m, ok := q.messages[w.seq]
		// A message that was deleted, or whose visibility was changed since,
		// has left its old wake behind.
		if !ok || m.state == visible || !m.visibleAt.Equal(w.at) {
			continue
		}
		q.count(m.state, -1)
		m.state = visible
		q.ready = append(q.ready, w.seq)
	}
}

// wakeReceivers tells waiting receivers to look again. The caller holds mu.
func (q *queue) wakeReceivers() {
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// wake is wakeReceivers for a caller that does not hold mu.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wakeReceivers()
}

// sending is a message on its way into a queue: prepared, then made durable
// together with others, then admitted.
type sending struct {
	queue *queue
	seq   uint64
	state *entry
	bytes int // the message's size
}

// prepare adds a message to a batch. It is in the queue once the batch is
// durable and admit was called.
func (q *queue) prepare(b *store.Batch, m *Message, delay time.Duration) (sending, error) {
	data, err := m.encode()
	if err != nil {
		return sending{}, err
	}
	seq := q.nextSeq.Add(1) - 1
	s := sending{q, seq, &entry{sentAt: m.SentAt, enteredAt: m.SentAt, visibleAt: time.Now().Add(delay)}, m.size()}
	b.Set(q.messageKey(seq), data)
	b.Set(q.stateKey(seq), s.state.encode())
	return s, nil
}

// admit puts prepared messages into their queues.
func admit(sent []sending) {
	for _, s := range sent {
		s.queue.mu.Lock()
		s.queue.messages[s.seq] = s.state
		s.queue.place(s.seq, s.state, time.Now())
		s.queue.wakeReceivers()
		s.queue.mu.Unlock()
	}
}

// receiveLimits bound one receive: how many messages, and how many bytes of
// bodies (0: any; a first message is given whatever its size).
type receiveLimits struct {
	messages int
	bytes    int
}

// receive waits up to wait for a message to be visible, and hands out what
// there is then, hidden from others for the visibility timeout. It returns
// nothing and no error when the wait ends without a message.
func (q *queue) receive(ctx context.Context, limits receiveLimits, visibility, wait time.Duration) ([]Received, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		out, arrived, next, err := q.take(limits, visibility)
		if errors.Is(err, errTooManyInFlight) && wait > 0 {
			err = nil // a long poll waits instead ("Amazon SQS message quotas")
		}
		if err != nil || len(out) > 0 {
			return out, err
		}
		if wait <= 0 {
			q.figures.emptyReceives.Add(1)
			return nil, nil
		}
		var becomesVisible <-chan time.Time
		if !next.IsZero() {
			timer := time.NewTimer(time.Until(next))
			defer timer.Stop()
			becomesVisible = timer.C
		}
		select {
		case <-arrived:
		case <-becomesVisible:
		case <-deadline.C:
			q.figures.emptyReceives.Add(1)
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take hands out what is visible now. With nothing visible it returns the
// channel that tells of arrivals, and when the next hidden message becomes
// visible.
func (q *queue) take(limits receiveLimits, visibility time.Duration) (out []Received, arrived <-chan struct{}, next time.Time, err error) {
	// Found before mu is taken: the service's lock comes before a queue's.
	dlq := q.deadLetterQueue()
	now := time.Now()
	q.touch(now)
	q.mu.Lock()
	q.reveal(now)
	arrived = q.arrived
	if len(q.hidden) > 0 {
		next = q.hidden[0].at
	}
	if len(q.ready) == 0 {
		q.mu.Unlock()
		return nil, arrived, next, nil
	}
	if q.inFlight >= maxInFlight {
		q.mu.Unlock()
		return nil, arrived, next, errTooManyInFlight
	}
	batch := q.service.store.NewBatch()
	var (
		dead  []sending
		bytes int
		used  int // how many of ready are dealt with
	)
	for _, seq := range q.ready {
		m, ok := q.messages[seq]
		if !ok || m.state != visible { // deleted, or hidden anew, since it became visible
			used++
			continue
		}
		if now.Sub(m.sentAt) > q.settings.retention {
			used++
			continue // the sweep removes it
		}
		if len(out) == limits.messages || q.inFlight >= maxInFlight {
			break
		}
		message, readErr := q.read(seq)
		if readErr != nil {
			q.ready = q.ready[used:]
			q.mu.Unlock()
			batch.Discard()
			return nil, nil, next, readErr
		}
		if message == nil {
			delete(q.messages, seq)
			used++
			continue
		}
		if dlq.queue != nil && m.receives >= dlq.maxReceives {
			message.DeadLetterSource = q.service.ARN(q.name)
			s, prepareErr := dlq.queue.prepare(batch, message, 0)
			if prepareErr != nil {
				q.mu.Unlock()
				batch.Discard()
				return nil, nil, next, prepareErr
			}
			s.state.receives, s.state.firstReceived = m.receives, m.firstReceived
			s.state.enteredAt, s.state.receivesBefore = now, m.receives
			batch.Set(dlq.queue.stateKey(s.seq), s.state.encode())
			batch.Delete(q.messageKey(seq))
			batch.Delete(q.stateKey(seq))
			delete(q.messages, seq)
			dead = append(dead, s)
			used++
			continue
		}
		if limits.bytes > 0 && len(out) > 0 && bytes+len(message.Body) > limits.bytes {
			break
		}
		bytes += len(message.Body)
		used++
		m.receives++
		if m.firstReceived.IsZero() {
			m.firstReceived = now
		}
		m.lastReceived = now
		m.visibleAt = now.Add(visibility)
		m.state = inFlight
		q.inFlight++
		heap.Push(&q.hidden, wake{m.visibleAt, seq})
		batch.Set(q.stateKey(seq), m.encode())
		out = append(out, Received{message, receipt{q.name, seq, m.receives}.handle(), m.receives, m.firstReceived})
	}
	q.ready = q.ready[used:]
	q.mu.Unlock()
	if err := batch.Commit(); err != nil {
		return nil, nil, next, err
	}
	admit(dead)
	q.figures.received.AddN(1, len(out))
	return out, arrived, next, nil
}

// errTooManyInFlight refuses a receive from a queue that is at maxInFlight.
var errTooManyInFlight = &awswire.Error{Code: "OverLimit", Status: http.StatusForbidden,
	Message: fmt.Sprintf("the queue has %d messages in flight, the most that SQS allows: delete some", maxInFlight)}

// read returns a message from the store; nil if the queue was cleared while the
// message was on its way into it.
func (q *queue) read(seq uint64) (*Message, error) {
	data, found, err := q.service.store.Get(q.messageKey(seq))
	if err != nil || !found {
		return nil, err
	}
	return decodeMessage(data)
}

// deadLetter is where messages go that were received too often; queue is nil
// if there is no such place.
type deadLetter struct {
	queue       *queue
	maxReceives int
}

// deadLetterQueue returns the queue's DLQ. One that was deleted takes nothing:
// messages stay.
func (q *queue) deadLetterQueue() deadLetter {
	q.mu.Lock()
	r := q.settings.redrive
	q.mu.Unlock()
	if r == nil {
		return deadLetter{}
	}
	target, err := q.service.findARN(r.target)
	if err != nil || target == q {
		return deadLetter{}
	}
	return deadLetter{target, r.maxReceives}
}

// remove deletes messages by their receipt handles and returns an error for
// each handle that is none; a message that is gone, or was received again
// since, is left as it is without an error ("DeleteMessage").
func (q *queue) remove(handles []string) ([]error, error) {
	errs := make([]error, len(handles))
	deleted := 0 // a message that is gone counts ("NumberOfMessagesDeleted")
	batch := q.service.store.NewBatch()
	q.mu.Lock()
	if q.inFlight >= maxInFlight {
		defer q.wake() // long polls wait for this
	}
	for i, handle := range handles {
		r, err := q.parseReceipt(handle)
		if err != nil {
			errs[i] = err
			continue
		}
		deleted++
		m, ok := q.messages[r.seq]
		if !ok || m.receives != r.receives {
			continue
		}
		q.count(m.state, -1)
		delete(q.messages, r.seq)
		batch.Delete(q.messageKey(r.seq))
		batch.Delete(q.stateKey(r.seq))
	}
	q.mu.Unlock()
	if err := batch.Commit(); err != nil {
		return errs, err
	}
	q.figures.deleted.AddN(1, deleted)
	return errs, nil
}

// changeVisibility hides a message in flight for so long from now on; 0 gives
// it back at once.
func (q *queue) changeVisibility(handle string, visibility time.Duration) error {
	r, err := q.parseReceipt(handle)
	if err != nil {
		return err
	}
	q.mu.Lock()
	now := time.Now()
	q.reveal(now)
	m, ok := q.messages[r.seq]
	if !ok {
		q.mu.Unlock()
		return awswire.Errorf("InvalidParameterValue", "Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change", handle)
	}
	if m.state != inFlight || m.receives != r.receives {
		q.mu.Unlock()
		return &awswire.Error{Code: "MessageNotInflight", QueryCode: "AWS.SimpleQueueService.MessageNotInflight",
			Message: "The message referred to isn't in flight"}
	}
	if now.Add(visibility).Sub(m.lastReceived) > maxVisibility {
		q.mu.Unlock()
		return awswire.Errorf("InvalidParameterValue", "Value %d for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [%d seconds]",
			int(visibility/time.Second), int(maxVisibility/time.Second))
	}
	q.count(m.state, -1)
	m.visibleAt = now.Add(visibility)
	q.place(r.seq, m, now)
	q.wakeReceivers() // one that waits may now have to wake earlier
	batch := q.service.store.NewBatch()
	batch.Set(q.stateKey(r.seq), m.encode())
	q.mu.Unlock()
	return batch.Commit()
}

// expire removes the messages that are older than the queue's retention.
func (q *queue) expire() error {
	batch := q.service.store.NewBatch()
	now := time.Now()
	q.mu.Lock()
	for seq, m := range q.messages {
		if now.Sub(m.sentAt) > q.settings.retention {
			q.count(m.state, -1)
			delete(q.messages, seq)
			batch.Delete(q.messageKey(seq))
			batch.Delete(q.stateKey(seq))
		}
	}
	q.mu.Unlock()
	if batch.Empty() {
		batch.Discard()
		return nil
	}
	return batch.Commit()
}

// clear empties the queue in memory and adds the same to a batch.
func (q *queue) clear(b *store.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range []store.Key{store.NewKey("sqs.message").String(q.name), store.NewKey("sqs.state").String(q.name)} {
		b.DeleteRange(key, key.After())
	}
	clear(q.messages)
	q.cleared++
	q.ready, q.hidden, q.inFlight, q.delayed = nil, nil, 0, 0
}

// encode writes a message's state for the store. Times are in milliseconds,
// as SQS reports them; 0 is never.
func (m *entry) encode() []byte {
	out := make([]byte, 0, 48)
	for _, v := range []int64{millis(m.visibleAt), millis(m.sentAt), millis(m.firstReceived), int64(m.receives), millis(m.lastReceived)} {
		out = binary.AppendVarint(out, v)
	}
	if m.receivesBefore > 0 {
		out = binary.AppendVarint(out, millis(m.enteredAt))
		out = binary.AppendVarint(out, int64(m.receivesBefore))
	}
	return out
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func decodeState(data []byte) (*entry, error) {
	var fields [7]int64
	for i := range fields {
		v, n := binary.Varint(data)
		if n == 0 && i >= 4 {
			break // of a message that redrive did not bring, or of an older version
		}
		if n <= 0 {
			return nil, errDamaged
		}
		fields[i], data = v, data[n:]
	}
	m := &entry{receives: int(fields[3]), receivesBefore: int(fields[6])}
	for i, t := range map[int]*time.Time{0: &m.visibleAt, 1: &m.sentAt, 2: &m.firstReceived, 4: &m.lastReceived, 5: &m.enteredAt} {
		if fields[i] != 0 {
			*t = time.UnixMilli(fields[i])
		}
	}
	if m.enteredAt.IsZero() {
		m.enteredAt = m.sentAt
	}
	return m, nil
}

// hidden is a heap of the times at which messages become visible, the oldest
// message first among equals.
type hidden []wake

type wake struct {
	at  time.Time
	seq uint64
}

func (h hidden) Len() int { return len(h) }
func (h hidden) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h hidden) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *hidden) Push(x any)   { *h = append(*h, x.(wake)) }
func (h *hidden) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
