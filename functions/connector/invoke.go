package connector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/functions/connector/call"
)

// The most that an invocation carries, as encoded: synchronously 6 MB,
// asynchronously 1 MB ("Lambda quotas").
const (
	maxSync  = 6 << 20
	maxAsync = 1 << 20
)

// message is what a call carries.
type message struct {
	topic       string // that it was received with
	told        string // that functions are told of
	body        []byte
	header      http.Header // as given to Invoke
	contentType string      // in place of the header's, if not empty
	async       bool
	callbackURL string
}

// Option changes one call of Invoke or InvokeFunction.
type Option func(*message)

// WithContentType sends the message as of this type, whatever its headers say.
func WithContentType(contentType string) Option {
	return func(m *message) { m.contentType = contentType }
}

// WithTopic has InvokeFunction tell the function that the message is about topic.
// For Invoke, which knows the topic, it changes what the functions are told.
func WithTopic(topic string) Option { return func(m *message) { m.told = topic } }

// WithAsync makes the call asynchronously, or synchronously, whatever
// Config.Async says. Of Config.CallbackURL a synchronous call makes no use.
func WithAsync(async bool) Option {
	return func(m *message) {
		m.async = async
		if !async {
			m.callbackURL = ""
		}
	}
}

// WithCallbackURL sends the result of an asynchronous call there, whatever
// Config.CallbackURL says.
func WithCallbackURL(url string) Option { return func(m *message) { m.callbackURL = url } }

func (c *Connector) message(topic string, body []byte, header http.Header, options []Option) (message, error) {
	m := message{topic: topic, told: topic, body: body, header: header, async: c.cfg.Async, callbackURL: c.cfg.CallbackURL}
	for _, option := range options {
		option(&m)
	}
	if m.topic == "" {
		m.topic = m.told
	}
	return m, errors.Join(c.cfg.Retry.checkAsync(m.async), checkCallback(m.async, m.callbackURL))
}

// Invoke calls every function that matches the topic, and waits for all of them,
// their retries included. It returns what the last attempt of each came to, by
// the functions' names.
//
// The error is nil if every function has succeeded, or has accepted the call if
// that is asynchronous, or its failure is in the DLQ: the source may forget the
// message. It is ErrNoMatch if there is no such function. Otherwise it tells every
// failure, of the end of ctx too, after which nothing is put into the DLQ: the
// source still has the message, and may send it again.
//
// header may hold anything but what package call reserves, which is not sent. The
// message measures up to 6 MB together with its headers, 1 MB if the call is
// asynchronous, as the JSON that it is encoded in; what is not UTF-8 takes a third
// more. Neither message nor header may change before Invoke returns.
func (c *Connector) Invoke(ctx context.Context, topic string, body []byte, header http.Header, options ...Option) ([]Response, error) {
	callerContext := ctx
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	m, err := c.message(topic, body, header, options)
	if err != nil {
		return nil, err
	}
	functions := c.functions.Load().matching(c.cfg.Match, topic)
	if len(functions) == 0 {
		err := fmt.Errorf("topic %q: %w", topic, ErrNoMatch)
		c.tell(Response{Context: callerContext, Topic: topic, Err: err, Final: true})
		return nil, err
	}
	responses := make([]Response, len(functions))
	faults := make([]error, len(functions))
	var wg sync.WaitGroup
	for i, f := range functions {
		wg.Go(func() { responses[i], faults[i] = c.call(ctx, callerContext, f, m) })
	}
	wg.Wait()
	return responses, errors.Join(faults...)
}

// InvokeFunction calls the function of a name, "printer", or "printer.billing" if
// it is to be in that namespace, whatever topics it has declared and whatever
// Config.Namespace says. It must have declared topics or a namespace. Otherwise it
// is as Invoke is.
func (c *Connector) InvokeFunction(ctx context.Context, name string, body []byte, header http.Header, options ...Option) (Response, error) {
	callerContext := ctx
	ctx, end, err := c.begin(ctx)
	if err != nil {
		return Response{}, err
	}
	defer end()
	m, err := c.message("", body, header, options)
	if err != nil {
		return Response{}, err
	}
	f, err := c.functions.Load().named(name)
	if err != nil {
		r := Response{Context: callerContext, Topic: m.topic, Function: name, Err: err, Final: true}
		c.tell(r)
		return r, err
	}
	return c.call(ctx, callerContext, f, m)
}

// call calls a function until it succeeds or has failed for good. The error is
// nil if the message may be forgotten.
func (c *Connector) call(ctx, callerContext context.Context, f Function, m message) (Response, error) {
	payload, err := c.payload(f, m)
	if err != nil {
		return c.fail(ctx, m, Response{Context: callerContext, Topic: m.topic, Function: f.FullName(), Err: err})
	}
	for attempt := 1; ; attempt++ {
		r := c.attempt(ctx, f, m, payload)
		r.Context, r.Topic, r.Function = callerContext, m.topic, f.FullName()
		if r.Attempt = attempt; r.unsent {
			r.Attempt--
		}
		if !r.Failed() {
			r.Final = true
			c.tell(r.Response)
			return r.Response, nil
		}
		wait, again := c.cfg.Retry.next(&r.Response)
		if !again || ctx.Err() != nil {
			return c.fail(ctx, m, r.Response)
		}
		c.tell(r.Response)
		if !sleep(ctx, wait) {
			r.Err, r.Duration = context.Cause(ctx), 0
			return c.fail(ctx, m, r.Response)
		}
	}
}

