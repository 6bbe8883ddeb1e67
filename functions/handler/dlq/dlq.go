// Package dlq sends messages to the DLQ of a subscription, for events that fail
// permanently. A function that does not import it does not link it.
//
//	cfg, err := awsenv.Config()
//	…
//	lambda.Start(handler.New(handler.Each(charge)).WithDLQ(dlq.New(sqs.NewFromConfig(cfg))))
//
// The DLQ of a queue is the one of the same name with "-dlq" behind it, in the
// same account, to which the deployment lets a function send. A message arrives
// there with the body that it had, and two attributes that say what became of
// it: [Reason] and [Source].
//
// A message is acknowledged only when the DLQ has accepted it. A function that
// dies between the two gets it again, and may send it twice.
package dlq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/functions/handler"
)

// The attributes of a message in the DLQ, both strings.
const (
	Reason = "penstock.reason" // why its event failed, at most 1,024 bytes
	Source = "penstock.source" // the ARN of the queue that it came from
)

// suffix is what the name of a DLQ has behind that of its queue.
const suffix = "-dlq"

const (
	maxReasonBytes = 1024

	// A batch takes 10 messages of 1 MiB together, attributes included
	// ("SendMessageBatch", Amazon SQS API Reference).
	maxBatch      = 10
	maxBatchBytes = 1 << 20
)

// API is what is needed of SQS: *sqs.Client has it.
type API interface {
	GetQueueUrl(context.Context, *sqs.GetQueueUrlInput, ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
}

// Sender sends messages to DLQs. It is safe for concurrent use.
type Sender struct {
	client API

	mu   sync.Mutex
	urls map[string]*string // by the queue's ARN
}

var _ handler.DLQ = (*Sender)(nil)

// New returns a Sender. It looks up the URL of a DLQ when it first needs it.
func New(client API) *Sender { return &Sender{client: client, urls: map[string]*string{}} }

// Send implements [handler.DLQ].
func (s *Sender) Send(ctx context.Context, queueARN string, letters []handler.DeadLetter) []error {
	errs := make([]error, len(letters))
	url, err := s.url(ctx, queueARN)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	start, bytes := 0, 0
	for i := range letters {
		size := sizeOf(queueARN, letters[i])
		if i > start && (i-start == maxBatch || bytes+size > maxBatchBytes) {
			s.sendBatch(ctx, url, queueARN, letters[start:i], errs[start:i])
			start, bytes = i, 0
		}
		bytes += size
	}
	s.sendBatch(ctx, url, queueARN, letters[start:], errs[start:])
	return errs
}

// url is the URL of a queue's DLQ.
func (s *Sender) url(ctx context.Context, queueARN string) (*string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if url := s.urls[queueARN]; url != nil {
		return url, nil
	}
	queue, err := arn.Parse(queueARN)
	if err != nil {
		return nil, fmt.Errorf("dlq: the queue %q is not named by an ARN: %w", queueARN, err)
	}
	out, err := s.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{
		QueueName:              aws.String(queue.Resource + suffix),
		QueueOwnerAWSAccountId: &queue.AccountID,
	})
	if err != nil {
		return nil, fmt.Errorf("dlq: %s%s: %w", queue.Resource, suffix, err)
	}
	s.urls[queueARN] = out.QueueUrl
	return out.QueueUrl, nil
}

// sendBatch makes one call, and puts what went wrong with each letter into
// errs. The SDK has repeated what may be repeated.
func (s *Sender) sendBatch(ctx context.Context, url *string, queueARN string, letters []handler.DeadLetter, errs []error) {
	if len(letters) == 0 {
		return
	}
	in := &sqs.SendMessageBatchInput{QueueUrl: url}
	for i, l := range letters {
		errs[i] = errors.New("dlq: SQS did not answer for the message") // until it does
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{
			Id:          aws.String(strconv.Itoa(i)),
			MessageBody: aws.String(l.Body),
			MessageAttributes: map[string]types.MessageAttributeValue{
				Reason: text(reason(l)),
				Source: text(queueARN),
			},
		})
	}
	out, err := s.client.SendMessageBatch(ctx, in)
	if err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("dlq: %w", err)
		}
		return
	}
	at := func(id *string) *error {
		if i, err := strconv.Atoi(aws.ToString(id)); err == nil && i >= 0 && i < len(errs) {
			return &errs[i]
		}
		return new(error)
	}
	for _, sent := range out.Successful {
		*at(sent.Id) = nil
	}
	for _, failed := range out.Failed {
		*at(failed.Id) = fmt.Errorf("dlq: %s: %s", aws.ToString(failed.Code), aws.ToString(failed.Message))
	}
}

func text(s string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &s}
}

// reason is a letter's reason as SQS takes it: not empty, and without what XML
// cannot hold.
func reason(l handler.DeadLetter) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r', r >= 0x20 && r != 0xFFFE && r != 0xFFFF:
			return r
		}
		return '\uFFFD'
	}, l.Reason)
	if len(clean) > maxReasonBytes {
		const more = "…"
		clean = strings.ToValidUTF8(clean[:maxReasonBytes-len(more)], "") + more
	}
	if clean == "" {
		return "unknown"
	}
	return clean
}

// sizeOf is what SQS counts of a message: body, and the names, types and values
// of attributes.
func sizeOf(queueARN string, l handler.DeadLetter) int {
	return len(l.Body) + len(Reason) + len(reason(l)) + len(Source) + len(queueARN) + 2*len("String")
}
