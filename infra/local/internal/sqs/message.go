package sqs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Message is a message as it was sent. It does not change.
type Message struct {
	ID         string
	Body       string
	Attributes map[string]MessageAttribute
	SentAt     time.Time
	SenderID   string
	// DeadLetterSource is the ARN of the queue that gave it up; empty in any
	// queue but a DLQ.
	DeadLetterSource string
	// GroupID is the tenant that the message belongs to, as its sender said
	// (MessageGroupId). It is handed on to consumers. On AWS it also keeps one
	// tenant's backlog from delaying the others' messages ("Amazon SQS fair
	// queues"); here messages come in the order of their sending regardless.
	GroupID     string
	TraceHeader string // the system attribute AWSTraceHeader

	digest *[md5.Size]byte // the body's MD5; nil until it is stored
}

// MessageAttribute is one of a message's own attributes. DataType is String,
// Number or Binary, with an optional label behind a dot.
type MessageAttribute struct {
	DataType    string
	StringValue *string `json:",omitempty"`
	BinaryValue []byte  `json:",omitempty"`
}

// size is what counts against MaximumMessageSize: the body, and each
// attribute's name, type and value.
func (m *Message) size() int {
	n := len(m.Body)
	for name, a := range m.Attributes {
		n += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			n += len(*a.StringValue)
		}
	}
	return n
}

