package queue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/infra/names"
)

var (
	queueName = names.New("shop", "test").Queue("fee", "withdrawals")
	queueARN  = "arn:aws:sqs:eu-west-1:123456789012:" + queueName
)

type entry struct {
	ID                string `json:"Id"`
	MessageBody       string
	MessageAttributes map[string]struct{ DataType, StringValue string }
	ReceiptHandle     string
	VisibilityTimeout *int
}

type call struct {
	operation, queueURL string
	entries             []entry
}

// service is SQS, which fails as it is told.
type service struct {
	answers []answer // to the first calls; the others succeed
	refuse  string   // what refers to a body or a receipt handle
	silent  string   // the same: it is not answered for

	mu    sync.Mutex
	calls []call
	seen  int
}

type answer struct {
	status int
	body   string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.seen <= len(s.answers) {
		a := s.answers[s.seen-1]
		if a.status == 0 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
		return
	}
	var in struct {
		QueueURL string `json:"QueueUrl"`
		Entries  []entry
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != "POST" || r.URL.Path != "/" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.0" ||
		!strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/sqs/aws4_request") || r.Header.Get("X-Amz-Security-Token") != "token" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"test#Bad","message":"%s %s: %v %v"}`, r.Method, r.URL, err, r.Header)
		return
	}
	operation, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	s.calls = append(s.calls, call{operation, in.QueueURL, in.Entries})
	type failure struct{ Id, Code, Message string }
	out := struct {
		Successful []map[string]string
		Failed     []failure
	}{}
	for _, e := range in.Entries {
		switch e.MessageBody + e.ReceiptHandle {
		case s.refuse:
			out.Failed = append(out.Failed, failure{e.ID, "InternalError", "try again"})
		case s.silent:
		default:
			out.Successful = append(out.Successful, map[string]string{"Id": e.ID})
		}
	}
	json.NewEncoder(w).Encode(out)
}

// start serves SQS, and returns the way to it.
func start(t *testing.T, s *service) *queue.SQS {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Start()
	t.Cleanup(server.Close)
	return queue.New(aws.Config{
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", "token"),
		HTTPClient:   server.Client(),
		BaseEndpoint: &server.URL,
	})
}

// sent are the bodies of all calls, in the order of the entries that were given.
func (s *service) sent() (bodies []string, sizes []int) {
	slices.SortFunc(s.calls, func(a, b call) int { return strings.Compare(a.entries[0].MessageBody, b.entries[0].MessageBody) })
	for _, c := range s.calls {
		sizes = append(sizes, len(c.entries))
		for _, e := range c.entries {
			bodies = append(bodies, e.MessageBody)
		}
	}
	return bodies, sizes
}

func messages(bodies ...string) []queue.Message {
	var all []queue.Message
	for _, body := range bodies {
		all = append(all, queue.Message{Body: body})
	}
	return all
}

func letters(bodies ...string) []queue.Letter {
	var all []queue.Letter
	for i, body := range bodies {
		all = append(all, queue.Letter{Message: queue.Message{Body: body}, MessageID: fmt.Sprint(i), Reason: "amount must be positive"})
	}
	return all
}