// fail ends a call that has failed for good: it goes to the DLQ, unless the caller
// has given it up and so still has it.
func (c *Connector) fail(ctx context.Context, m message, r Response) (Response, error) {
	r.Final = true
	var undelivered error
	switch {
	case ctx.Err() != nil:
		undelivered = context.Cause(ctx)
	case c.cfg.DLQ == nil:
		undelivered = fmt.Errorf("connector: attempt %d: %w", r.Attempt, r.err())
	default:
		put, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTimeout)
		defer cancel()
		err := c.cfg.DLQ.Put(put, Letter{
			Topic: m.topic, Function: r.Function, Message: m.body, Header: m.header,
			Reason: r.reason(), Status: r.Status, Attempts: r.Attempt, FailedAt: time.Now().UTC(),
		})
		if r.DeadLettered = err == nil; err != nil {
			undelivered = fmt.Errorf("connector: attempt %d: %w; and the DLQ did not take it: %w", r.Attempt, r.err(), err)
			if r.Err == nil {
				r.Err = undelivered
			}
		}
	}
	c.tell(r)
	return r, undelivered
}

// err is why an attempt failed, as an error.
func (r *Response) err() error {
	if r.Err != nil {
		return r.Err
	}
	return errors.New(r.reason())
}

// payload encodes a call. All its attempts share it, and so the request's id.
func (c *Connector) payload(f Function, m message) ([]byte, error) {
	header := c.cfg.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("User-Agent", c.cfg.UserAgent)
	if c.cfg.ContentType != "" {
		header.Set("Content-Type", c.cfg.ContentType)
	}
	for name, values := range m.header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	if m.contentType != "" {
		header.Set("Content-Type", m.contentType)
	}
	request := call.Request{
		ID: uuid.NewString(), Function: f.FullName(), Header: header, Body: m.body, Start: time.Now(), CallbackURL: m.callbackURL,
	}
	if !c.cfg.OmitTopic {
		request.Topic = m.told
	}
	payload, err := request.Encode()
	if err != nil {
		return nil, fmt.Errorf("connector: %w", err)
	}
	limit := maxSync
	if m.async {
		limit = maxAsync
	}
	if len(payload) > limit {
		return nil, fmt.Errorf("connector: the message of %d bytes makes a request of %d to function %s, Lambda takes %d", len(m.body), len(payload), f.FullName(), limit)
	}
	return payload, nil
}

// errTimeout is the end of Config.Timeout.
var errTimeout = errors.New("no response in time")

// attempted is a response whose message may not have been sent.
type attempted struct {
	Response
	unsent bool
}

// attempt invokes the function once, when it is its turn.
func (c *Connector) attempt(ctx context.Context, f Function, m message, payload []byte) attempted {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return attempted{Response{Err: context.Cause(ctx)}, true}
	}
	input := &lambda.InvokeInput{FunctionName: &f.Lambda, Payload: payload}
	if m.async {
		input.InvocationType = types.InvocationTypeEvent
	}
	timed, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	start := time.Now()
	// The attempts are the connector's to count: the SDK makes one.
	out, err := c.client.Invoke(timed, input, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} })
	r := attempted{Response: Response{Duration: time.Since(start)}}
	switch {
	case err != nil && ctx.Err() != nil:
		r.Err = context.Cause(ctx)
	case err != nil && timed.Err() != nil:
		r.Err = fmt.Errorf("function %s: %w: it took longer than %v", f.FullName(), errTimeout, c.cfg.Timeout)
	case err != nil:
		r.Err = fmt.Errorf("function %s: %w", f.FullName(), err)
	default:
		r.CallID, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
		r.read(f, m, out)
	}
	return r
}

// read takes what a function has answered.
func (r *Response) read(f Function, m message, out *lambda.InvokeOutput) {
	switch {
	case m.async:
		r.Status, r.Header = http.StatusAccepted, http.Header{}
	case out.FunctionError != nil:
		failure := &FunctionError{Function: f.FullName()}
		var payload struct{ ErrorMessage, ErrorType string }
		if json.Unmarshal(out.Payload, &payload) == nil {
			failure.Message, failure.Type = payload.ErrorMessage, payload.ErrorType
		}
		r.Err, r.Body = failure, out.Payload
	default:
		answer, err := call.ParseResponse(out.Payload)
		if err != nil {
			r.Err, r.Body = fmt.Errorf("function %s: %w", f.FullName(), err), out.Payload
			return
		}
		r.Status, r.Header, r.Body = answer.Status, answer.Header, answer.Body
	}
}

// sleep waits, and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
