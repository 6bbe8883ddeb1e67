package dynamodb

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// recordLife is how long a stream keeps a record ("Change data capture for
// DynamoDB Streams").
const recordLife = 24 * time.Hour

// StreamRecord is one change of an item, as a table's stream shows it.
type StreamRecord struct {
	// Sequence is the record's place in the stream. Sequences grow, from 1 on
	// and over restarts; they may have gaps. The JSON has it as SequenceNumber,
	// with as many zeros before it as make 21 digits, DynamoDB's fewest.
	Sequence uint64
	At       time.Time // when the change was made, to the second
	// Key is the same for all records of an item, and differs between items.
	Key string
	// EventName is INSERT, MODIFY or REMOVE.
	EventName string
	// JSON is the record in the shape in which Lambda hands it to a function.
	JSON jsontext.Value
}

// stream is a table's stream: one shard. Records are numbered when their
// changes are committed, and commits end in any order; readers are shown
// records up to the first one that is not yet durable, so that they skip none.
type stream struct {
	arn    string
	region string
	view   StreamView
	prefix store.Key // what every record's key begins with

	mu      sync.Mutex
	last    uint64          // the last sequence given out
	visible uint64          // all up to here are durable, or will never be
	ended   map[uint64]bool // those beyond it of which that is also true
	closed  bool
	changed chan struct{} // closed when visible grows, or closed is set; nil if nobody waits
}

func trimKey(prefix store.Key) store.Key { return store.NewKey("dynamodb.trim").String(string(prefix)) }

// openStream returns the stream of a table, which continues where the store
// says that it ended.
func (s *Service) openStream(t *table) (*stream, error) {
	st := &stream{
		arn:    t.arn + "/stream/" + t.StreamLabel,
		region: s.config.Region,
		view:   t.StreamView,
		prefix: store.NewKey("dynamodb.stream").String(t.Name).String(t.StreamLabel),
		ended:  map[uint64]bool{},
	}
	trimmed, ok, err := s.store.Get(trimKey(st.prefix))
	if err != nil {
		return nil, err
	}
	if ok {
		st.last = binary.BigEndian.Uint64(trimmed)
	}
	last := store.Prefix(st.prefix)
	last.Reverse = true
	for entry, err := range s.store.Scan(last) {
		if err != nil {
			return nil, err
		}
		st.last = max(st.last, entry.Key.LastUint())
		break
	}
	st.visible = st.last
	return st, nil
}

func (st *stream) key(sequence uint64) store.Key { return st.prefix.Uint(sequence) }

// begin gives out the next sequence. It must be ended once its record is
// durable, or certain never to be.
func (st *stream) begin() uint64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.last++
	return st.last
}

func (st *stream) end(sequence uint64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.ended[sequence] = true
	for st.ended[st.visible+1] {
		st.visible++
		delete(st.ended, st.visible)
	}
	st.wake()
}

// wake wakes those who wait; mu is held.
func (st *stream) wake() {
	if st.changed != nil {
		close(st.changed)
		st.changed = nil
	}
}

// close ends the stream: readers get an error.
func (st *stream) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closed = true
	st.wake()
}

// remove removes all that the store has of the stream.
func (st *stream) remove(b *store.Batch) {
	b.DeleteRange(st.prefix, st.prefix.After())
	b.Delete(trimKey(st.prefix))
}

