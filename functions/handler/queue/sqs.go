package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-dev/penstock/functions/awsenv"
)

const (
	// A batch takes 10 messages, whose bodies and attributes measure 1 MiB
	// together ("SendMessageBatch", Amazon SQS API Reference).
	maxBatch      = 10
	maxBatchBytes = 1 << 20

	// dlqSuffix is what the name of a DLQ has behind that of its queue.
	dlqSuffix = "-dlq"

	maxReasonBytes = 1024

	// parallel is how many calls are under way at once: a batch that has failed
	// whole is to be settled in the time that the margin leaves.
	parallel = 8

	// maxDelayCalls is how many calls one Delay makes: 1,000 messages. A larger
	// batch has failed for a reason that it shares, and the rest of it can wait
	// for the queue's visibility timeout.
	maxDelayCalls = 100
)

// SQS is the [Queue] of Amazon SQS. The DLQ of a queue is the one of the same
// name with "-dlq" behind it, in the same account, as the deployment makes it.
//
// It makes its calls with the SDK's signer and a few lines of its own, not with
// the SDK's client, since it is in every function: that client adds a
// fifth to the size of a small function, and a quarter to its start-up time.
type SQS struct{ client *client }

var _ Queue = (*SQS)(nil)

// FromEnv returns the SQS that the environment of a Lambda function leads to;
// see [awsenv.Config] for what it reads and when it fails.
func FromEnv() (*SQS, error) {
	cfg, err := awsenv.Config()
	if err != nil {
		return nil, err
	}
	return New(cfg), nil
}

// New returns the SQS of cfg, of which it uses Credentials, HTTPClient and
// BaseEndpoint, all but the last of which must be set; the region is that of the
// queue.
func New(cfg aws.Config) *SQS { return &SQS{newClient(cfg)} }

// entry is an entry of a batch, of either operation.
type entry struct {
	ID                string               `json:"Id"`
	MessageBody       string               `json:",omitempty"`
	MessageAttributes map[string]attribute `json:",omitempty"`
	ReceiptHandle     string               `json:",omitempty"`
	VisibilityTimeout *int                 `json:",omitempty"` // seconds
}

type attribute struct{ DataType, StringValue string }

func text(s string) attribute { return attribute{"String", s} }

// size is what SQS counts of an entry that is sent: its body, and the names,
// types and values of its attributes.
func (e *entry) size() int {
	n := len(e.MessageBody)
	for name, a := range e.MessageAttributes {
		n += len(name) + len(a.DataType) + len(a.StringValue)
	}
	return n
}

func (m *Message) entry() entry {
	attributes := map[string]attribute{}
	for name, value := range m.Attributes {
		attributes[name] = text(value)
	}
	return entry{MessageBody: m.Body, MessageAttributes: attributes}
}

// DeadLetter implements [Queue].
func (s *SQS) DeadLetter(ctx context.Context, queueARN string, letters []Letter) []error {
	entries := make([]entry, len(letters))
	for i, l := range letters {
		entries[i] = l.entry()
		attributes := entries[i].MessageAttributes
		attributes[Reason] = text(reason(l.Reason))
		attributes[Source] = text(queueARN)
		delete(attributes, Receives)
		if l.Receives > 0 {
			attributes[Receives] = text(strconv.Itoa(l.Receives))
		}
		if document, ok := l.Attributes[Document]; ok {
			delete(attributes, Document)
			room := maxBatchBytes - entries[i].size() - len(Document) - len("String")
			if document = cut(clean(document), room); document != "" {
				attributes[Document] = text(document)
			}
		}
	}
	return s.batches(ctx, queueARN, dlqSuffix, "SendMessageBatch", entries)
}

// Send implements [Queue].
func (s *SQS) Send(ctx context.Context, queueARN string, messages []Message) []error {
	entries := make([]entry, len(messages))
	for i := range messages {
		entries[i] = messages[i].entry()
	}
	return s.batches(ctx, queueARN, "", "SendMessageBatch", entries)
}

