package sqs

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
// stay in the store, but for those that were sent of late (see keep).
type queue struct {
	service *Service
	name    string
	arn     string
	nextSeq atomic.Uint64
	// The beginnings of the keys of its messages and their states.
	messageKeys, stateKeys store.Key
	figures                figures
	used                   atomic.Int64 // when, in seconds since 1970

	mu       sync.Mutex
	saved    savedQueue
	settings settings
	messages map[uint64]*entry
	ready    []uint64 // visible, roughly in the order in which they became so
	hidden   hidden   // in flight or delayed, by the time they become visible
	inFlight int
	delayed  int
	cleared  int           // how often the queue was cleared
	arrived  chan struct{} // closed when a message becomes visible by an act of somebody; nil if nobody waits for that
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
	message        *Message // nil: it is in the store only
}

type state uint8

const (
	visible state = iota
	inFlight
	delayed
)

func newQueue(s *Service, saved savedQueue, settings settings) *queue {
	q := &queue{service: s, name: saved.Name, arn: s.ARN(saved.Name), saved: saved, settings: settings,
		messageKeys: store.NewKey("sqs.message").String(saved.Name), stateKeys: store.NewKey("sqs.state").String(saved.Name),
		messages: map[uint64]*entry{}, figures: newFigures(s.config.Metrics, saved.Name)}
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

// A message has a record of its own, which is written once and says what its
// state is at first. From its first receive on its state has a record too, which
// is written at every receive and change of visibility.
func (q *queue) messageKey(seq uint64) store.Key { return q.messageKeys.Uint(seq) }

func (q *queue) stateKey(seq uint64) store.Key { return q.stateKeys.Uint(seq) }

// load reads the queue's messages back from the store.
func (q *queue) load() error {
	for e, err := range q.service.store.Scan(store.Prefix(q.messageKeys)) {
		if err != nil {
			return err
		}
		m, err := decodeFirstState(e.Value)
		if err != nil {
			return err
		}
		q.messages[e.Key.LastUint()] = m
	}
	stale := q.service.store.NewBatch() // states that an older version left of messages that are gone
	for e, err := range q.service.store.Scan(store.Prefix(q.stateKeys)) {
		if err != nil {
			return err
		}
		m, err := decodeState(e.Value)
		if err != nil {
			return err
		}
		if seq := e.Key.LastUint(); q.messages[seq] != nil {
			q.messages[seq] = m
		} else {
			stale.Delete(e.Key)
		}
	}
	if err := stale.Commit(); err != nil {
		return err
	}
	now := time.Now()
	for _, seq := range slices.Sorted(maps.Keys(q.messages)) {
		q.nextSeq.Store(max(q.nextSeq.Load(), seq+1))
		q.place(seq, q.messages[seq], now)
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
	q.hide(seq, m)
}

// hide counts a message that is not visible, and notes when it will be. The
// caller holds mu.
func (q *queue) hide(seq uint64, m *entry) {
	q.count(m.state, 1)
	// Messages that were deleted have left their wakes behind: not for long.
	if len(q.hidden) > 2*(q.inFlight+q.delayed)+1000 {
		q.hidden = slices.DeleteFunc(q.hidden, func(w wake) bool { return !q.wakes(w) })
		heap.Init(&q.hidden)
	}
	heap.Push(&q.hidden, wake{m.visibleAt, seq})
}

// wakes reports whether a wake is for a message that is hidden until then, and
// not one that was deleted, or whose visibility was changed since. The caller
// holds mu.
func (q *queue) wakes(w wake) bool {
	m, ok := q.messages[w.seq]
	return ok && m.state != visible && m.visibleAt.Equal(w.at)
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
		if !q.wakes(w) {
			continue
		}
		m := q.messages[w.seq]
		q.count(m.state, -1)
		m.state = visible
		q.ready = append(q.ready, w.seq)
	}
}

// wakeReceivers tells waiting receivers to look again. The caller holds mu.
func (q *queue) wakeReceivers() {
	if q.arrived != nil {
		close(q.arrived)
		q.arrived = nil
	}
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
	at := time.Now().Add(delay)
	seq := q.nextSeq.Add(1) - 1
	if err := m.put(b, q.messageKey(seq), at); err != nil {
		return sending{}, err
	}
	return sending{q, seq, &entry{sentAt: m.SentAt, enteredAt: m.SentAt, visibleAt: at, message: m}, m.size()}, nil
}

// admit puts prepared messages into their queues.
func admit(sent []sending) {
	now := time.Now()
	for len(sent) > 0 {
		q := sent[0].queue
		q.mu.Lock()
		for len(sent) > 0 && sent[0].queue == q {
			s := sent[0]
			sent = sent[1:]
			q.keep(s)
			q.messages[s.seq] = s.state
			q.place(s.seq, s.state, now)
		}
		q.wakeReceivers()
		q.mu.Unlock()
	}
}

// maxKept bounds the messages that a service keeps in memory, in bytes. Most are
// received soon after they were sent, and need not be read back then.
const maxKept = 16 << 20

// keep lets a message that is new to the queue stay in memory until it is
// received first, if there is room. The caller holds mu.
func (q *queue) keep(s sending) {
	if q.service.kept.Add(int64(s.bytes)) > maxKept {
		q.service.kept.Add(-int64(s.bytes))
		s.state.message = nil
	}
}

// release gives up the memory of a message that was kept. The caller holds mu.
func (q *queue) release(m *entry) {
	if m.message != nil {
		q.service.kept.Add(-int64(m.message.size()))
		m.message = nil
	}
}

// drop takes a message out of the queue, and its records out of the store with a
// batch. The caller holds mu.
func (q *queue) drop(b *store.Batch, seq uint64, m *entry) {
	q.release(m)
	q.count(m.state, -1)
	delete(q.messages, seq)
	b.Delete(q.messageKey(seq))
	if m.receives > 0 { // else it has no record of its state
		b.Delete(q.stateKey(seq))
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
	var deadline <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		deadline = timer.C
	}
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
		case <-deadline:
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
	if q.arrived == nil {
		q.arrived = make(chan struct{})
	}
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
		message, readErr := q.read(seq, m)
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
			message.DeadLetterSource = q.arn
			s, prepareErr := dlq.queue.prepare(batch, message, 0)
			if prepareErr != nil {
				q.mu.Unlock()
				batch.Discard()
				return nil, nil, next, prepareErr
			}
			s.state.receives, s.state.firstReceived = m.receives, m.firstReceived
			s.state.enteredAt, s.state.receivesBefore = now, m.receives
			batch.Set(dlq.queue.stateKey(s.seq), s.state.encode())
			q.drop(batch, seq, m)
			dead = append(dead, s)
			used++
			continue
		}
		if limits.bytes > 0 && len(out) > 0 && bytes+len(message.Body) > limits.bytes {
			break
		}
		bytes += len(message.Body)
		used++
		q.release(m)
		m.receives++
		if m.firstReceived.IsZero() {
			m.firstReceived = now
		}
		m.lastReceived = now
		m.visibleAt = now.Add(visibility)
		m.state = inFlight
		q.hide(seq, m)
		batch.Set(q.stateKey(seq), m.encode())
		out = append(out, Received{message, receipt{q.name, seq, m.receives}.handle(), m.receives, m.firstReceived})
	}
	q.ready = q.ready[used:]
	batch.Begin()
	q.mu.Unlock()
	if err := batch.End(); err != nil {
		return nil, nil, next, err
	}
	admit(dead)
	q.figures.received.AddN(1, len(out))
	return out, arrived, next, nil
}

