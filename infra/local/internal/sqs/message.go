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
	out = append(out, 1)
	out = binary.AppendVarint(out, m.SentAt.UnixMilli())
	for _, s := range []string{m.ID, m.SenderID, m.DeadLetterSource, string(attributes), m.Body} {
		out = binary.AppendUvarint(out, uint64(len(s)))
		out = append(out, s...)
	}
	return out, nil
}

var errDamaged = errors.New("sqs: a message in the store is damaged")

func decodeMessage(data []byte) (*Message, error) {
	if len(data) == 0 || data[0] != 1 {
		return nil, errDamaged
	}
	data = data[1:]
	sent, n := binary.Varint(data)
	if n <= 0 {
		return nil, errDamaged
	}
	data = data[n:]
	var fields [5]string
	for i := range fields {
		length, n := binary.Uvarint(data)
		if n <= 0 || uint64(len(data)-n) < length {
			return nil, errDamaged
		}
		fields[i] = string(data[n : n+int(length)])
		data = data[n+int(length):]
	}
	m := &Message{ID: fields[0], SenderID: fields[1], DeadLetterSource: fields[2], Body: fields[4], SentAt: time.UnixMilli(sent)}
	if fields[3] != "" {
		if err := json.Unmarshal([]byte(fields[3]), &m.Attributes); err != nil {
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
	if r.DeadLetterSource != "" {
		out["DeadLetterQueueSourceArn"] = r.DeadLetterSource
	}
	return out
}

// receipt is what a receipt handle says: which message, and which receive of
// it.
type receipt struct {
	seq      uint64
	receives int
}

func (r receipt) handle() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "penstock %d %d", r.seq, r.receives))
}

func parseReceipt(handle string) (receipt, error) {
	text, err := base64.RawURLEncoding.DecodeString(handle)
	parts := strings.Split(string(text), " ")
	if err == nil && len(parts) == 3 && parts[0] == "penstock" {
		seq, err1 := strconv.ParseUint(parts[1], 10, 64)
		receives, err2 := strconv.Atoi(parts[2])
		if err1 == nil && err2 == nil {
			return receipt{seq, receives}, nil
		}
	}
	return receipt{}, awswire.Errorf("ReceiptHandleIsInvalid", "The input receipt handle %q is not a valid receipt handle", handle)
}