func accepted(t *testing.T, errs []error, n int) {
	t.Helper()
	if len(errs) != n {
		t.Fatalf("%d answers, want %d", len(errs), n)
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestALetterKeepsItsBodyAndSaysWhyAndWhence(t *testing.T) {
	s := &service{}
	accepted(t, start(t, s).DeadLetter(t.Context(), queueARN, letters(`{"a":1}`)), 1)
	got := s.calls[0]
	if got.operation != "SendMessageBatch" || !strings.HasSuffix(got.queueURL, "/123456789012/"+names.New("shop", "test").DLQ("fee", "withdrawals")) {
		t.Errorf("%s to %s", got.operation, got.queueURL)
	}
	e := got.entries[0]
	if e.MessageBody != `{"a":1}` || len(e.MessageAttributes) != 2 || e.VisibilityTimeout != nil {
		t.Errorf("sent %+v", e)
	}
	for name, want := range map[string]string{queue.Reason: "amount must be positive", queue.Source: queueARN} {
		if got := e.MessageAttributes[name]; got.DataType != "String" || got.StringValue != want {
			t.Errorf("%s is %v, want %q", name, got, want)
		}
	}
}

func TestALetterKeepsWhatItHadOfAttributesButForThoseOfItsLastFailure(t *testing.T) {
	s := &service{}
	letter := queue.Letter{Reason: "closed", Receives: 3, Message: queue.Message{Body: "a", Attributes: map[string]string{
		queue.Redrives: "2", queue.FirstFailed: "2026-03-02T09:00:00Z", queue.Reason: "of another time", queue.Receives: "1",
	}}}
	unknown := letter
	unknown.Receives = 0
	accepted(t, start(t, s).DeadLetter(t.Context(), queueARN, []queue.Letter{letter, unknown}), 2)
	want := map[string]string{
		queue.Redrives: "2", queue.FirstFailed: "2026-03-02T09:00:00Z", queue.Reason: "closed", queue.Receives: "3", queue.Source: queueARN,
	}
	for _, e := range s.calls[0].entries {
		got := map[string]string{}
		for name, a := range e.MessageAttributes {
			got[name] = a.StringValue
		}
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		delete(want, queue.Receives)
	}
	accepted(t, start(t, s).Send(t.Context(), queueARN, []queue.Message{letter.Message}), 1)
	if got := s.calls[1].entries[0].MessageAttributes; len(got) != 4 || got[queue.Redrives].StringValue != "2" {
		t.Errorf("sent afresh with %v", got)
	}
}

func TestADocumentIsCutToTheRoomThatTheMessageHas(t *testing.T) {
	for _, c := range []struct {
		body, document int
		want           string // how it ends; empty: it is not there
	}{
		{10, 500_000, "aa"},
		{1<<20 - 1000, 2000, "… (cut: it has 2000 bytes)"},
		{1<<20 - 135, 2000, ""},
	} {
		s := &service{}
		letter := queue.Letter{Reason: "closed", Message: queue.Message{Body: strings.Repeat("b", c.body), Attributes: map[string]string{queue.Document: strings.Repeat("a", c.document)}}}
		accepted(t, start(t, s).DeadLetter(t.Context(), queueARN, []queue.Letter{letter}), 1)
		e := s.calls[0].entries[0]
		size := len(e.MessageBody)
		for name, a := range e.MessageAttributes {
			size += len(name) + len(a.DataType) + len(a.StringValue)
		}
		document, there := e.MessageAttributes[queue.Document]
		if there != (c.want != "") || !strings.HasSuffix(document.StringValue, c.want) || size > 1<<20 {
			t.Errorf("body of %d, document of %d: sent %d bytes in all, the document ends in %q", c.body, c.document, size, document.StringValue[max(0, len(document.StringValue)-30):])
		}
		if c.want == "aa" && len(document.StringValue) != c.document {
			t.Errorf("there was room, and %d of %d bytes were sent", len(document.StringValue), c.document)
		}
	}
}

func TestABodyIsSentToTheQueueAsItWas(t *testing.T) {
	s := &service{}
	accepted(t, start(t, s).Send(t.Context(), queueARN, messages(`{"a":"<&>\u2028"}`)), 1)
	got := s.calls[0]
	if got.operation != "SendMessageBatch" || !strings.HasSuffix(got.queueURL, "/123456789012/"+queueName) ||
		got.entries[0].MessageBody != `{"a":"<&>\u2028"}` || len(got.entries[0].MessageAttributes) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestADelayIsInWholeSecondsAndNeverBeyondWhatSQSTakes(t *testing.T) {
	s := &service{}
	var delays []queue.Delay
	for _, d := range []time.Duration{0, -time.Second, time.Millisecond, time.Second, 1500 * time.Millisecond, 24 * time.Hour} {
		delays = append(delays, queue.Delay{ReceiptHandle: d.String(), After: d})
	}
	accepted(t, start(t, s).Delay(t.Context(), queueARN, delays), len(delays))
	got := s.calls[0]
	if got.operation != "ChangeMessageVisibilityBatch" || !strings.HasSuffix(got.queueURL, "/"+queueName) {
		t.Errorf("%s of %s", got.operation, got.queueURL)
	}
	for i, want := range []int{0, 0, 1, 1, 2, 42_000} {
		if e := got.entries[i]; e.ReceiptHandle != delays[i].ReceiptHandle || e.VisibilityTimeout == nil || *e.VisibilityTimeout != want {
			t.Errorf("%v: got %+v, want %d s", delays[i].After, e, want)
		}
	}
}

func TestOneDelayMakesAHundredCallsAtMost(t *testing.T) {
	s := &service{}
	delays := make([]queue.Delay, 1003)
	for i := range delays {
		delays[i].ReceiptHandle = fmt.Sprint(i)
	}
	errs := start(t, s).Delay(t.Context(), queueARN, delays)
	accepted(t, errs[:1000], 1000)
	for _, err := range errs[1000:] {
		if err == nil || !strings.Contains(err.Error(), "more than 1000 messages") {
			t.Errorf("got %v", err)
		}
	}
	if len(errs) != 1003 || len(s.calls) != 100 {
		t.Errorf("%d answers after %d calls", len(errs), len(s.calls))
	}
}

func TestACallTakesTenMessagesAndOneMebibyte(t *testing.T) {
	s := &service{}
	big := strings.Repeat("0", 600<<10)
	bodies := append([]string{big, big}, strings.Split("abcdefghijklm", "")...)
	accepted(t, start(t, s).DeadLetter(t.Context(), queueARN, letters(bodies...)), len(bodies))
	got, sizes := s.sent()
	slices.Sort(sizes)
	if !slices.Equal(sizes, []int{1, 4, 10}) || len(got) != len(bodies) || got[0] != big {
		t.Errorf("calls of %v", sizes)
	}
}

func TestEachMessageThatWasNotAcceptedHasAnError(t *testing.T) {
	errs := start(t, &service{refuse: "b", silent: "c"}).DeadLetter(t.Context(), queueARN, letters("a", "b", "c", "d"))
	for i, want := range []string{"", "shop-test-fee-withdrawals-dlq: InternalError: try again", "did not answer", ""} {
		if (errs[i] == nil) != (want == "") || errs[i] != nil && !strings.Contains(errs[i].Error(), want) {
			t.Errorf("letter %d: got %v, want %q", i, errs[i], want)
		}
	}
}

func TestACallIsMadeAgainOnlyIfItMaySucceed(t *testing.T) {
	const throttled = `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}`
	const denied = `{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized to perform: sqs:sendmessage"}`
	for what, c := range map[string]struct {
		answers []answer
		seen    int
		want    string // "" succeeds
	}{
		"the service fails once":      {[]answer{{500, ""}}, 2, ""},
		"the connection breaks twice": {[]answer{{}, {}}, 3, ""},
		"it is throttled":             {[]answer{{400, throttled}, {429, "<html>"}}, 3, ""},
		"it fails for too long":       {[]answer{{503, ""}, {503, ""}, {503, "busy"}}, 3, "SendMessageBatch: SQS answered 503 Service Unavailable"},
		"it refuses":                  {[]answer{{400, denied}}, 1, "AccessDeniedException: not authorized to perform: sqs:sendmessage"},
		"it answers no JSON":          {[]answer{{200, "<html>"}}, 1, "invalid character '<'"},
	} {
		t.Run(what, func(t *testing.T) {
			s := &service{answers: c.answers}
			for i, err := range start(t, s).Send(t.Context(), queueARN, messages("a", "b")) {
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("body %d: got %v, want %q", i, err, c.want)
				}
			}
			if s.seen < c.seen || s.seen > c.seen+2 { // the transport itself may repeat a broken connection
				t.Errorf("%d attempts, want %d", s.seen, c.seen)
			}
		})
	}
}

func TestNothingIsSentAfterTheContextsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &service{}
	q := start(t, s)
	for _, errs := range [][]error{
		q.DeadLetter(ctx, queueARN, letters("a")),
		q.Send(ctx, queueARN, messages("a")),
		q.Delay(ctx, queueARN, []queue.Delay{{ReceiptHandle: "a"}}),
	} {
		if len(errs) != 1 || errs[0] == nil {
			t.Errorf("got %v", errs)
		}
	}
	if s.seen != 0 {
		t.Errorf("%d calls", s.seen)
	}
}

func TestNothingIsNoCall(t *testing.T) {
	s := &service{}
	q := start(t, s)
	if n := len(q.DeadLetter(t.Context(), queueARN, nil)) + len(q.Send(t.Context(), queueARN, nil)) + len(q.Delay(t.Context(), queueARN, nil)); n != 0 || s.seen != 0 {
		t.Errorf("%d answers after %d calls", n, s.seen)
	}
}

func TestAQueueIsFoundByItsARN(t *testing.T) {
	for arn, want := range map[string]string{
		queueARN: "https://sqs.eu-west-1.amazonaws.com/",
		"arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q": "https://sqs.us-gov-west-1.amazonaws.com/",
		"arn:aws-cn:sqs:cn-north-1:123456789012:q":        "https://sqs.cn-north-1.amazonaws.com.cn/",
		"arn:aws-iso:sqs:us-iso-east-1:123456789012:q":    `the endpoint of SQS in partition "aws-iso" is not known: set AWS_ENDPOINT_URL`,
		"arn:aws:sns:eu-west-1:123456789012:t":            `"arn:aws:sns:eu-west-1:123456789012:t" is not the ARN of a queue`,
		"":                                                `"" is not the ARN of a queue`,
	} {
		q := queue.New(aws.Config{
			Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
			HTTPClient:  asked{},
		})
		if err := q.Send(t.Context(), arn, messages("a"))[0]; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", arn, err, want)
		}
	}
}