// put adds a message to a batch, with the state that it has at first: when it
// becomes visible. What is stored is a version byte, the fixed fields, then each
// text behind its length. The body is last and long, so a hand-written form
// costs a copy and no more.
func (m *Message) put(b *store.Batch, key store.Key, visibleAt time.Time) error {
	var attributes []byte
	if len(m.Attributes) > 0 {
		var err error
		if attributes, err = json.Marshal(m.Attributes); err != nil {
			return err
		}
	}
	texts := [...]string{m.ID, m.SenderID, m.DeadLetterSource, m.GroupID, m.TraceHeader, string(attributes), m.Body}
	var times [2 * binary.MaxVarintLen64]byte
	fixed := binary.AppendVarint(times[:0], m.SentAt.UnixMilli())
	fixed = binary.AppendVarint(fixed, visibleAt.UnixMilli())
	size := 1 + len(fixed) + md5.Size
	for _, s := range texts {
		size += uvarintSize(uint64(len(s))) + len(s)
	}
	stored := b.Reserve(key, size)
	out := append(append(stored[:0], messageVersion), fixed...)
	digest := out[len(out) : len(out)+md5.Size]
	out = out[:len(out)+md5.Size]
	for _, s := range texts {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	if m.digest == nil {
		sum := md5.Sum(out[len(out)-len(m.Body):])
		m.digest = &sum
	}
	copy(digest, m.digest[:])
	return nil
}

// uvarintSize is how many bytes AppendUvarint appends.
func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// messageVersion is the first byte of a stored message. Version 1 had neither
// GroupID nor TraceHeader, and version 2 neither the state at first nor the MD5:
// there every message had a record of its state.
const messageVersion = 3

var errDamaged = errors.New("sqs: a message in the store is damaged")

// head is what stands before a stored message's texts.
type head struct {
	version           byte
	sentAt, visibleAt time.Time
	digest            *[md5.Size]byte // of the body
	texts             []byte
}

func decodeHead(data []byte) (h head, err error) {
	if len(data) == 0 || data[0] < 1 || data[0] > messageVersion {
		return head{}, errDamaged
	}
	h.version, data = data[0], data[1:]
	at := func() time.Time {
		millis, n := binary.Varint(data)
		if n <= 0 {
			err, n = errDamaged, 0
		}
		data = data[n:]
		return time.UnixMilli(millis)
	}
	h.sentAt = at()
	h.visibleAt = h.sentAt
	if h.version >= 3 {
		h.visibleAt = at()
		if err != nil || len(data) < md5.Size {
			return head{}, errDamaged
		}
		digest := [md5.Size]byte(data)
		h.digest, data = &digest, data[md5.Size:]
	}
	h.texts = data
	return h, err
}

// decodeFirstState reads of a stored message the state that it had at first.
func decodeFirstState(data []byte) (*entry, error) {
	h, err := decodeHead(data)
	if err != nil {
		return nil, err
	}
	return &entry{visibleAt: h.visibleAt, sentAt: h.sentAt, enteredAt: h.sentAt}, nil
}

func decodeMessage(data []byte) (*Message, error) {
	h, err := decodeHead(data)
	if err != nil {
		return nil, err
	}
	m := &Message{SentAt: h.sentAt, digest: h.digest}
	var attributes string
	fields := []*string{&m.ID, &m.SenderID, &m.DeadLetterSource, &m.GroupID, &m.TraceHeader, &attributes, &m.Body}
	if h.version == 1 {
		fields = []*string{&m.ID, &m.SenderID, &m.DeadLetterSource, &attributes, &m.Body}
	}
	for _, field := range fields {
		length, n := binary.Uvarint(h.texts)
		if n <= 0 || uint64(len(h.texts)-n) < length {
			return nil, errDamaged
		}
		*field = string(h.texts[n : n+int(length)])
		h.texts = h.texts[n+int(length):]
	}
	if attributes != "" {
		if err := json.Unmarshal([]byte(attributes), &m.Attributes); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return m, nil
}

// BodyMD5 is the MD5 of the body, as SQS reports it.
func (m *Message) BodyMD5() string {
	sum := m.digest
	if sum == nil {
		digest := md5.Sum([]byte(m.Body))
		sum = &digest
	}
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the MD5 of a message's attributes ("Calculating the MD5
// message digest for message attributes"); empty for none.
func attributesMD5(attributes map[string]MessageAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	h := md5.New()
	text := func(s string) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		h.Write([]byte(s))
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		text(name)
		text(a.DataType)
		if strings.HasPrefix(a.DataType, "Binary") {
			h.Write([]byte{2})
			text(string(a.BinaryValue))
			continue
		}
		h.Write([]byte{1})
		if a.StringValue != nil {
			text(*a.StringValue)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Received is a message together with the receive that handed it out.
type Received struct {
	*Message
	ReceiptHandle string
	ReceiveCount  int // this receive included
	FirstReceived time.Time
}

// SystemAttributes are the message's system attributes, as ReceiveMessage
// gives them.
func (r Received) SystemAttributes() map[string]string {
	out := map[string]string{
		"SenderId":                         r.SenderID,
		"SentTimestamp":                    strconv.FormatInt(r.SentAt.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(r.ReceiveCount),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(r.FirstReceived.UnixMilli(), 10),
	}
	for name, value := range map[string]string{
		"DeadLetterQueueSourceArn": r.DeadLetterSource, "MessageGroupId": r.GroupID, "AWSTraceHeader": r.TraceHeader,
	} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// receipt is what a receipt handle says: which message of which queue, and
// which receive of it.
type receipt struct {
	queue    string
	seq      uint64
	receives int
}

func (r receipt) handle() string {
	text := make([]byte, 0, 64+len(r.queue))
	text = append(append(append(text, receiptPrefix...), r.queue...), ' ')
	text = strconv.AppendUint(text, r.seq, 10)
	text = strconv.AppendInt(append(text, ' '), int64(r.receives), 10)
	return base64.RawURLEncoding.EncodeToString(text)
}

const receiptPrefix = "penstock "

// parseReceipt reads a handle that the queue gave out.
func (q *queue) parseReceipt(handle string) (receipt, error) {
	text, err := base64.RawURLEncoding.DecodeString(handle)
	if numbers, ours := strings.CutPrefix(string(text), receiptPrefix+q.name+" "); err == nil && ours {
		first, second, _ := strings.Cut(numbers, " ")
		seq, err1 := strconv.ParseUint(first, 10, 64)
		receives, err2 := strconv.Atoi(second)
		if err1 == nil && err2 == nil {
			return receipt{q.name, seq, receives}, nil
		}
	}
	return receipt{}, &awswire.Error{Code: "ReceiptHandleIsInvalid", Status: http.StatusNotFound,
		Message: fmt.Sprintf("The input receipt handle %q is not a valid receipt handle of queue %q", handle, q.name)}
}
