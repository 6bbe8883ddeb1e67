package lambda

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

// Queues is what Lambda needs of SQS. Its methods may be called by many
// goroutines at once.
type Queues interface {
	// Receive waits up to wait for a message, and returns at once what there
	// is then: up to max messages, whose bodies have up to maxBytes bytes
	// together, but at least one. Without any it returns none and no error.
	// What it returns counts as received, and is hidden for the queue's
	// visibility timeout.
	Receive(ctx context.Context, queueARN string, max, maxBytes int, wait time.Duration) ([]QueueMessage, error)
	// Delete removes messages by their receipt handles, any number of them.
	// One that is gone already is not an error.
	Delete(ctx context.Context, queueARN string, receiptHandles []string) error
	// Send sends a message to a queue, and returns when it is durable.
	Send(ctx context.Context, queueARN, body string) error
	// VisibilityTimeout is how long the queue hides what was received.
	VisibilityTimeout(queueARN string) (time.Duration, error)
	// Policy is the queue's policy; nil: it has none.
	Policy(queueARN string) *policy.Policy
}

const (
	longPoll = 20 * time.Second // how long one receive waits on an empty queue
	// gatherPause lets messages come together between two receives for one
	// batch: fewer receives, for a batch that is later by this at most.
	gatherPause = 10 * time.Millisecond
)

// poller moves the messages of one queue into invocations. But for the
// deliveries, it is the work of one goroutine.
type poller struct {
	m          *mapping
	source     string // the end of every record, see queueSource
	slots      slots
	deliveries sync.WaitGroup

	// left are messages that were received at leftAt, and did not fit into
	// the batch.
	left   []QueueMessage
	leftAt time.Time
	// expansion is how many bytes of an event a byte of a body has taken of
	// late: what surrounds it in a record, and its escaping.
	expansion float64
	eventSize int // of the last event
}

func newPoller(m *mapping) *poller {
	return &poller{
		m:         m,
		source:    queueSource(m.source, m.l.cfg.Region),
		slots:     slots{freed: make(chan struct{}, 1), thriving: true},
		expansion: 2,
	}
}

// queueBatch is a batch of messages.
type queueBatch struct {
	event
	receivedAt time.Time // its first message
	ids        []string
	handles    []string
}

// poll gathers batches and delivers them, until ctx ends: then it still
// delivers what it has received.
func (p *poller) poll(ctx context.Context, spec Mapping) {
	p.slots.configure(spec.MaximumConcurrency)
	for ctx.Err() == nil || len(p.left) > 0 && p.m.l.ctx.Err() == nil {
		wait := ctx
		if len(p.left) > 0 {
			wait = p.m.l.ctx
		}
		if !p.slots.acquire(wait) {
			continue
		}
		b := p.gather(ctx, &spec)
		if b.records == 0 {
			p.slots.release()
			continue
		}
		p.eventSize = len(b.payload) + 1<<10
		p.m.counters.batches.Add(1)
		p.m.inFlight.Add(1)
		p.deliveries.Go(func() {
			defer p.slots.release()
			defer p.m.inFlight.Add(-1)
			p.deliver(&spec, b)
		})
	}
}

// gather returns the next batch; an empty one if there are no messages.
func (p *poller) gather(ctx context.Context, spec *Mapping) *queueBatch {
	b := &queueBatch{event: event{size: p.eventSize}}
	if left := p.left; len(left) > 0 {
		p.left = nil
		p.add(spec, b, left, p.leftAt)
	}
	for b.records == 0 { // more than once if the filter wanted nothing
		if !p.receive(ctx, spec, b, longPoll) {
			p.slots.rest()
			return b
		}
	}
	closes := time.Now().Add(spec.Window)
	for len(p.left) == 0 && len(b.ids) < spec.BatchSize {
		if average := len(b.payload) / b.records; b.room() < average {
			break // the next message would most likely not fit
		}
		wait := time.Until(closes)
		if wait <= 0 || !pause(ctx, min(wait, gatherPause)) || !p.receive(ctx, spec, b, time.Until(closes)) {
			break
		}
	}
	return b
}

