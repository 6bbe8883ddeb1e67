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
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
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

// encode writes a message for the store: a version byte, then the fixed
// fields, each text behind its length. The body is last and long, so a
// hand-written form costs a copy and no more.
func (m *Message) encode() ([]byte, error) {
	var attributes []byte
	if len(m.Attributes) > 0 {
		var err error
		if attributes, err = json.Marshal(m.Attributes); err != nil {
			return nil, err
		}
	}
	out := make([]byte, 0, 32+len(m.ID)+len(m.SenderID)+len(m.DeadLetterSource)+len(attributes)+len(m.Body))
	out = append(out, messageVersion)
	out = binary.AppendVarint(out, m.SentAt.UnixMilli())
	for _, s := range []string{m.ID, m.SenderID, m.DeadLetterSource, m.GroupID, m.TraceHeader, string(attributes), m.Body} {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out, nil
}

// messageVersion is the first byte of a stored message. Version 1 had neither
// GroupID nor TraceHeader.
const messageVersion = 2

var errDamaged = errors.New("sqs: a message in the store is damaged")

func decodeMessage(data []byte) (*Message, error) {
	if len(data) == 0 || data[0] < 1 || data[0] > messageVersion {
		return nil, errDamaged
	}
	version := data[0]
	data = data[1:]
	sent, n := binary.Varint(data)
	if n <= 0 {
		return nil, errDamaged
	}
	data = data[n:]
	m := &Message{}
	var attributes string
	fields := []*string{&m.ID, &m.SenderID, &m.DeadLetterSource, &m.GroupID, &m.TraceHeader, &attributes, &m.Body}
	if version == 1 {
		fields = []*string{&m.ID, &m.SenderID, &m.DeadLetterSource, &attributes, &m.Body}
	}
	for _, field := range fields {
		length, n := binary.Uvarint(data)
		if n <= 0 || uint64(len(data)-n) < length {
			return nil, errDamaged
		}
		*field = string(data[n : n+int(length)])
		data = data[n+int(length):]
	}
	m.SentAt = time.UnixMilli(sent)
	if attributes != "" {
		if err := json.Unmarshal([]byte(attributes), &m.Attributes); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return m, nil
}

// bodyMD5 is the MD5 of a message's body, as SQS reports it.
func bodyMD5(body string) string {
	sum := md5.Sum([]byte(body))
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

// BodyMD5 is the MD5 of the body, as SQS reports it.
func (r Received) BodyMD5() string { return bodyMD5(r.Body) }

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
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "penstock %s %d %d", r.queue, r.seq, r.receives))
}

// parseReceipt reads a handle that the queue gave out.
func (q *queue) parseReceipt(handle string) (receipt, error) {
	text, err := base64.RawURLEncoding.DecodeString(handle)
	parts := strings.Split(string(text), " ")
	if err == nil && len(parts) == 4 && parts[0] == "penstock" && parts[1] == q.name {
		seq, err1 := strconv.ParseUint(parts[2], 10, 64)
		receives, err2 := strconv.Atoi(parts[3])
		if err1 == nil && err2 == nil {
			return receipt{q.name, seq, receives}, nil
		}
	}
	return receipt{}, &awswire.Error{Code: "ReceiptHandleIsInvalid", Status: http.StatusNotFound,
		Message: fmt.Sprintf("The input receipt handle %q is not a valid receipt handle of queue %q", handle, q.name)}
}
