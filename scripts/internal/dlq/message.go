package dlq

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Message is a message of a DLQ.
type Message struct {
	DLQ   string // the queue's name
	Queue Kind
	ID    string // SQS's
	Body  string
	// Attributes are those that its sender gave it, by name.
	Attributes map[string]types.MessageAttributeValue
	// SentAt is when it was sent: by the function or EventBridge to this queue; one
	// that SQS has moved keeps the time at which it came to the subscription's queue
	// ("Setting-up dead-letter queue retention in Amazon SQS").
	SentAt time.Time
	// Received is how often it was received, by a function and by those who look at
	// the DLQ: SQS counts "across all queues".
	Received    int
	GroupID     string // the tenant that it belongs to, if its sender said so
	TraceHeader string

	// What the body says, as far as it is an event from the bus.
	Type     events.Type
	Metadata events.Metadata
	Data     json.RawMessage

	handle string // of its last receive
}

// newMessage reads a message that was received.
func (q *Queue) newMessage(m types.Message) *Message {
	system := func(name types.MessageSystemAttributeName) string { return m.Attributes[string(name)] }
	sent, _ := strconv.ParseInt(system(types.MessageSystemAttributeNameSentTimestamp), 10, 64)
	received, _ := strconv.Atoi(system(types.MessageSystemAttributeNameApproximateReceiveCount))
	out := &Message{
		DLQ: q.Name, Queue: q.Kind, ID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), Attributes: m.MessageAttributes,
		SentAt: time.UnixMilli(sent).UTC(), Received: received,
		GroupID:     system(types.MessageSystemAttributeNameMessageGroupId),
		TraceHeader: system(types.MessageSystemAttributeNameAWSTraceHeader),
		handle:      aws.ToString(m.ReceiptHandle),
	}
	out.readEvent()
	return out
}

// readEvent reads what the body says of an event.
func (m *Message) readEvent() {
	var e struct {
		Source     string `json:"source"`
		DetailType string `json:"detail-type"`
		Detail     struct {
			Metadata events.Metadata `json:"metadata"`
			Data     json.RawMessage `json:"data"`
		} `json:"detail"`
	}
	_ = json.Unmarshal([]byte(m.Body), &e) // what is no event has none of it, or a part
	m.Type = events.Type{Source: e.Source, Name: e.DetailType}
	m.Metadata, m.Data = e.Detail.Metadata, e.Detail.Data
}

// IsEvent reports whether the message holds an event as a subscription's queue
// has it: from the bus, with an id and data.
func (m *Message) IsEvent() bool {
	return m.Type.Source != "" && m.Type.Name != "" && m.Metadata.ID != "" && len(m.Data) > 0
}

// TypeName is the event's type, source/NAME, empty if there is none.
func (m *Message) TypeName() string {
	if m.Type == (events.Type{}) {
		return ""
	}
	return m.Type.String()
}

var errNoEvent = errors.New("the message holds no event as the bus delivers them")

// SetData replaces the event's data, which is an object on one line, and its id
// unless that is empty. All else that the body says stays. What is not as the bus
// delivers an event is not changed, and an error.
func (m *Message) SetData(data json.RawMessage, id string) error {
	var whole, detail, metadata map[string]json.RawMessage
	if json.Unmarshal([]byte(m.Body), &whole) != nil || json.Unmarshal(whole["detail"], &detail) != nil || json.Unmarshal(detail["metadata"], &metadata) != nil {
		return errNoEvent
	}
	detail["data"] = data
	if id != "" {
		metadata["id"] = quote(id)
		detail["metadata"] = encode(metadata)
	}
	whole["detail"] = encode(detail)
	changed := *m
	changed.Body = string(encode(whole))
	changed.readEvent()
	// Names that differ in case only may be read in another way than they are written.
	if !changed.IsEvent() || !bytes.Equal(changed.Data, encode(data)) || changed.Metadata.ID != cmp.Or(id, m.Metadata.ID) {
		return errNoEvent
	}
	*m = changed
	return nil
}

func quote(s string) json.RawMessage { return encode(s) }

// encode is a value that is known to be JSON, on one line, its text unescaped.
func encode(v any) json.RawMessage {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // texts, and JSON that was read
	}
	return json.RawMessage(strings.TrimSuffix(out.String(), "\n"))
}

// Text is the value of an attribute, empty if there is none.
func (m *Message) Text(name string) string { return aws.ToString(m.Attributes[name].StringValue) }

// By is who gave the message up.
type By string

const (
	ByFunction    By = "function"    // it can never be handled
	BySQS         By = "sqs"         // it failed too often
	ByEventBridge By = "eventbridge" // it could not be delivered to the queue
)

// Attributes that EventBridge gives an event which it could not deliver ("Using
// dead-letter queues to process undelivered events in EventBridge").
const (
	errorCode    = "ERROR_CODE"
	errorMessage = "ERROR_MESSAGE"
)

var eventBridgeAttributes = []string{
	"RULE_ARN", "TARGET_ARN", errorCode, errorMessage, "EXHAUSTED_RETRY_CONDITION", "RETRY_ATTEMPTS",
}

// By tells who gave the message up.
func (m *Message) By() By {
	switch {
	case m.Queue == Undelivered:
		return ByEventBridge
	case m.Text(queue.Source) != "":
		return ByFunction
	}
	return BySQS
}

// Reason is why it was given up, as far as the message says so itself. One that
// SQS moved does not: see [History].
func (m *Message) Reason() string {
	switch m.By() {
	case ByFunction:
		return m.Text(queue.Reason)
	case ByEventBridge:
		code, message := m.Text(errorCode), m.Text(errorMessage)
		if code == "" || message == "" {
			return code + message
		}
		return code + ": " + message
	}
	return ""
}

// Redrives is how often it was brought back from a DLQ before.
func (m *Message) Redrives() int {
	n, _ := strconv.Atoi(m.Text(queue.Redrives))
	return max(n, 0)
}
