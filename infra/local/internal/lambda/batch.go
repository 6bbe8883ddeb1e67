package lambda

import (
	"bytes"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The event of a batch is {"Records":[…]}. It is built record by record, so
// that its size is known exactly at any time, and without reflection: a batch
// may hold 10,000 of them.
const (
	eventStart = `{"Records":[`
	eventEnd   = `]}`
)

// event is a batch's event in the making. The zero value has no records.
type event struct {
	size    int // how many bytes to make room for at first
	payload []byte
	records int
}

// room is how many bytes a further record may have.
func (e *event) room() int {
	return maxPayload - max(len(e.payload), len(eventStart)) - len(",") - len(eventEnd)
}

// add appends a record by calling write, and takes it back if the event is
// then above 6 MB, unless it is the first: what cannot fit in any event is
// for the invocation to refuse.
func (e *event) add(write func([]byte) []byte) bool {
	before := len(e.payload)
	if e.records == 0 {
		e.payload = append(make([]byte, 0, max(e.size, 4<<10)), eventStart...)
	} else {
		e.payload = append(e.payload, ',')
	}
	e.payload = write(e.payload)
	if e.records > 0 && len(e.payload)+len(eventEnd) > maxPayload {
		e.payload = e.payload[:before]
		return false
	}
	e.records++
	return true
}

// close ends the event and returns its JSON.
func (e *event) close() []byte {
	e.payload = append(e.payload, eventEnd...)
	return e.payload
}

func appendString(dst []byte, s string) []byte {
	// The error says that s is not UTF-8; what is not was replaced then.
	dst, _ = jsontext.AppendQuote(dst, s)
	return dst
}

// appendQueueRecord appends a message as SQS hands it to functions ("Using
// Lambda with Amazon SQS", example event). source is the end of every record
// of one queue, see queueSource.
func appendQueueRecord(dst []byte, m *QueueMessage, source string) []byte {
	dst = append(dst, `{"messageId":`...)
	dst = appendString(dst, m.ID)
	dst = append(dst, `,"receiptHandle":`...)
	dst = appendString(dst, m.ReceiptHandle)
	dst = append(dst, `,"body":`...)
	dst = appendString(dst, m.Body)
	dst = append(dst, `,"attributes":{"ApproximateReceiveCount":"`...)
	dst = strconv.AppendInt(dst, int64(m.ReceiveCount), 10)
	dst = append(dst, `","SentTimestamp":"`...)
	dst = strconv.AppendInt(dst, m.SentAt.UnixMilli(), 10)
	dst = append(dst, `","SenderId":`...)
	dst = appendString(dst, m.SenderID)
	dst = append(dst, `,"ApproximateFirstReceiveTimestamp":"`...)
	dst = strconv.AppendInt(dst, m.FirstReceivedAt.UnixMilli(), 10)
	dst = append(dst, '"')
	for _, a := range [...]struct{ name, value string }{
		{`,"DeadLetterQueueSourceArn":`, m.DeadLetterSource}, {`,"MessageGroupId":`, m.GroupID}, {`,"AWSTraceHeader":`, m.TraceHeader},
	} {
		if a.value != "" {
			dst = appendString(append(dst, a.name...), a.value)
		}
	}
	dst = append(dst, `},"messageAttributes":{`...)
	if len(m.Attributes) > 0 {
		for i, name := range slices.Sorted(maps.Keys(m.Attributes)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, name), ':')
			dst = appendQueueAttribute(dst, m.Attributes[name])
		}
	}
	dst = append(dst, `},"md5OfBody":"`...)
	dst = append(dst, m.BodyMD5...)
	return append(dst, source...)
}

func appendQueueAttribute(dst []byte, a QueueAttribute) []byte {
	dst = append(dst, '{')
	if a.StringValue != nil {
		dst = appendString(append(dst, `"stringValue":`...), *a.StringValue)
		dst = append(dst, ',')
	}
	if a.BinaryValue != nil {
		dst = base64.StdEncoding.AppendEncode(append(dst, `"binaryValue":"`...), a.BinaryValue)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"stringListValues":[],"binaryListValues":[],"dataType":`...)
	return append(appendString(dst, a.DataType), '}')
}

// queueSource is the end of a record: where it comes from.
func queueSource(queueARN, region string) string {
	dst := appendString([]byte(`","eventSource":"aws:sqs","eventSourceARN":`), queueARN)
	dst = appendString(append(dst, `,"awsRegion":`...), region)
	return string(append(dst, '}'))
}

// filterRecord is what a queue's filter sees of a message: its body, as JSON if
// it is JSON, else as a text.
func filterRecord(body string) []byte {
	dst := append(make([]byte, 0, len(body)+16), `{"body":`...)
	if jsontext.Value(body).IsValid() {
		dst = append(dst, body...)
	} else {
		dst = appendString(dst, body)
	}
	return append(dst, '}')
}

// parseFailures reads the answer of a function whose mapping has
// ReportBatchItemFailures: the identifiers that it names as failed. ok is
// false if the whole batch counts as failed ("Handling errors for an SQS event
// source in Lambda", success and failure conditions): the answer is not JSON
// of the right form, or an identifier is missing, null or empty. An empty
// answer, a null one, and one without a list name none.
func parseFailures(answer []byte) (failed []string, ok bool) {
	if len(bytes.TrimSpace(answer)) == 0 {
		return nil, true
	}
	var response struct {
		BatchItemFailures []struct {
			ItemIdentifier string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if json.Unmarshal(answer, &response) != nil {
		return nil, false
	}
	for _, f := range response.BatchItemFailures {
		if f.ItemIdentifier == "" {
			return nil, false
		}
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, true
}

// QueueMessage is a message of a queue, as it was received.
type QueueMessage struct {
	ID               string
	ReceiptHandle    string
	Body             string
	BodyMD5          string // in hexadecimal digits
	SenderID         string
	SentAt           time.Time
	FirstReceivedAt  time.Time
	ReceiveCount     int // this receive included
	Attributes       map[string]QueueAttribute
	DeadLetterSource string // the ARN of the queue that gave it up; empty but in a DLQ
	GroupID          string // MessageGroupId; empty: none
	TraceHeader      string // AWSTraceHeader; empty: none
}

// QueueAttribute is one of a message's own attributes: one of the values is
// not nil.
type QueueAttribute struct {
	DataType    string
	StringValue *string
	BinaryValue []byte
}