// wait returns up to where the stream is visible, once that is beyond after.
func (st *stream) wait(ctx context.Context, after uint64) (uint64, error) {
	for {
		st.mu.Lock()
		visible, closed := st.visible, st.closed
		if st.changed == nil {
			st.changed = make(chan struct{})
		}
		changed := st.changed
		st.mu.Unlock()
		switch {
		case closed:
			return 0, noSuchStream(st.arn)
		case visible > after:
			return visible, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// recordHead is what a stored record has before its JSON: when it was made,
// the first letter of its event's name, and the length of its item's key,
// which follows.
const recordHead = 8 + 1 + 2

var eventNames = map[byte]string{'I': "INSERT", 'M': "MODIFY", 'R': "REMOVE"}

// record makes the stored record of an evaluated change.
func (st *stream) record(c *change, sequence uint64, now time.Time) []byte {
	event := byte('M')
	switch {
	case c.old == nil:
		event = 'I'
	case c.next == nil:
		event = 'R'
	}
	keys := c.table.keyPart(c.item)
	size, _ := keys.Measure()
	out := make([]byte, 0, recordHead+512+len(c.key)+len(st.arn)+len(c.old)+len(c.next))
	out = binary.BigEndian.AppendUint64(out, uint64(now.Unix()))
	out = append(out, event)
	out = binary.BigEndian.AppendUint16(out, uint16(len(c.key)))
	out = append(out, c.key...)
	out = append(out, `{"eventID":"`...)
	out = st.appendID(out, sequence)
	out = append(out, `","eventName":"`...)
	out = append(out, eventNames[event]...)
	out = append(out, `","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"`...)
	out = append(out, st.region...)
	out = fmt.Appendf(out, `","dynamodb":{"ApproximateCreationDateTime":%d,"Keys":`, now.Unix())
	out = keys.AppendJSON(out)
	if c.next != nil && st.view.showsNew() {
		out = append(out, `,"NewImage":`...)
		out = append(out, c.next.json()...)
		size += c.next.size()
	}
	if c.old != nil && st.view.showsOld() {
		out = append(out, `,"OldImage":`...)
		out = append(out, c.old.json()...)
		size += c.old.size()
	}
	out = fmt.Appendf(out, `,"SequenceNumber":"%021d","SizeBytes":%d,"StreamViewType":"%s"},"eventSourceARN":"%s"`,
		sequence, size, st.view, st.arn)
	if c.verb == expire {
		out = append(out, `,"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}`...)
	}
	return append(out, '}')
}

// appendID appends the id of a record, which is the same whenever it is asked
// for.
func (st *stream) appendID(out []byte, sequence uint64) []byte {
	h := fnv.New128a()
	_, _ = h.Write([]byte(st.arn))
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, sequence))
	return fmt.Appendf(out, "%032x", h.Sum(nil))
}

func recordTime(value []byte) time.Time { return time.Unix(int64(binary.BigEndian.Uint64(value)), 0) }

func parseRecord(sequence uint64, value []byte) StreamRecord {
	key := int(binary.BigEndian.Uint16(value[9:]))
	return StreamRecord{
		Sequence:  sequence,
		At:        recordTime(value),
		Key:       string(value[recordHead : recordHead+key]),
		EventName: eventNames[value[8]],
		JSON:      append(jsontext.Value(nil), value[recordHead+key:]...),
	}
}

// ReadStream returns up to max records that follow the sequence after (0: from
// the beginning), in order. It waits until there is one, or until ctx ends,
// whose error it then returns. A record that was trimmed is passed over.
func (s *Service) ReadStream(ctx context.Context, streamARN string, after uint64, max int) ([]StreamRecord, error) {
	st, err := s.findStream(streamARN)
	if err != nil {
		return nil, err
	}
	for {
		visible, err := st.wait(ctx, after)
		if err != nil {
			return nil, err
		}
		var out []StreamRecord
		for entry, err := range s.store.Scan(store.Range{From: st.key(after + 1), To: st.key(visible + 1)}) {
			if err != nil {
				return nil, err
			}
			out = append(out, parseRecord(entry.Key.LastUint(), entry.Value))
			if len(out) == max {
				break
			}
		}
		if out != nil {
			return out, nil
		}
		after = visible
	}
}

// TrimStream removes the records up to and including the sequence upTo. Who
// calls it knows that every reader is beyond it; records that are not trimmed
// are removed after 24 hours.
func (s *Service) TrimStream(_ context.Context, streamARN string, upTo uint64) error {
	st, err := s.findStream(streamARN)
	if err != nil {
		return err
	}
	return s.trim(st, upTo)
}

func (s *Service) trim(st *stream, upTo uint64) error {
	st.mu.Lock()
	upTo = min(upTo, st.visible)
	st.mu.Unlock()
	b := s.store.NewBatch()
	b.DeleteRange(st.prefix, st.key(upTo+1))
	// The sequence that a restart continues from.
	b.Set(trimKey(st.prefix), binary.BigEndian.AppendUint64(nil, upTo))
	return b.Commit()
}

// LatestRecord returns the sequence of the newest record that readers of a
// stream can see, trimmed or not; 0 if there was none.
func (s *Service) LatestRecord(streamARN string) (uint64, error) {
	st, err := s.findStream(streamARN)
	if err != nil {
		return 0, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.visible, nil
}

// expireRecords removes a stream's records that are older than a day.
func (s *Service) expireRecords(t *table, now time.Time) error {
	if t.stream == nil {
		return nil
	}
	var upTo uint64
	for entry, err := range s.store.Scan(store.Prefix(t.stream.prefix)) {
		if err != nil {
			return err
		}
		if now.Sub(recordTime(entry.Value)) < recordLife {
			break
		}
		upTo = entry.Key.LastUint()
	}
	if upTo == 0 {
		return nil
	}
	return s.trim(t.stream, upTo)
}

func (s *Service) findStream(arn string) (*stream, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(arn, s.arnPrefix), "/stream/")
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t, ok := s.tables[name]; ok && t.stream != nil && t.stream.arn == arn {
		return t.stream, nil
	}
	return nil, noSuchStream(arn)
}

func noSuchStream(arn string) error {
	return awswire.Errorf("ResourceNotFoundException", "Requested resource not found: Stream: %s not found", arn)
}