// receive adds what the queue has to a batch, and reports whether there was
// something within wait.
func (p *poller) receive(ctx context.Context, spec *Mapping, b *queueBatch, wait time.Duration) bool {
	if !p.m.permitted(ctx, "ReceiveMessage") {
		return false
	}
	maxBytes := max(1, int(float64(b.room())/p.expansion))
	messages, err := p.m.l.cfg.Queues.Receive(ctx, p.m.source, spec.BatchSize-len(b.ids), maxBytes, wait)
	if err != nil && ctx.Err() == nil {
		p.m.l.cfg.Logger.Error("a queue could not be received from", "function", spec.Function, "queue", p.m.source, "error", err)
		pause(ctx, time.Second)
	}
	p.m.counters.polled.add(len(messages))
	p.add(spec, b, p.wanted(spec, messages), time.Now())
	return len(messages) > 0
}

// wanted returns the messages that pass the mapping's filter, and deletes the
// others ("Using event filtering with an Amazon SQS event source").
func (p *poller) wanted(spec *Mapping, messages []QueueMessage) []QueueMessage {
	if spec.Filter == nil {
		return messages
	}
	var unwanted []string
	wanted := slices.DeleteFunc(messages, func(m QueueMessage) bool {
		wants := spec.Filter(filterRecord(m.Body))
		if !wants {
			unwanted = append(unwanted, m.ReceiptHandle)
		}
		return !wants
	})
	p.m.counters.filteredOut.add(len(unwanted))
	if len(unwanted) > 0 {
		p.delete(unwanted)
	}
	return wanted
}

// delete deletes messages from the queue, and returns how many it has.
func (p *poller) delete(handles []string) int {
	if !p.m.permitted(p.m.l.ctx, "DeleteMessage") {
		return 0
	}
	if err := p.m.l.cfg.Queues.Delete(context.WithoutCancel(p.m.l.ctx), p.m.source, handles); err != nil {
		p.m.l.cfg.Logger.Error("messages that are done with could not be deleted and will come again", "queue", p.m.source, "messages", len(handles), "error", err)
		return 0
	}
	return len(handles)
}

// add puts messages into a batch, and what does not fit aside.
func (p *poller) add(spec *Mapping, b *queueBatch, messages []QueueMessage, receivedAt time.Time) {
	if b.records == 0 {
		b.receivedAt = receivedAt
	}
	before, bodies := len(b.payload), 0
	for i := range messages {
		m := &messages[i]
		if len(b.ids) == spec.BatchSize || !b.add(func(dst []byte) []byte { return appendQueueRecord(dst, m, p.source) }) {
			p.left, p.leftAt = messages[i:], receivedAt
			break
		}
		b.ids = append(b.ids, m.ID)
		b.handles = append(b.handles, m.ReceiptHandle)
		bodies += len(m.Body)
	}
	if bodies > 0 {
		p.expansion = float64(len(b.payload)-before) / float64(bodies)
	}
}

// deliver invokes the function with a batch, and deletes what it has handled.
func (p *poller) deliver(spec *Mapping, b *queueBatch) {
	l, c := p.m.l, &p.m.counters
	result, err := p.invoke(spec, b)
	var handled []string
	if err == nil {
		handled = b.handled(spec, result)
	}
	c.failedInvoke.add(b.records - len(handled))
	if err != nil {
		p.slots.backOff()
		if !isThrottle(err) && l.ctx.Err() == nil {
			l.cfg.Logger.Error("a batch could not be handed to its function", "function", spec.Function, "messages", b.records, "error", err)
		}
		return
	}
	c.invocations.Add(1)
	// With ReportBatchItemFailures Lambda does not scale down when the
	// function fails (same page as at handled).
	if len(handled) > 0 || spec.ReportBatchItemFailures {
		p.slots.thrive()
	} else {
		p.slots.backOff()
	}
	if len(handled) > 0 {
		c.deleted.add(p.delete(handled))
	}
}

