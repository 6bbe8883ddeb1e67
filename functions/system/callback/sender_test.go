package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/functions/connector/call"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/handler/secrets"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

const queueARN = "arn:aws:sqs:us-east-1:000000000000:penstock-local-callback-results"

// receiver is who waits for results.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(http.ResponseWriter)
}

type received struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T, answer func(http.ResponseWriter)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.got = append(r.got, received{req.Header, string(body)})
		r.mu.Unlock()
		if answer != nil {
			answer(w)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// fakeQueue records what is done to the queue.
type fakeQueue struct {
	mu      sync.Mutex
	letters []queue.Letter
	delays  []time.Duration
	refuse  error
}

func (q *fakeQueue) DeadLetter(_ context.Context, arn string, letters []queue.Letter) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.refuse == nil {
		q.letters = append(q.letters, letters...)
	}
	return []error{q.refuse}
}

func (q *fakeQueue) Send(context.Context, string, []queue.Message) []error { panic("not called") }

func (q *fakeQueue) Delay(_ context.Context, arn string, delays []queue.Delay) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.delays = append(q.delays, delays[0].After)
	return []error{q.refuse}
}

// oneSecret is the signing secret, or why it cannot be read.
type oneSecret struct {
	value string
	err   error
}

func (s oneSecret) Get(_ context.Context, name string) (secrets.Secret, error) {
	if name != "callback-signing" {
		return secrets.Secret{}, fmt.Errorf("it asks for %q", name)
	}
	return secrets.Secret{Name: name, Value: secrets.NewValue(s.value)}, s.err
}

type fixture struct {
	*sender
	queue *fakeQueue
	log   *bytes.Buffer
}

func newFixture(t *testing.T, hosts string, secret secretReader) fixture {
	t.Helper()
	env := map[string]string{
		"PENSTOCK_RETRIES":        `{"results": {"maxReceiveCount": 3, "baseSeconds": 10, "capSeconds": 15}}`,
		"PENSTOCK_CALLBACK_HOSTS": hosts, "PENSTOCK_EGRESS": "local",
	}
	f := fixture{queue: &fakeQueue{}, log: &bytes.Buffer{}}
	var err error
	if f.sender, err = newSender(secret, f.queue, func(name string) string { return env[name] }, slog.New(slog.NewJSONHandler(f.log, nil))); err != nil {
		t.Fatal(err)
	}
	return f
}

// signing is a secret as Standard Webhooks has them.
var signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// message is the result of a call, 1.25 s after it.
func message(t *testing.T, url, condition, functionError, response string, receives int) awsevents.SQSMessage {
	t.Helper()
	request, err := call.Request{ID: "id", Function: "printer.billing", Topic: "payment", Start: start, CallbackURL: url, Body: []byte("message")}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	detail := map[string]any{
		"version": "1.0", "timestamp": start.Add(1250 * time.Millisecond).Format(time.RFC3339Nano),
		"requestContext":  map[string]any{"requestId": "call-1", "condition": condition, "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:penstock-local-printer:$LATEST", "approximateInvokeCount": 1},
		"requestPayload":  json.RawMessage(request),
		"responseContext": map[string]any{"statusCode": 200, "functionError": functionError},
	}
	if response != "" {
		detail["responsePayload"] = json.RawMessage(response)
	}
	body, err := json.Marshal(map[string]any{"source": "lambda", "detail-type": "Lambda Function Invocation Result - Success", "detail": detail})
	if err != nil {
		t.Fatal(err)
	}
	return awsevents.SQSMessage{
		MessageId: "m", ReceiptHandle: "r", Body: string(body), EventSource: "aws:sqs", EventSourceARN: queueARN,
		Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(receives)},
	}
}

