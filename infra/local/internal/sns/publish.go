package sns

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Bounds of a message ("Publish", Amazon SNS API reference).
const (
	maxMessage = 256 << 10
	maxSubject = 100
)

// Attribute is a message attribute.
type Attribute struct {
	DataType    string
	StringValue string
}

// Message is a message as it is published.
type Message struct {
	Subject    string // of emails; empty: none
	Text       string
	Email      string // what an email says in place of Text; empty: Text
	Attributes map[string]Attribute
}

// PublishFromService publishes as a service principal, e.g.
// cloudwatch.amazonaws.com, on behalf of a resource, if the topic's policy allows
// it. The default policy allows what acts for the account itself, among it
// CloudWatch's alarms ("Example cases for Amazon SNS access control").
func (s *Service) PublishFromService(principal, sourceARN, topicARN string, m Message) error {
	t, err := s.find(topicARN)
	if err != nil {
		return err
	}
	allowed := t.policy == nil && principal == "cloudwatch.amazonaws.com"
	if t.policy != nil {
		allowed = t.policy.Allows(policy.Request{
			Service: principal, Action: "sns:Publish", Resource: topicARN, Keys: policy.ServiceKeys(sourceARN, s.config.Account),
		})
	}
	if !allowed {
		return &awswire.Error{Code: "AuthorizationErrorException", QueryCode: "AuthorizationError", Status: 403,
			Message: principal + " is not authorized to perform: SNS:Publish on resource: " + topicARN + " for " + sourceARN + ": the topic's policy does not allow it"}
	}
	_, err = s.publish(t, m)
	return err
}

// publish hands a message to every subscription, and returns its id. A
// subscription that does not take it is told in the log, and keeps it from no
// other.
func (s *Service) publish(t *Topic, m Message) (id string, err error) {
	switch {
	case m.Text == "":
		return "", invalid("Empty message")
	case len(m.Text) > maxMessage:
		return "", invalid("Message too long: %d bytes at most (got %d)", maxMessage, len(m.Text))
	case utf8.RuneCountInString(m.Subject) > maxSubject || strings.ContainsAny(m.Subject, "\r\n"):
		return "", invalid("Subject: want at most %d characters on one line (got %q)", maxSubject, m.Subject)
	}
	s.config.Meter.Add(meter.TopicRequest, t.Name, meter.Chunks(len(m.Text)))
	id = uuid.NewString()
	at := time.Now()
	for _, sub := range t.Subscriptions {
		var err error
		switch sub.Protocol {
		case "email":
			s.config.Mail(sub.Endpoint, m.Subject, cmp.Or(m.Email, m.Text))
			s.config.Meter.Add(meter.Email, t.Name, 1)
		case "sqs":
			err = s.toQueue(t, sub, m, id, at)
		case "lambda":
			err = s.toFunction(t, sub, m, id, at)
		}
		if err != nil {
			s.config.Logger.Error("a subscription did not take a message: it is dropped", "topic", t.Name, "protocol", sub.Protocol, "endpoint", sub.Endpoint, "error", err)
		}
	}
	return id, nil
}

type attribute struct {
	Type  string
	Value string
}

func (m Message) described() map[string]attribute {
	out := map[string]attribute{}
	for name, a := range m.Attributes {
		out[name] = attribute{a.DataType, a.StringValue}
	}
	return out
}

// toQueue sends a message in the form of "Amazon SNS message and JSON formats",
// or raw.
func (s *Service) toQueue(t *Topic, sub Subscription, m Message, id string, at time.Time) error {
	if sub.Raw {
		return s.config.Queues.Send(sub.Endpoint, s.ARN(t.Name), m.Text)
	}
	body, err := json.Marshal(struct {
		Type              string
		MessageId         string //nolint:revive // the document's spelling
		TopicArn          string
		Subject           string `json:",omitempty"`
		Message           string
		Timestamp         string
		SignatureVersion  string
		Signature         string
		SigningCertURL    string
		UnsubscribeURL    string
		MessageAttributes map[string]attribute `json:",omitempty"`
	}{"Notification", id, s.ARN(t.Name), m.Subject, m.Text, timestamp(at), "1", "", "", "", m.described()})
	if err != nil {
		return err
	}
	return s.config.Queues.Send(sub.Endpoint, s.ARN(t.Name), string(body))
}

// toFunction invokes a function with the event of "Invoking Lambda functions with
// Amazon SNS notifications".
func (s *Service) toFunction(t *Topic, sub Subscription, m Message, id string, at time.Time) error {
	type notification struct {
		Type              string
		MessageId         string //nolint:revive // the document's spelling
		TopicArn          string
		Subject           *string // null without one
		Message           string
		Timestamp         string
		SignatureVersion  string
		Signature         string
		SigningCertUrl    string
		UnsubscribeUrl    string
		MessageAttributes map[string]attribute
	}
	type record struct {
		EventSource          string
		EventVersion         string
		EventSubscriptionArn string
		Sns                  notification
	}
	var subject *string
	if m.Subject != "" {
		subject = &m.Subject
	}
	event, err := json.Marshal(struct{ Records []record }{[]record{{"aws:sns", "1.0", sub.ARN, notification{
		"Notification", id, s.ARN(t.Name), subject, m.Text, timestamp(at), "1", "", "", "", m.described(),
	}}}})
	if err != nil {
		return err
	}
	return s.config.Functions.Invoke(sub.Endpoint, s.ARN(t.Name), event)
}
