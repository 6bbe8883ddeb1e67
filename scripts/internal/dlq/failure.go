package dlq

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// Failure is what is known of a message that was given up, and of its event.
type Failure struct {
	Queue     Kind   `json:"queue"`
	MessageID string `json:"messageId"`
	EventID   string `json:"eventId"` // empty for what is no event; so are the next two
	Type      string `json:"type"`
	// CorrelationID and OccurredAt are those of the event.
	CorrelationID string    `json:"correlationId"`
	OccurredAt    time.Time `json:"occurredAt,omitzero"`

	By By `json:"by"`
	// Reason is why; empty if neither the message nor the function's log says it.
	Reason string `json:"reason"`
	// Receives is how often its function received it. Where only SQS knows, those
	// who looked at it in the DLQ count, too.
	Receives int `json:"receives"`
	// Redrives is how often it was brought back before it failed again.
	Redrives int `json:"redrives"`
	// SentAt is when it was sent, see [Message.SentAt].
	SentAt time.Time `json:"sentAt"`
	// FirstFailed and LastFailed are when it failed first and last; zero if neither
	// the message nor the function's log says it.
	FirstFailed time.Time `json:"firstFailed,omitzero"`
	LastFailed  time.Time `json:"lastFailed,omitzero"`

	// Attributes are all that the message has, by name; those that are no text are
	// in Base64.
	Attributes map[string]string `json:"attributes"`
	// Body is the message as it is: the event, or else a text.
	Body json.RawMessage `json:"body"`
}

// Describe tells what is known of a message. history may be nil.
func Describe(m *Message, history *History) Failure {
	f := Failure{
		Queue: m.Queue, MessageID: m.ID, EventID: m.Metadata.ID, Type: m.TypeName(), CorrelationID: m.Metadata.CorrelationID, OccurredAt: m.Metadata.OccurredAt,
		By: m.By(), Reason: m.Reason(), Receives: m.Received, Redrives: m.Redrives(), SentAt: m.SentAt,
		FirstFailed: firstFailed(m, history), Attributes: map[string]string{}, Body: json.RawMessage(m.Body),
	}
	if !json.Valid(f.Body) {
		f.Body = quote(m.Body)
	}
	for name, a := range m.Attributes {
		f.Attributes[name] = aws.ToString(a.StringValue)
		if a.StringValue == nil {
			text, _ := json.Marshal(a.BinaryValue) // Base64
			f.Attributes[name] = strings.Trim(string(text), `"`)
		}
	}
	switch f.By {
	case ByFunction:
		f.Receives, _ = strconv.Atoi(m.Text(queue.Receives))
		f.LastFailed = m.SentAt
	case ByEventBridge:
		f.Receives, f.LastFailed = 0, m.SentAt
	case BySQS:
		if r, known := history.of(m); known {
			f.Reason, f.LastFailed, f.Receives = r.reason, r.last, r.attempts
		}
	}
	return f
}

// firstFailed is when a message failed first; zero if that is not known.
func firstFailed(m *Message, history *History) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, m.Text(queue.FirstFailed)); err == nil {
		return at.UTC()
	}
	if r, known := history.of(m); known {
		return r.first
	}
	if m.By() == ByFunction && m.Text(queue.Receives) == "1" || m.By() == ByEventBridge && m.Text("RETRY_ATTEMPTS") == "0" {
		return m.SentAt
	}
	return time.Time{}
}