// send gives the sender one message, and reports whether it stays in the queue.
func (f fixture) send(t *testing.T, m awsevents.SQSMessage) (stays bool) {
	t.Helper()
	out, err := f.handle(t.Context(), awsevents.SQSEvent{Records: []awsevents.SQSMessage{m}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.BatchItemFailures) == 1 && out.BatchItemFailures[0].ItemIdentifier == "m"
}

func TestAResultIsPostedWithItsHeadersAndSigned(t *testing.T) {
	for name, c := range map[string]struct {
		condition, functionError, response      string
		status, functionErrorHeader, kind, want string
	}{
		"a response":   {"Success", "", `{"statusCode": 201, "headers": {"Content-Type": "text/plain"}, "body": "printed"}`, "201", "", "text/plain", "printed"},
		"a binary one": {"Success", "", `{"statusCode": 200, "headers": {"Content-Type": "image/png"}, "body": "iVBORw==", "isBase64Encoded": true}`, "200", "", "image/png", "\x89PNG"},
		"one with a status of 500 is no failure to Lambda": {"Success", "", `{"statusCode": 500, "body": "no paper"}`, "500", "", "", "no paper"},
		"what is no response in itself":                    {"Success", "", `{"pages": 2}`, "200", "", "application/json", `{"pages":2}`},
		"one that cannot be read":                          {"Success", "", `{"statusCode": 7}`, "502", "MalformedResponse", "application/json", ""},
		"a function that failed":                           {"RetriesExhausted", "Unhandled", `{"errorMessage": "on fire"}`, "500", "Unhandled", "application/json", `{"errorMessage":"on fire"}`},
		"one that was never reached":                       {"EventAgeExceeded", "", "", "500", "EventAgeExceeded", "application/json", `{"errorMessage":"the call was given up","errorType":"EventAgeExceeded"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, nil)
			f := newFixture(t, "127.0.0.1", oneSecret{value: signing})
			if f.send(t, message(t, r.URL+"/results?of=1", c.condition, c.functionError, c.response, 1)) {
				t.Fatalf("it stays: %s", f.log)
			}
			if len(r.got) != 1 {
				t.Fatalf("%d requests", len(r.got))
			}
			got := r.got[0]
			for header, want := range map[string]string{
				"X-Call-Id": "call-1", "X-Function-Name": "printer.billing", "X-Function-Status": c.status, "X-Duration-Seconds": "1.250",
				"X-Function-Error": c.functionErrorHeader, "Content-Type": c.kind, "Webhook-Id": "call-1",
			} {
				if got.header.Get(header) != want {
					t.Errorf("%s: %q, want %q", header, got.header.Get(header), want)
				}
			}
			if c.want != "" && got.body != c.want {
				t.Errorf("the body is %q, want %q", got.body, c.want)
			}
			verifier, err := standardwebhooks.NewWebhook(signing)
			if err != nil {
				t.Fatal(err)
			}
			if err := verifier.Verify([]byte(got.body), got.header); err != nil {
				t.Error(err)
			}
			if !strings.Contains(f.log.String(), `"outcome":"handled"`) {
				t.Errorf("logged %s", f.log)
			}
		})
	}
}

func TestWhatIsNotTakenIsTriedAgainLater(t *testing.T) {
	for name, c := range map[string]struct {
		answer      func(http.ResponseWriter)
		least, most time.Duration
		reason      string
	}{
		"a status of 500":      {func(w http.ResponseWriter) { w.WriteHeader(500) }, 0, 10 * time.Second, "answered 500"},
		"a redirect":           {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(302) }, 0, 10 * time.Second, "answered 302"},
		"too many requests":    {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "120"); w.WriteHeader(429) }, 2 * time.Minute, 2 * time.Minute, "answered 429"},
		"for ever":             {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "99999999"); w.WriteHeader(503) }, time.Hour, time.Hour, "answered 503"},
		"no Retry-After else":  {func(w http.ResponseWriter) { w.Header().Set("Retry-After", "120"); w.WriteHeader(404) }, 0, 10 * time.Second, "answered 404"},
		"a host that hangs up": {func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }, 0, 10 * time.Second, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, "127.0.0.1", oneSecret{value: signing})
			if !f.send(t, message(t, newReceiver(t, c.answer).URL, "Success", "", `{}`, 1)) {
				t.Error("it is acknowledged")
			}
			if len(f.queue.delays) != 1 || f.queue.delays[0] < c.least || f.queue.delays[0] > c.most || len(f.queue.letters) != 0 {
				t.Errorf("delays %v, letters %v", f.queue.delays, f.queue.letters)
			}
			if log := f.log.String(); !strings.Contains(log, `"outcome":"failed"`) || !strings.Contains(log, c.reason) {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestWhatIsRefusedForGoodGoesToTheDLQAtOnceWithTheReason(t *testing.T) {
	good := newReceiver(t, nil)
	m := message(t, good.URL, "Success", "", `{}`, 1)
	noRequest := m
	noRequest.Body = `{"detail": {"requestContext": {"requestId": "r", "condition": "Success"}, "requestPayload": {"n": 1}}}`
	for name, c := range map[string]struct {
		hosts  string
		m      awsevents.SQSMessage
		reason string
	}{
		"a host that is not on the list": {"hooks.example.com", m, `host "127.0.0.1" is not on the list`},
		"an empty list":                  {"", m, `is not on the list`},
		"what is no URL":                 {"127.0.0.1", message(t, "ftp://127.0.0.1/", "Success", "", `{}`, 1), "must begin with https://"},
		"a message that is no result":    {"127.0.0.1", awsevents.SQSMessage{MessageId: "m", Body: "hello", EventSourceARN: queueARN}, "the message is no result"},
		"a call that is no connector's":  {"127.0.0.1", noRequest, "no request of a connector"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.hosts, oneSecret{err: errors.New("no such secret")})
			if f.send(t, c.m) {
				t.Error("it stays")
			}
			if len(f.queue.letters) != 1 || !strings.Contains(f.queue.letters[0].Reason, c.reason) || f.queue.letters[0].Body != c.m.Body {
				t.Errorf("letters %+v", f.queue.letters)
			}
		})
	}
	if len(good.got) != 0 {
		t.Errorf("%d requests", len(good.got))
	}
}

func TestWhatFailsForTheLastTimeGoesToTheDLQWithTheReason(t *testing.T) {
	f := newFixture(t, "127.0.0.1", oneSecret{err: errors.New(`secret "callback-signing" does not exist`)})
	m := message(t, newReceiver(t, nil).URL, "Success", "", `{}`, 2)
	if !f.send(t, m) || len(f.queue.letters) != 0 {
		t.Errorf("the second time: letters %v", f.queue.letters)
	}
	m.Attributes["ApproximateReceiveCount"] = "3"
	m.MessageAttributes = map[string]awsevents.SQSMessageAttribute{
		"penstock.redrives": {StringValue: new("1"), DataType: "String"}, "other": {StringValue: new("x"), DataType: "String"},
	}
	if f.send(t, m) || len(f.queue.letters) != 1 {
		t.Fatalf("the third time: letters %v", f.queue.letters)
	}
	if l := f.queue.letters[0]; !strings.Contains(l.Reason, "callback-signing") || l.Receives != 3 || len(l.Attributes) != 1 || l.Attributes["penstock.redrives"] != "1" {
		t.Errorf("the letter is %+v", l)
	}
	f.queue.refuse = errors.New("SQS is away")
	if !f.send(t, m) || !strings.Contains(f.log.String(), "it could not be sent to the DLQ: SQS is away") {
		t.Errorf("what the DLQ did not take is gone; logged %s", f.log)
	}
}

func TestASlowHostDelaysNoOther(t *testing.T) {
	released := make(chan struct{})
	slow := newReceiver(t, func(http.ResponseWriter) { <-released })
	quick := newReceiver(t, func(http.ResponseWriter) { close(released) }) // by being reached, it lets the slow one go
	f := newFixture(t, "127.0.0.1", oneSecret{value: signing})
	first, second := message(t, slow.URL, "Success", "", `{}`, 1), message(t, quick.URL, "Success", "", `{}`, 1)
	out, err := f.handle(t.Context(), awsevents.SQSEvent{Records: []awsevents.SQSMessage{first, second}})
	if err != nil || len(out.BatchItemFailures) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
}

func TestNeitherLogNorDLQHoldsTheSecret(t *testing.T) {
	for _, value := range []string{signing, secretstest.Value("signing")} {
		f := newFixture(t, "127.0.0.1", oneSecret{value: value})
		f.send(t, message(t, newReceiver(t, func(w http.ResponseWriter) { w.WriteHeader(500) }).URL+"?token=hidden", "Success", "", `{}`, 3))
		for _, l := range f.queue.letters {
			if strings.Contains(l.Reason, value) || strings.Contains(l.Reason, "hidden") {
				t.Errorf("the reason is %s", l.Reason)
			}
		}
		if strings.Contains(f.log.String(), value) || strings.Contains(f.log.String(), "hidden") {
			t.Errorf("logged %s", f.log)
		}
	}
}

func TestWithoutItsSettingsTheProgramDoesNotStart(t *testing.T) {
	for _, text := range []string{"", "{}", `{"results": {"maxReceiveCount": 3}}`, "no"} {
		if _, err := newSender(nil, nil, func(string) string { return text }, nil); err == nil || !strings.Contains(err.Error(), "PENSTOCK_RETRIES") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAHostMaySayWhenAsATime(t *testing.T) {
	f := newFixture(t, "127.0.0.1", oneSecret{value: signing})
	at := time.Now().Add(10 * time.Minute)
	f.send(t, message(t, newReceiver(t, func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", at.UTC().Format(http.TimeFormat))
		w.WriteHeader(503)
	}).URL, "Success", "", `{}`, 1))
	if len(f.queue.delays) != 1 || f.queue.delays[0] < 8*time.Minute || f.queue.delays[0] > 10*time.Minute {
		t.Errorf("delays %v", f.queue.delays)
	}
}
