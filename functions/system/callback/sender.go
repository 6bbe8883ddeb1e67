package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/penstock-dev/penstock/functions/egress"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
)

// signingSecret is the secret that results are signed by.
const signingSecret = "callback-signing"

// settleTime is what is left of the invocation for what failed.
const settleTime = 5 * time.Second

// secretReader reads secrets: a [secrets.Cache].
type secretReader interface {
	Get(ctx context.Context, name string) (secrets.Secret, error)
}

// sender sends results. Lambda calls it with one batch at a time.
type sender struct {
	client  *egress.Client
	secrets secretReader
	queue   queue.Queue
	retries retries
	log     *slog.Logger
}

// retries say how often a result is tried, and when again.
type retries struct {
	MaxReceiveCount int `json:"maxReceiveCount"`
	BaseSeconds     int `json:"baseSeconds"`
	CapSeconds      int `json:"capSeconds"`
}

// newSender reads the settings that the deployment gives.
func newSender(secrets secretReader, q queue.Queue, getenv func(string) string, log *slog.Logger) (*sender, error) {
	var bySubscription map[string]retries
	text := getenv("PENSTOCK_RETRIES")
	err := json.Unmarshal([]byte(text), &bySubscription)
	r := bySubscription["results"]
	if err != nil || r.MaxReceiveCount < 1 || r.BaseSeconds < 1 || r.CapSeconds < 1 {
		return nil, fmt.Errorf(`PENSTOCK_RETRIES is %q, and must say of "results" its maxReceiveCount, baseSeconds and capSeconds: the deployment sets it`, text)
	}
	return &sender{
		client: egress.New(egress.Config{
			Hosts:    strings.Fields(getenv("PENSTOCK_CALLBACK_HOSTS")),
			Loopback: getenv("PENSTOCK_EGRESS") == "local",
		}),
		secrets: secrets, queue: q, retries: r, log: log,
	}, nil
}

// handle sends the results of a batch, all at once, so that a slow host delays
// no other.
func (s *sender) handle(ctx context.Context, batch awsevents.SQSEvent) (awsevents.SQSEventResponse, error) {
	sending := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		sending, cancel = context.WithDeadline(ctx, end.Add(-settleTime))
		defer cancel()
	}
	stays := make([]bool, len(batch.Records))
	var results sync.WaitGroup
	for i := range batch.Records {
		results.Go(func() { stays[i] = !s.one(ctx, sending, &batch.Records[i]) })
	}
	results.Wait()
	out := awsevents.SQSEventResponse{BatchItemFailures: []awsevents.SQSBatchItemFailure{}}
	for i, m := range batch.Records {
		if stays[i] {
			out.BatchItemFailures = append(out.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return out, nil
}

// one sends the result of one message, and reports whether the message is done
// with.
func (s *sender) one(ctx, sending context.Context, m *awsevents.SQSMessage) (done bool) {
	began := time.Now()
	receives, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	r, err := readResult(m.Body)
	if err != nil {
		err = &permanentError{err}
	} else {
		err = s.send(sending, &r)
	}
	outcome, level := "handled", slog.LevelInfo
	switch {
	case err == nil:
		done = true
	case isPermanent(err) || receives >= s.retries.MaxReceiveCount:
		outcome, level = "permanent", slog.LevelError
		if sent := s.deadLetter(ctx, m, receives, err); sent != nil {
			outcome, err = "failed", fmt.Errorf("%w (and it could not be sent to the DLQ: %w)", err, sent)
		} else {
			done = true
		}
	default:
		outcome, level = "failed", slog.LevelWarn
		s.delay(ctx, m, receives, err)
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	s.log.LogAttrs(ctx, level, "outcome",
		slog.String("function", "callback"), slog.String("subscription", "results"), slog.String("messageId", m.MessageId), slog.Int("attempt", receives),
		slog.String("id", r.callID), slog.String("called", r.function), slog.Int("status", r.status),
		slog.String("outcome", outcome), slog.String("reason", reason), slog.Float64("durationMs", float64(time.Since(began))/float64(time.Millisecond)))
	return done
}

// send makes one attempt.
func (s *sender) send(ctx context.Context, r *result) error {
	if _, err := s.client.Check(r.url); err != nil {
		return err // before anything that may go better later
	}
	secret, err := s.secrets.Get(ctx, signingSecret)
	if err != nil {
		return err
	}
	signer, err := egress.NewSigner(secret.Value.Reveal())
	if err != nil {
		return fmt.Errorf("secret %q: %w", signingSecret, err)
	}
	header := r.header()
	if err := signer.Sign(header, r.callID, time.Now(), r.body); err != nil {
		return err
	}
	response, err := s.client.Post(ctx, r.url, header, r.body)
	if err != nil {
		return err
	}
	if !response.OK() {
		return &statusError{response.Status, retryAfter(response, time.Now())}
	}
	return nil
}

// deadLetter sends a message to the DLQ, with the reason.
func (s *sender) deadLetter(ctx context.Context, m *awsevents.SQSMessage, receives int, why error) error {
	letter := queue.Letter{
		Message: queue.Message{Body: m.Body, Attributes: map[string]string{}}, MessageID: m.MessageId, Reason: why.Error(), Receives: receives,
	}
	for name, a := range m.MessageAttributes {
		if strings.HasPrefix(name, queue.Prefix) && a.StringValue != nil {
			letter.Attributes[name] = *a.StringValue
		}
	}
	return s.queue.DeadLetter(ctx, m.EventSourceARN, []queue.Letter{letter})[0]
}

// delay says when a message comes back. What cannot be said leaves it to the
// queue's visibility timeout.
func (s *sender) delay(ctx context.Context, m *awsevents.SQSMessage, receives int, why error) {
	after := s.retries.wait(receives)
	if status, ok := errors.AsType[*statusError](why); ok && status.retryAfter > 0 {
		after = status.retryAfter
	}
	if err := s.queue.Delay(ctx, m.EventSourceARN, []queue.Delay{{ReceiptHandle: m.ReceiptHandle, After: after}})[0]; err != nil {
		s.log.WarnContext(ctx, "a result comes back after the queue's visibility timeout, since its own time could not be set", "messageId", m.MessageId, "reason", err.Error())
	}
}

// wait is how long a result waits after the n-th receive, from 1: a random time of
// up to BaseSeconds, doubled with each, and CapSeconds.
func (r retries) wait(n int) time.Duration {
	bound, limit := time.Duration(r.BaseSeconds)*time.Second, time.Duration(r.CapSeconds)*time.Second
	for ; n > 1 && bound < limit; n-- {
		bound *= 2
	}
	return rand.N(min(bound, limit))
}

// statusError is a response that is not one of success.
type statusError struct {
	status     int
	retryAfter time.Duration // as it asks for; 0: it does not
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the host of the callback answered %d %s", e.status, http.StatusText(e.status))
}

// longestRetryAfter bounds what a host may ask for.
const longestRetryAfter = time.Hour

// retryAfter is when a host that has too much to do wants to be asked again: in
// seconds or at a time ("HTTP Semantics", RFC 9110, 10.2.3).
func retryAfter(r *egress.Response, now time.Time) time.Duration {
	if r.Status != http.StatusTooManyRequests && r.Status != http.StatusServiceUnavailable {
		return 0
	}
	text := r.Header.Get("Retry-After")
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		after = time.Duration(min(seconds, int(longestRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), longestRetryAfter)
}

// permanentError is one that no other attempt mends.
type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

func isPermanent(err error) bool {
	_, ok := errors.AsType[*permanentError](err)
	return ok || errors.Is(err, egress.ErrRefused)
}
