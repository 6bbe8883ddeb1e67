package lambda

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Streams is what Lambda needs of DynamoDB's streams. Its methods may be
// called by many goroutines at once.
type Streams interface {
	// Read returns up to max records that follow the sequence number after
	// (0: from the oldest), in order. It blocks until there is at least one,
	// and returns an error when ctx ends first.
	Read(ctx context.Context, streamARN string, after uint64, max int) ([]StreamRecord, error)
	// Latest returns the sequence number of the newest record ever written to
	// the stream; 0 if there was none.
	Latest(ctx context.Context, streamARN string) (uint64, error)
	// Trim says that no mapping needs the records up to a sequence number,
	// included; it may be a lower one than before.
	Trim(ctx context.Context, streamARN string, upTo uint64) error
}

// StreamRecord is a change of an item.
type StreamRecord struct {
	// Sequence orders the records of a stream, from 1 up. It is the record's
	// SequenceNumber, which may have leading zeros there: functions name
	// records by it.
	Sequence uint64
	Key      string    // the item's key: records of the same key stay in order
	At       time.Time // when the change was made; zero if that is not known
	JSON     []byte    // the record as functions get it
}

const (
	readAtOnce = 1_000 // records a read, the most of GetRecords
	// What is read ahead, so that one key's failing batch does not hold up
	// the others at once.
	maxAheadRecords = 20_000
	maxAheadBytes   = 32 << 20
	// streamRetention is how long a stream keeps its records ("Change data
	// capture for DynamoDB Streams").
	streamRetention = 24 * time.Hour
)

// The checkpoint of a mapping is the sequence number up to which its stream
// has been handled.
func checkpointKey(streamARN string) store.Key {
	return store.NewKey("lambda").String("checkpoint").String(streamARN)
}

func (m *mapping) checkpoint() (sequence uint64, known bool, err error) {
	data, known, err := m.l.cfg.Store.Get(checkpointKey(m.source).String(m.uuid))
	if err != nil || !known {
		return 0, false, err
	}
	if len(data) != 8 {
		return 0, false, fmt.Errorf("lambda: the checkpoint of mapping %s in the store is damaged", m.uuid)
	}
	return binary.BigEndian.Uint64(data), true, nil
}

func (m *mapping) saveCheckpoint(sequence uint64) error {
	b := m.l.cfg.Store.NewBatch()
	b.Set(checkpointKey(m.source).String(m.uuid), binary.BigEndian.AppendUint64(nil, sequence))
	return b.Commit()
}

// findStart makes sure that the mapping has a checkpoint: its starting
// position, if it has never run.
func (m *mapping) findStart(ctx context.Context) error {
	_, known, err := m.checkpoint()
	if err != nil || known {
		return err
	}
	start := uint64(0)
	if m.spec.StartingPosition == "LATEST" {
		if start, err = m.l.cfg.Streams.Latest(ctx, m.spec.SourceARN); err != nil {
			return err
		}
	}
	return m.saveCheckpoint(start)
}

// trim tells the stream what no mapping needs any more. Mappings that are
// remembered count, even if they are not at work.
func (l *Lambda) trim(streamARN string) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	lowest := uint64(math.MaxUint64)
	for e, err := range l.cfg.Store.Scan(store.Prefix(checkpointKey(streamARN))) {
		if err != nil {
			return err
		}
		lowest = min(lowest, binary.BigEndian.Uint64(e.Value))
	}
	return l.cfg.Streams.Trim(l.ctx, streamARN, lowest)
}

// shard reads a stream for one turn of a mapping.
//
// The life of a batch from a stream:
//
//  1. One reader reads ahead, passes over what the filter does not want, and
//     gives each record to a lane by its key. There are as many lanes as the
//     ParallelizationFactor says.
//  2. A lane takes a batch off its front when it has gathered enough, or its
//     window closes, and invokes the function.
//  3. A batch that fails, or the rest behind the first record that the answer
//     names, is tried again with growing waits, halved if the mapping says so,
//     until it succeeds or is dropped by attempts or age, and a destination is
//     told. The lane waits for it, so that the records of a key stay in order.
//  4. The checkpoint moves to the last record before which nothing is open in
//     any lane. After a restart reading goes on from there: what other lanes
//     had handled beyond it is handled again.
type shard struct {
	m    *mapping
	spec Mapping
	seed maphash.Seed

	mu         sync.Mutex
	lanes      []*lane
	read       uint64 // the last record read
	checkpoint uint64 // as saved
	ahead      int    // records in all lanes
	aheadBytes int
	freed      chan struct{} // has an element when ahead has become less
}

// lane is a part of the keys. shard's mu guards its records.
type lane struct {
	records []StreamRecord // not handled yet, in order
	arrived chan struct{}  // has an element when records were added
}