var errTooMany = fmt.Errorf("queue: more than %d messages to delay at once: the others come back after the queue's visibility timeout", maxDelayCalls*maxBatch)

// Delay implements [Queue]. It makes at most 100 calls, of ten messages each;
// what is beyond fails.
func (s *SQS) Delay(ctx context.Context, queueARN string, delays []Delay) []error {
	n := min(len(delays), maxDelayCalls*maxBatch)
	entries := make([]entry, n)
	for i, d := range delays[:n] {
		seconds := int((min(max(d.After, 0), MaxDelay) + time.Second - 1) / time.Second)
		entries[i] = entry{ReceiptHandle: d.ReceiptHandle, VisibilityTimeout: &seconds}
	}
	errs := s.batches(ctx, queueARN, "", "ChangeMessageVisibilityBatch", entries)
	for range delays[n:] {
		errs = append(errs, errTooMany)
	}
	return errs
}

// batches makes as few calls as SQS's limits allow, several at once.
func (s *SQS) batches(ctx context.Context, queueARN, suffix, operation string, entries []entry) []error {
	errs := make([]error, len(entries))
	q, err := parseAddress(queueARN)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	q.name += suffix
	var (
		calls sync.WaitGroup
		slots = make(chan struct{}, parallel)
	)
	call := func(entries []entry, errs []error) {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			s.batch(ctx, q, operation, entries, errs)
		})
	}
	start, bytes := 0, 0
	for i := range entries {
		size := entries[i].size()
		if i > start && (i-start == maxBatch || bytes+size > maxBatchBytes) {
			call(entries[start:i], errs[start:i])
			start, bytes = i, 0
		}
		bytes += size
	}
	if start < len(entries) {
		call(entries[start:], errs[start:])
	}
	calls.Wait()
	return errs
}

var errNoAnswer = errors.New("SQS did not answer for the message")

// batch makes one call, and puts what went wrong with each entry into errs.
func (s *SQS) batch(ctx context.Context, q address, operation string, entries []entry, errs []error) {
	for i := range entries {
		entries[i].ID = strconv.Itoa(i)
		errs[i] = fmt.Errorf("queue: %s: %w", q.name, errNoAnswer) // until it does
	}
	var out struct {
		Successful []struct {
			ID string `json:"Id"`
		}
		Failed []struct {
			ID            string `json:"Id"`
			Code, Message string
		}
	}
	in := map[string]any{"Entries": entries}
	if err := s.client.call(ctx, q, operation, in, &out); err != nil {
		for i := range errs {
			errs[i] = fmt.Errorf("queue: %s: %w", q.name, err)
		}
		return
	}
	set := func(id string, err error) {
		if i, _ := strconv.Atoi(id); i >= 0 && i < len(errs) && id == entries[i].ID {
			errs[i] = err
		}
	}
	for _, done := range out.Successful {
		set(done.ID, nil)
	}
	for _, failed := range out.Failed {
		set(failed.ID, fmt.Errorf("queue: %s: %s: %s", q.name, failed.Code, failed.Message))
	}
}

// reason is a reason as SQS takes an attribute: not empty, and not too long.
func reason(s string) string {
	s = clean(s)
	if len(s) > maxReasonBytes {
		const more = "…"
		s = head(s, maxReasonBytes-len(more)) + more
	}
	if s == "" {
		return "unknown"
	}
	return s
}

// cut is as much of a document as there is room for, and if that is not all of
// it, says so; it is empty if there is room for nothing.
func cut(s string, room int) string {
	if len(s) <= room {
		return s
	}
	said := fmt.Sprintf("… (cut: it has %d bytes)", len(s))
	if room <= len(said) {
		return ""
	}
	return head(s, room-len(said)) + said
}

// head is the first bytes of a text, and no part of a character.
func head(s string, bytes int) string { return strings.ToValidUTF8(s[:bytes], "") }

// clean replaces what XML cannot hold, and so SQS does not take.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r', r >= 0x20 && r != 0xFFFE && r != 0xFFFF:
			return r
		}
		return '\uFFFD'
	}, s)
}
