// Package webhook delivers events to functions on HTTP: endpoints that others run,
// each of which gets one POST an event. A function is one if its manifest has
// "http"; the program functions/system/webhook runs it on Lambda, under its own
// name, with the queue, DLQ, retries and breaker of any function.
//
// The life of a delivery:
//
//  1. The event becomes a [Body]: its id, type, name, number and data, the shared
//     secret, and a function session for the event's user (package session),
//     minted anew at each attempt.
//  2. The body is signed by the rules of Standard Webhooks; while the secret is
//     rotated, by two secrets. See [Secret].
//  3. It is POSTed by HTTPS, to a public address; see package egress. No redirect
//     is followed, and time and what is read of the response are bounded.
//  4. A status of 2xx ends it. Any other, and no response, is tried again by the
//     [Schedule]; 429 and 503 not before their Retry-After. 410 disables the
//     endpoint: its subscriptions are stopped until a person enables them. What is
//     refused for good, and what has failed for the last time, goes to the DLQ with
//     the reason.
//  5. The attempt is written to the log; see package deliveries. One that could
//     not be written changes nothing about the delivery.
//
// The deliveries of a batch run at once, each with all of its own time, so that a
// slow one delays no other. An endpoint may get an event twice, as everything here:
// it knows a repetition by the header webhook-id.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/functions/egress"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

// DefaultTimeout is how long a delivery may take where the manifest does not say:
// the least that the Standard Webhooks specification has senders wait.
const DefaultTimeout = 15 * time.Second

const (
	// maxResponse is what is read of a response, in bytes. More is left unread.
	maxResponse = 64 << 10

	// logTime is how long an attempt waits for the log at most.
	logTime = 3 * time.Second

	// leastSecret is how long a word of a header's value must be to be taken for a
	// secret: a shorter one, such as a number, may well stand in a response for
	// something else.
	leastSecret = 8

	// goneFor is how long an event at least stays away that has met an endpoint
	// which is gone, until its mapping is disabled: on AWS that takes up to a
	// minute.
	goneFor = 5 * time.Minute

	// keptFor is how long an event may wait in its queue, from when it was sent
	// there: the queue keeps it for 4 days, of which some hours are for the attempt
	// that is due last.
	keptFor = 90 * time.Hour
)

// Sessions mints function sessions: a *[session.Minter].
type Sessions interface {
	Mint(context.Context, session.Claims) (token string, expires time.Time, err error)
}

// Log is where attempts are written: a [deliveries.Log].
type Log interface {
	Write(context.Context, deliveries.Attempt) error
}

// Config says where events are delivered, and how.
type Config struct {
	Function string            // the function's short name; required
	URL      string            // of the endpoint; required
	Headers  map[string]string // besides those that Penstock sets
	Timeout  time.Duration     // of one delivery, connecting included; 0: DefaultTimeout
	Loopback bool              // as in egress.Config

	Secret *Secret // that deliveries are signed by; required

	// Sessions mints function sessions. Nil: deliveries have none. Those of an event
	// without a user never have.
	Sessions Sessions

	// Log keeps the attempts. Nil: nothing does.
	Log Log

	// Attempts is how often an event is tried, by subscription. Of one that is not
	// in it the queue alone decides.
	Attempts map[string]int

	// Disable stops the subscriptions of an endpoint that is gone. Nil: nothing
	// does.
	Disable func(ctx context.Context, reason string) error
}

// Deliverer delivers batches of events. It is a [handler.Handler], and safe for
// concurrent use.
type Deliverer struct {
	config Config
	client *egress.Client
}

// New returns a Deliverer. It makes no call.
func New(c Config) (*Deliverer, error) {
	if c.Function == "" || c.Secret == nil {
		return nil, errors.New("webhook: a deliverer needs the function's name and its secret")
	}
	if _, err := egress.CheckURL(c.URL, c.Loopback); err != nil {
		return nil, fmt.Errorf("webhook: the URL of function %q: %w", c.Function, err)
	}
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	return &Deliverer{config: c, client: egress.New(egress.Config{
		Hosts: []string{egress.AnyHost}, Loopback: c.Loopback, Timeout: c.Timeout, MaxResponse: maxResponse,
	})}, nil
}

// Handle implements [handler.Handler].
func (d *Deliverer) Handle(ctx context.Context, records []*handler.Record) *handler.Failures {
	failed := new(handler.Failures)
	b := &batch{Deliverer: d}
	var all sync.WaitGroup
	for _, r := range records {
		all.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed.Add(r, fmt.Errorf("panic: %v", p))
				}
			}()
			failed.Add(r, b.deliver(r.Context(ctx), r))
		})
	}
	all.Wait()
	if b.gone != "" && d.config.Disable != nil {
		if err := d.config.Disable(ctx, b.gone); err != nil {
			handler.Logger(ctx).ErrorContext(ctx, "the endpoint is gone, and its subscriptions could not be stopped: the next delivery tries again", "reason", err.Error())
		}
	}
	if b.unlogged > 0 {
		handler.Logger(ctx).WarnContext(ctx, "attempts are missing in the log of deliveries, which changes nothing about the deliveries", "attempts", b.unlogged, "reason", b.logError.Error())
	}
	return failed
}