// asked answers with what it was asked.
type asked struct{}

func (asked) Do(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 400, Body: io.NopCloser(strings.NewReader(`{"__type":"` + r.URL.String() + `"}`))}, nil
}

func TestAReasonIsWhatSQSTakes(t *testing.T) {
	s := &service{}
	q := start(t, s)
	for _, reason := range []string{"", "a\x00b\nc", strings.Repeat("ü", 2000), "bad \xff utf-8"} {
		accepted(t, q.DeadLetter(t.Context(), queueARN, []queue.Letter{{Message: queue.Message{Body: "x"}, Reason: reason}}), 1)
	}
	var got []string
	for _, call := range s.calls {
		got = append(got, call.entries[0].MessageAttributes[queue.Reason].StringValue)
	}
	if got[0] != "unknown" || got[1] != "a\uFFFDb\nc" || got[3] != "bad \uFFFD utf-8" {
		t.Errorf("got %q", got)
	}
	if len(got[2]) > 1024 || !strings.HasSuffix(got[2], "ü…") {
		t.Errorf("a long reason has %d bytes and ends in %q", len(got[2]), got[2][len(got[2])-5:])
	}
}

func TestFromEnvTakesWhatLambdaSets(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	if _, err := queue.FromEnv(); err == nil || !strings.Contains(err.Error(), "AWS_SECRET_ACCESS_KEY") {
		t.Errorf("got %v", err)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if q, err := queue.FromEnv(); err != nil || q == nil {
		t.Errorf("got %v, %v", q, err)
	}
}