// handled returns the receipt handles of the messages that the function has
// handled. A batch whose answer names a message that is not in it has failed
// as a whole, as one whose answer is malformed ("Handling errors for an SQS
// event source in Lambda").
func (b *queueBatch) handled(spec *Mapping, result *Result) []string {
	if result.FunctionError != "" {
		return nil
	}
	if !spec.ReportBatchItemFailures {
		return b.handles
	}
	failed, ok := parseFailures(result.Payload)
	if !ok {
		return nil
	}
	if len(failed) == 0 {
		return b.handles
	}
	index := make(map[string]int, len(b.ids))
	for i, id := range b.ids {
		index[id] = i
	}
	isFailed := make([]bool, len(b.ids))
	for _, id := range failed {
		i, known := index[id]
		if !known {
			return nil
		}
		isFailed[i] = true
	}
	var handled []string
	for i, handle := range b.handles {
		if !isFailed[i] {
			handled = append(handled, handle)
		}
	}
	return handled
}

// invoke invokes the function with a batch, and again while it is throttled,
// until the messages become visible again ("Handling errors for an SQS event
// source in Lambda", backoff strategy).
func (p *poller) invoke(spec *Mapping, b *queueBatch) (*Result, error) {
	visibility, err := p.m.l.cfg.Queues.VisibilityTimeout(p.m.source)
	if err != nil {
		return nil, err
	}
	payload := b.close()
	for wait := (backOff{}); ; {
		p.m.counters.invoked.add(b.records)
		result, err := p.m.l.invoke(p.m.l.ctx, spec.Function, payload)
		if !isThrottle(err) {
			p.m.chargeBatch(b.records, result)
			return result, err
		}
		p.m.counters.throttles.Add(1)
		p.slots.backOff()
		d := wait.next()
		if time.Until(b.receivedAt.Add(visibility)) <= d || !pause(p.m.l.ctx, d) {
			return nil, err
		}
		p.m.counters.failedInvoke.add(b.records)
	}
}

// slots are the invocations that a queue's mapping may have at once
// ("Configuring scaling behavior for SQS event source mappings"): 5 at first,
// up to 300 more a minute while all are in use, back to 5 when the queue is
// empty, and fewer after failures.
type slots struct {
	freed chan struct{} // has an element if a slot may have become free

	mu       sync.Mutex
	used     int
	limit    int
	most     int
	thriving bool // the last batch did not fail
}

const (
	firstSlots = 5
	moreSlots  = time.Minute / 300 // one more slot in this time
	mostSlots  = 1_250
)

func (s *slots) configure(maximum int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = mostSlots
	if maximum > 0 {
		s.most = maximum
	}
	if s.limit == 0 {
		s.limit = firstSlots
	}
	s.limit = min(s.limit, s.most)
}

// acquire takes a slot, and reports whether it could before ctx ended.
func (s *slots) acquire(ctx context.Context) bool {
	grow := time.NewTicker(moreSlots)
	defer grow.Stop()
	for {
		s.mu.Lock()
		free := s.used < s.limit
		if free {
			s.used++
		}
		s.mu.Unlock()
		if free {
			return true
		}
		select {
		case <-s.freed:
		case <-grow.C:
			s.mu.Lock()
			if s.thriving {
				s.limit = min(s.limit+1, s.most)
			}
			s.mu.Unlock()
		case <-ctx.Done():
			return false
		}
	}
}

func (s *slots) release() {
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// rest says that the queue is empty.
func (s *slots) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = min(s.limit, firstSlots)
}

// backOff halves the slots, after a failure.
func (s *slots) backOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.thriving = max(1, s.limit/2), false
}

// thrive lets the slots grow again, after a success.
func (s *slots) thrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.thriving = true
}