// batch is what the deliveries of a batch find out together.
type batch struct {
	*Deliverer

	mu       sync.Mutex
	gone     string // why the endpoint is to be disabled; empty: it is not
	unlogged int
	logError error
}

// deliver makes one attempt, and says how it failed in the terms of package
// handler.
func (b *batch) deliver(ctx context.Context, r *handler.Record) error {
	if end, ok := ctx.Deadline(); ctx.Err() != nil || ok && time.Until(end) < b.config.Timeout {
		return handler.ErrNotStarted // it would be cut short
	}
	began := time.Now()
	a := deliveries.Attempt{
		Function: b.config.Function, Subscription: r.Subscription, Type: r.Type.String(), Event: r.Metadata.ID, Message: r.MessageID,
		Number: max(r.ReceiveCount, 1), At: began.UTC(), Metadata: r.Metadata,
	}
	response, secrets, err := b.send(ctx, r, &a)
	a.Duration = time.Since(began)
	switch {
	case response != nil:
		a.Status = response.Status
		if contentType := response.Header.Get("Content-Type"); contentType != "" || len(response.Body) > 0 {
			newRedactor(secrets).response(&a.Response, contentType, response.Body, response.Truncated)
		}
		if !response.OK() {
			err = &StatusError{response.Status}
		}
	case err != nil:
		err = newRedactor(secrets).error(err)
	}
	err = b.judge(r, &a, response, err)
	b.log(ctx, a)
	return err
}

// send makes the request, and leaves in the attempt what was sent. It also returns
// the secrets that are in it.
func (b *batch) send(ctx context.Context, r *handler.Record, a *deliveries.Attempt) (response *egress.Response, secrets []string, err error) {
	body, header := newBody(r), b.header()
	defer func() { a.Request = b.logged(body, header) }()
	secret, err := b.config.Secret.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	body.Secret = secret.shared
	if user := r.Metadata.UserID; b.config.Sessions != nil && user != "" {
		body.Session, _, err = b.config.Sessions.Mint(ctx, session.Claims{User: user, Event: r.Metadata.ID, Function: b.config.Function})
		if err != nil {
			return nil, nil, err
		}
	}
	sent, err := body.encode()
	if err != nil {
		return nil, nil, err
	}
	if err := secret.signer.Sign(header, messageID(r), time.Now(), sent); err != nil {
		return nil, nil, err
	}
	secrets = append(secret.all, body.Session)
	for _, value := range b.config.Headers {
		for word := range strings.FieldsSeq(value) { // such as "Bearer" and a token
			if len(word) >= leastSecret {
				secrets = append(secrets, word)
			}
		}
	}
	response, err = b.client.Post(ctx, b.config.URL, header, sent)
	return response, secrets, err
}

func (d *Deliverer) header() http.Header {
	header := http.Header{}
	for name, value := range d.config.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", userAgent)
	return header
}

const userAgent = "penstock-webhook/1"

// judge says in the attempt what becomes of it, and returns the error by which the
// handler brings that about.
func (b *batch) judge(r *handler.Record, a *deliveries.Attempt, response *egress.Response, err error) error {
	if err == nil {
		a.Outcome = deliveries.Delivered
		return nil
	}
	a.Outcome, a.Error = deliveries.Failed, err.Error()
	if errors.Is(err, egress.ErrRefused) {
		return handler.Permanent(err)
	}
	wait := Wait(a.Number)
	if response != nil {
		wait = max(wait, retryAfter(response, time.Now()))
		if response.Status == http.StatusGone {
			wait = max(wait, goneFor)
			b.disable("The endpoint answered 410 Gone: it wants no more events. When it does again, enable the subscription")
		}
	}
	last := ""
	if most := b.config.Attempts[r.Subscription]; most > 0 && a.Number >= most {
		last = fmt.Sprintf("attempt %d of %d", a.Number, most)
	} else if !r.SentAt.IsZero() && time.Since(r.SentAt)+wait > keptFor {
		last = fmt.Sprintf("attempt %d: the queue keeps the event for 4 days, and the next would be too late", a.Number)
	}
	if last != "" {
		return handler.Permanent(fmt.Errorf("%w (%s)", err, last))
	}
	a.Outcome, a.Next = deliveries.Retrying, time.Now().Add(wait).UTC()
	return handler.RetryAfter(err, wait)
}

func (b *batch) disable(reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = reason
}

// log writes the attempt. It gives up rather than keep the batch.
func (b *batch) log(ctx context.Context, a deliveries.Attempt) {
	if b.config.Log == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	if err := b.config.Log.Write(ctx, a); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.unlogged++
		b.logError = err
	}
}

// StatusError is a response that is not one of success.
type StatusError struct{ Status int }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the endpoint answered %d %s", e.Status, http.StatusText(e.Status))
}
