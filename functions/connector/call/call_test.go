package call_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/functions/connector/call"
)

func TestARequestIsTheEventOfAFunctionURL(t *testing.T) {
	r := call.Request{
		ID: "01", Function: "printer.billing", Topic: "payment.made",
		Header: http.Header{"Content-Type": {"text/plain"}, "X-Served-By": {"a", "b"}, "User-Agent": {"tester"}, "X-Callback-Url": {"https://evil.example"}},
		Body:   []byte("<1 & 2>"), Start: time.Date(2026, 11, 21, 12, 0, 0, 5e6, time.UTC), CallbackURL: "https://example.com/done",
	}
	payload, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"version":"2.0"`, `"content-type":"text/plain"`, `"x-served-by":"a,b"`, `"x-topic":"payment.made"`, `"x-function-name":"printer.billing"`,
		`"x-callback-url":"https://example.com/done"`, `"x-start-time":"2026-11-21T12:00:00.005Z"`, `"requestId":"01"`, `"timeEpoch":1795262400005`,
		`"method":"POST"`, `"userAgent":"tester"`, `"body":"<1 & 2>"`, `"isBase64Encoded":false`,
	} {
		if !strings.Contains(string(payload), want) {
			t.Errorf("the payload has no %s:\n%s", want, payload)
		}
	}
	got, err := call.Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"text/plain"}, "X-Served-By": {"a,b"}, "User-Agent": {"tester"}}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("read back\n%+v, want\n%+v", got, r)
	}
}

func TestWhatIsNoRequestOfAConnectorIsRefused(t *testing.T) {
	for payload, says := range map[string]string{
		`[`:  "no request of a connector",
		`{}`: `X-Function-Name and X-Start-Time are "" and ""`,
		`{"headers":{"x-function-name":"a","x-start-time":"yesterday"}}`:                                              `"yesterday"`,
		`{"headers":{"x-function-name":"a","x-start-time":"2026-11-21T12:00:00Z"},"body":"?","isBase64Encoded":true}`: "base64",
	} {
		if _, err := call.Decode([]byte(payload)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the error is %v, want one that says %q", payload, err, says)
		}
	}
}

func TestAResponseIsReadAsAFunctionURLReadsIt(t *testing.T) {
	asJSON := http.Header{"Content-Type": {"application/json"}}
	for name, tc := range map[string]struct {
		payload string
		want    call.Response
	}{
		"in full": {
			`{"statusCode": 201, "headers": {"Content-Type": "text/plain", "retry-after": "3"}, "cookies": ["a=1", "b=2"], "body": "made"}`,
			call.Response{Status: 201, Header: http.Header{"Content-Type": {"text/plain"}, "Retry-After": {"3"}, "Set-Cookie": {"a=1", "b=2"}}, Body: []byte("made")},
		},
		"a binary body":       {`{"statusCode": 200, "body": "/w==", "isBase64Encoded": true}`, call.Response{Status: 200, Header: http.Header{}, Body: []byte{0xff}}},
		"an object, inferred": {`{"a": 1}`, call.Response{Status: 200, Header: asJSON, Body: []byte(`{"a": 1}`)}},
		"a string, inferred":  {`"Hello, world!"`, call.Response{Status: 200, Header: asJSON, Body: []byte(`Hello, world!`)}},
		"null, inferred":      {`null`, call.Response{Status: 200, Header: asJSON, Body: []byte(`null`)}},
		"a list, inferred":    {`[1]`, call.Response{Status: 200, Header: asJSON, Body: []byte(`[1]`)}},
		"nothing":             {``, call.Response{Status: 200, Header: http.Header{}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := call.ParseResponse([]byte(tc.payload))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("it is\n%+v, want\n%+v", got, tc.want)
			}
		})
	}
}

func TestResponsesThatAFunctionURLRefusesAreErrors(t *testing.T) {
	for payload, says := range map[string]string{
		`{"statusCode": 99}`:                                      "statusCode 99",
		`{"statusCode": 600}`:                                     "statusCode 600",
		`{"statusCode": "OK"}`:                                    "statusCode is not a number",
		`{"statusCode": 200, "body":1}`:                           "not in the format",
		`{"statusCode": 200, "body":"?", "isBase64Encoded":true}`: "base64",
		`<html>`: "not JSON",
	} {
		if _, err := call.ParseResponse([]byte(payload)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: the error is %v, want one that says %q", payload, err, says)
		}
	}
}

func FuzzMessagesSurviveARequest(f *testing.F) {
	f.Add([]byte("text"), "v")
	f.Add([]byte{0xff, 0}, "ü")
	f.Fuzz(func(t *testing.T, body []byte, topic string) {
		payload, err := call.Request{Function: "f", Topic: topic, Body: body}.Encode()
		if err != nil {
			return // a topic that is not UTF-8
		}
		got, err := call.Decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Body) != string(body) || got.Topic != topic {
			t.Errorf("body %q and topic %q came back as %q and %q", body, topic, got.Body, got.Topic)
		}
	})
}

func FuzzResponsesAreReadOrRefused(f *testing.F) {
	f.Add([]byte(`{"statusCode": 200, "body": "x"}`))
	f.Add([]byte(`"x"`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := call.ParseResponse(payload)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			return // a header that is not UTF-8
		}
		back, err := call.ParseResponse(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if back.Status != r.Status || string(back.Body) != string(r.Body) {
			t.Errorf("%+v came back as %+v", r, back)
		}
	})
}