// readStream handles the stream's records until ctx ends and the batches under
// way have finished.
func (m *mapping) readStream(ctx context.Context, spec Mapping) {
	start, _, err := m.checkpoint()
	if err != nil {
		m.l.cfg.Logger.Error("a mapping cannot go on", "stream", spec.SourceARN, "error", err)
		<-ctx.Done()
		return
	}
	s := &shard{m: m, spec: spec, seed: maphash.MakeSeed(), read: start, checkpoint: start, freed: make(chan struct{}, 1)}
	var lanes sync.WaitGroup
	for range spec.ParallelizationFactor {
		ln := &lane{arrived: make(chan struct{}, 1)}
		s.lanes = append(s.lanes, ln)
		lanes.Go(func() { s.work(ctx, ln) })
	}
	s.readAhead(ctx)
	lanes.Wait()
}

// signal puts an element into a channel of size 1, if it has none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// readAhead reads the stream into the lanes until ctx ends.
func (s *shard) readAhead(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		after, full := s.read, s.ahead >= maxAheadRecords || s.aheadBytes >= maxAheadBytes
		s.mu.Unlock()
		if full {
			select {
			case <-s.freed:
			case <-ctx.Done():
			}
			continue
		}
		if !s.m.permitted(ctx, "GetRecords") {
			continue
		}
		records, err := s.m.l.cfg.Streams.Read(ctx, s.spec.SourceARN, after, readAtOnce)
		if err != nil {
			if ctx.Err() == nil {
				s.m.l.cfg.Logger.Error("a stream could not be read", "function", s.spec.Function, "stream", s.spec.SourceARN, "error", err)
				pause(ctx, time.Second)
			}
			continue
		}
		s.spread(records)
	}
}

