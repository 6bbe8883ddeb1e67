// Package sqsdlq keeps what a connector could not deliver in an SQS queue.
//
// A message's body is a JSON object with everything that it takes to make the call
// again; its attributes tell what one looks for:
//
//	penstock.reason    why the last attempt failed
//	penstock.receives  how many attempts there were
//	penstock.topic     what the message is about; missing if it has no topic
//	penstock.function  the function that failed it
package sqsdlq

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/go-json-experiment/json"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// The attributes of a message, besides those of package queue.
const (
	Topic    = queue.Prefix + "topic"
	Function = queue.Prefix + "function"
)

const (
	maxMessage   = 1 << 20 // "Amazon SQS message quotas", attributes included
	maxAttribute = 1024    // of our own, so that the reason leaves room for the message
)

// Sender is what a DLQ needs of SQS: a *sqs.Client.
type Sender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// DLQ is a queue of SQS. It is safe for concurrent use.
type DLQ struct {
	client Sender
	url    string
}

var _ connector.DLQ = (*DLQ)(nil)

// New returns the queue with the given URL. Its retention should be 14 days, the
// longest there is: nothing takes its messages but people.
func New(client Sender, queueURL string) *DLQ { return &DLQ{client, queueURL} }

// letter is the body of a message.
type letter struct {
	Topic           string              `json:"topic,omitzero"`
	Function        string              `json:"function"`
	Header          map[string][]string `json:"header,omitempty"`
	Message         string              `json:"message"`
	IsBase64Encoded bool                `json:"isBase64Encoded"`
	Reason          string              `json:"reason"`
	Status          int                 `json:"status,omitzero"`
	Attempts        int                 `json:"attempts"`
	FailedAt        time.Time           `json:"failedAt"`
}

// Put implements [connector.DLQ]. A letter that measures more than the 1 MiB which
// SQS takes is an error.
func (q *DLQ) Put(ctx context.Context, l connector.Letter) error {
	out := letter{
		Topic: clean(l.Topic), Function: l.Function, Message: string(l.Message), Reason: clean(l.Reason),
		Status: l.Status, Attempts: l.Attempts, FailedAt: l.FailedAt,
	}
	if !utf8.Valid(l.Message) || clean(out.Message) != out.Message {
		out.Message, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(l.Message), true
	}
	if len(l.Header) > 0 {
		out.Header = map[string][]string{}
		for name, values := range l.Header {
			for _, value := range values {
				out.Header[clean(name)] = append(out.Header[clean(name)], clean(value))
			}
		}
	}
	body, err := json.Marshal(out, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("sqsdlq: %w", err)
	}
	size := len(body)
	attributes := map[string]types.MessageAttributeValue{}
	for name, value := range map[string]string{
		queue.Reason: l.Reason, queue.Receives: strconv.Itoa(l.Attempts), Topic: l.Topic, Function: l.Function,
	} {
		if value = attribute(value); value != "" {
			attributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
			size += len(name) + len("String") + len(value)
		}
	}
	if size > maxMessage {
		return fmt.Errorf("sqsdlq: the letter about the message of %d bytes to function %s measures %d, SQS takes %d", len(l.Message), l.Function, size, maxMessage)
	}
	_, err = q.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(body)), MessageAttributes: attributes})
	if err != nil {
		return fmt.Errorf("sqsdlq: queue %s: %w", q.url, err)
	}
	return nil
}

// Parse reads the body of a message that Put has sent.
func Parse(body []byte) (connector.Letter, error) {
	var in letter
	if err := json.Unmarshal(body, &in); err != nil {
		return connector.Letter{}, fmt.Errorf("sqsdlq: no letter of a connector: %w", err)
	}
	out := connector.Letter{
		Topic: in.Topic, Function: in.Function, Header: http.Header(in.Header), Message: []byte(in.Message),
		Reason: in.Reason, Status: in.Status, Attempts: in.Attempts, FailedAt: in.FailedAt,
	}
	if in.IsBase64Encoded {
		var err error
		if out.Message, err = base64.StdEncoding.DecodeString(in.Message); err != nil {
			return connector.Letter{}, fmt.Errorf("sqsdlq: the message is not the base64 that it is said to be: %w", err)
		}
	}
	return out, nil
}

// clean replaces what SQS does not take in a message ("SendMessage": the
// characters of XML) and what is not UTF-8. In JSON, control characters are
// escaped; attribute does without them.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

func attribute(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' {
			return utf8.RuneError
		}
		return r
	}, clean(s))
	if len(s) > maxAttribute {
		const more = "…"
		s = strings.ToValidUTF8(s[:maxAttribute-len(more)], "") + more
	}
	return s
}
