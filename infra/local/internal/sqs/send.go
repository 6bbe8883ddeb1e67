package sqs

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

// Outgoing is a message that a service of AWS sends to a queue.
type Outgoing struct {
	QueueARN   string
	Body       string
	Attributes map[string]MessageAttribute
	// SourceARN is on whose behalf the service sends, e.g. a rule: the
	// queue's policy is asked about it.
	SourceARN string
	// TraceHeader is the system attribute AWSTraceHeader; empty: none.
	TraceHeader string
}

// SendFromService sends messages as the service principal given, e.g.
// events.amazonaws.com. The messages that their queues take are durable, all
// in one commit, when it returns; errs holds the refusal of each other one (an
// *awswire.Error), nil for those taken. err means that nothing was sent.
func (s *Service) SendFromService(principal string, messages []Outgoing) (errs []error, err error) {
	errs = make([]error, len(messages))
	batch := s.store.NewBatch()
	var sent []sending
	for i, out := range messages {
		m := &Message{ID: uuid.NewString(), Body: out.Body, Attributes: out.Attributes, SentAt: time.Now(), SenderID: principal, TraceHeader: out.TraceHeader}
		one, refusal := s.prepareFromService(batch, principal, out, m)
		if refusal != nil {
			errs[i] = refusal
			continue
		}
		sent = append(sent, one)
	}
	if err := batch.Commit(); err != nil {
		return nil, err
	}
	admit(sent)
	countSent(sent)
	for _, one := range sent { // each is a request of its own
		one.queue.charge(one.bytes)
	}
	return errs, nil
}

// Send sends a message that Lambda sends in the name of a function's role, once
// that and the queue's policy have been asked. It is durable when Send returns.
func (s *Service) Send(queueARN, body string) error {
	q, err := s.findARN(queueARN)
	if err != nil {
		return err
	}
	m := &Message{ID: uuid.NewString(), Body: body, SentAt: time.Now(), SenderID: "lambda.amazonaws.com"}
	if err := q.check(m); err != nil {
		return err
	}
	batch := s.store.NewBatch()
	one, err := q.prepare(batch, m, q.delay())
	if err != nil {
		batch.Discard()
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	admit([]sending{one})
	countSent([]sending{one})
	one.queue.charge(one.bytes)
	return nil
}

func (s *Service) prepareFromService(batch *store.Batch, principal string, out Outgoing, m *Message) (sending, error) {
	q, err := s.findARN(out.QueueARN)
	if err != nil {
		return sending{}, err
	}
	allowed := q.allows(policy.Request{
		Service: principal, Action: "sqs:SendMessage", Resource: out.QueueARN,
		Keys: policy.ServiceKeys(out.SourceARN, s.config.Account),
	})
	if !allowed {
		return sending{}, awswire.Errorf("AccessDenied", "%s may not sqs:SendMessage to %s for %s: the queue's policy does not allow it", principal, out.QueueARN, out.SourceARN)
	}
	if err := q.check(m); err != nil {
		return sending{}, err
	}
	return q.prepare(batch, m, q.delay())
}

func (q *queue) delay() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.settings.delay
}

// check refuses a message that is empty, larger than the queue takes, or has
// characters that SQS does not take.
func (q *queue) check(m *Message) error {
	q.mu.Lock()
	most := q.settings.maxBytes
	q.mu.Unlock()
	if m.Body == "" {
		return awswire.Errorf("MissingParameter", "The request must contain the parameter MessageBody")
	}
	if n := m.size(); n > most {
		return awswire.Errorf("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than %d bytes (got %d)", most, n)
	}
	return checkText("MessageBody", m.Body)
}