// errTooManyInFlight refuses a receive from a queue that is at maxInFlight.
var errTooManyInFlight = &awswire.Error{Code: "OverLimit", Status: http.StatusForbidden,
	Message: fmt.Sprintf("the queue has %d messages in flight, the most that SQS allows: delete some", maxInFlight)}

// read returns a message; nil if the queue was cleared while the message was on
// its way into it. The caller holds mu, and owns the message once it has called
// release.
func (q *queue) read(seq uint64, m *entry) (*Message, error) {
	if m.message != nil {
		return m.message, nil
	}
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
		q.drop(batch, r.seq, m)
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
	batch.Begin() // the next receive must not come before it
	q.mu.Unlock()
	return batch.End()
}

// expire removes the messages that are older than the queue's retention.
func (q *queue) expire() error {
	batch := q.service.store.NewBatch()
	now := time.Now()
	q.mu.Lock()
	for seq, m := range q.messages {
		if now.Sub(m.sentAt) > q.settings.retention {
			q.drop(batch, seq, m)
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
	for _, key := range []store.Key{q.messageKeys, q.stateKeys} {
		b.DeleteRange(key, key.After())
	}
	for _, m := range q.messages {
		q.release(m)
	}
	clear(q.messages)
	q.cleared++
	q.ready, q.hidden, q.inFlight, q.delayed = nil, nil, 0, 0
}

// encode writes a message's state for the store. Times are in milliseconds,
// as SQS reports them; 0 is never. That of becoming visible is rounded up: a
// message must not come back early after a restart.
func (m *entry) encode() []byte {
	out := make([]byte, 0, 48)
	for _, v := range []int64{millis(m.visibleAt.Add(time.Millisecond - 1)), millis(m.sentAt), millis(m.firstReceived), int64(m.receives), millis(m.lastReceived)} {
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