// spread gives records to their lanes.
func (s *shard) spread(records []StreamRecord) {
	if len(records) == 0 {
		return
	}
	wanted := make([]bool, len(records))
	for i, r := range records {
		wanted[i] = s.spec.Filter == nil || s.spec.Filter(r.JSON)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	filtered := 0
	for i, r := range records {
		if !wanted[i] {
			filtered++
			continue
		}
		ln := s.lanes[maphash.String(s.seed, r.Key)%uint64(len(s.lanes))]
		ln.records = append(ln.records, r)
		s.ahead++
		s.aheadBytes += len(r.JSON)
		signal(ln.arrived)
	}
	s.m.counters.polled.add(len(records))
	if s.spec.Filter != nil {
		s.m.counters.filteredOut.add(filtered)
	}
	s.read = records[len(records)-1].Sequence
	s.advance()
}

// handled takes the first n records off a lane.
func (s *shard) handled(ln *lane, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range ln.records[:n] {
		s.aheadBytes -= len(r.JSON)
	}
	s.ahead -= n
	clear(ln.records[:n])
	if ln.records = ln.records[n:]; len(ln.records) == 0 {
		ln.records = nil
	}
	signal(s.freed)
	s.advance()
}

// advance moves the checkpoint as far as it can go. The caller holds mu.
func (s *shard) advance() {
	reached := s.read
	for _, ln := range s.lanes {
		if len(ln.records) > 0 {
			reached = min(reached, ln.records[0].Sequence-1)
		}
	}
	if reached == s.checkpoint {
		return
	}
	err := s.m.saveCheckpoint(reached)
	if err == nil {
		s.checkpoint = reached
		err = s.m.l.trim(s.spec.SourceARN)
	}
	if err != nil && s.m.l.ctx.Err() == nil {
		s.m.l.cfg.Logger.Error("the checkpoint of a stream could not be moved", "function", s.spec.Function, "stream", s.spec.SourceARN, "error", err)
	}
}

// work handles a lane's records, batch by batch, until ctx ends.
func (s *shard) work(ctx context.Context, ln *lane) {
	for {
		batch := s.gather(ctx, ln)
		if ctx.Err() != nil {
			return
		}
		s.m.counters.batches.Add(1)
		s.handle(ctx, ln, batch)
	}
}

// gather waits until a batch is complete, and returns it. Its records stay in
// the lane until they are handled.
func (s *shard) gather(ctx context.Context, ln *lane) []StreamRecord {
	var closes <-chan time.Time
	for {
		s.mu.Lock()
		batch, full := fitting(ln.records, s.spec.BatchSize)
		s.mu.Unlock()
		if full || len(batch) > 0 && s.spec.Window == 0 {
			return batch
		}
		if len(batch) > 0 && closes == nil {
			timer := time.NewTimer(s.spec.Window)
			defer timer.Stop()
			closes = timer.C
		}
		select {
		case <-ln.arrived:
		case <-closes:
			return batch
		case <-ctx.Done():
			return nil
		}
	}
}

// fitting returns the records that one event can hold; full tells that no more
// can come to them.
func fitting(records []StreamRecord, most int) (batch []StreamRecord, full bool) {
	size := len(eventStart) + len(eventEnd)
	for i, r := range records {
		size += len(r.JSON) + 1
		if i == most || i > 0 && size > maxPayload {
			return records[:i], true
		}
	}
	return records[:len(records):len(records)], len(records) == most
}

// handle sees a batch through: until every record of it is handled or dropped,
// or ctx ends.
func (s *shard) handle(ctx context.Context, ln *lane, batch []StreamRecord) {
	attempts, wait, last := 0, backOff{}, tried{}
	for len(batch) > 0 && ctx.Err() == nil {
		if n := s.expired(batch); n > 0 {
			reason := droppedExpired
			if age := s.spec.MaximumRecordAge; age > 0 && age < streamRetention {
				reason = droppedAge
			}
			s.drop(ln, batch[:n], reason, last)
			batch = batch[n:]
			continue
		}
		done, throttled, result := s.invoke(batch)
		last.count(result)
		if done > 0 {
			s.handled(ln, done)
			batch, attempts, wait, last = batch[done:], 0, backOff{}, tried{}
		}
		if len(batch) == 0 {
			return
		}
		switch {
		case throttled || done > 0:
		case s.spec.BisectBatchOnFunctionError && len(batch) > 1:
			// "Splitting a batch does not count towards the retry quota."
			pause(ctx, wait.next())
			s.handle(ctx, ln, batch[:len(batch)/2])
			batch = batch[len(batch)/2:]
			continue
		case *s.spec.MaximumRetryAttempts >= 0 && attempts >= *s.spec.MaximumRetryAttempts:
			s.drop(ln, batch, droppedAttempts, last)
			return
		default:
			attempts++
		}
		pause(ctx, wait.next())
	}
}

// expired counts the first records that are too old to be handled.
func (s *shard) expired(batch []StreamRecord) (n int) {
	most := streamRetention
	if s.spec.MaximumRecordAge > 0 {
		most = min(most, s.spec.MaximumRecordAge)
	}
	for n < len(batch) && !batch[n].At.IsZero() && time.Since(batch[n].At) > most {
		n++
	}
	return n
}

// Why records are dropped. Those that the stream itself no longer has do not
// count as dropped in CloudWatch.
const (
	droppedAttempts = "attempts"
	droppedAge      = "age"
	droppedExpired  = "retention of the stream"
)

func (s *shard) drop(ln *lane, batch []StreamRecord, reason string, last tried) {
	s.m.l.cfg.Logger.Error("records of a stream were dropped", "function", s.spec.Function, "stream", s.spec.SourceARN,
		"reason", reason, "records", len(batch), "first", batch[0].Sequence)
	if reason != droppedExpired {
		s.m.counters.dropped.add(len(batch))
		s.tellDropped(batch, reason, last)
	}
	s.handled(ln, len(batch))
}

// invoke invokes the function with a batch, and returns how many of its first
// records are handled: all, none, or with ReportBatchItemFailures those before
// the first that the answer names ("Configuring partial batch response with
// DynamoDB and Lambda").
//
// result is nil where the function was not reached.
func (s *shard) invoke(batch []StreamRecord) (done int, throttled bool, result *Result) {
	m := s.m
	size := 0
	for _, r := range batch {
		size += len(r.JSON) + 1
	}
	e := event{size: size + len(eventStart) + len(eventEnd)}
	for _, r := range batch {
		e.add(func(dst []byte) []byte { return append(dst, r.JSON...) })
	}
	m.inFlight.Add(1)
	defer m.inFlight.Add(-1)
	if at := batch[len(batch)-1].At; !at.IsZero() {
		m.l.record(s.spec.Function, func(m *functionMetrics) { m.iteratorAge.Add(ms(time.Since(at))) })
	}
	m.counters.invoked.add(len(batch))
	defer func() { m.counters.failedInvoke.add(len(batch) - done) }()
	result, err := m.l.invoke(m.l.ctx, s.spec.Function, e.close())
	if isThrottle(err) {
		m.counters.throttles.Add(1)
		return 0, true, nil
	}
	if err != nil {
		if m.l.ctx.Err() == nil {
			m.l.cfg.Logger.Error("a batch could not be handed to its function", "function", s.spec.Function, "records", len(batch), "error", err)
		}
		return 0, false, nil
	}
	if result.FunctionError == "" {
		done = len(batch)
		if s.spec.ReportBatchItemFailures {
			done = firstFailure(batch, result.Payload)
		}
	}
	m.counters.invocations.Add(1)
	m.chargeBatch(len(batch), result)
	return done, false, result
}

// firstFailure is the index of the first record that an answer names as
// failed, the batch's length if it names none, and 0 if it is malformed.
func firstFailure(batch []StreamRecord, answer []byte) int {
	failed, ok := parseFailures(answer)
	if !ok {
		return 0
	}
	first := len(batch)
	for _, id := range failed {
		sequence, err := strconv.ParseUint(id, 10, 64)
		i := 0
		for err == nil && i < len(batch) && batch[i].Sequence != sequence {
			i++
		}
		if err != nil || i == len(batch) {
			return 0
		}
		first = min(first, i)
	}
	return first
}
