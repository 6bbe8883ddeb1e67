package serve_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/functions/connector/call"
	"github.com/penstock-dev/penstock/functions/connector/serve"
)

// do has a handler answer a request of a connector.
func do(t *testing.T, h http.HandlerFunc, r call.Request) call.Response {
	t.Helper()
	r.Function = "f"
	payload, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := serve.New(h).Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	response, err := call.ParseResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestAHandlerIsGivenTheMessageAndItsAnswerComesBack(t *testing.T) {
	binary := []byte{0xff, 0, 1}
	got := do(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get(call.TopicHeader) != "payment" || r.Header.Get("Content-Type") != "image/png" {
			t.Errorf("it is a %s to %s with %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("X-Seen", "yes")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "too late")
		_, _ = w.Write(body)
	}, call.Request{Topic: "payment", Header: http.Header{"Content-Type": {"image/png"}}, Body: binary})
	if got.Status != http.StatusCreated || string(got.Body) != string(binary) || got.Header.Get("X-Seen") != "yes" ||
		got.Header.Get("Set-Cookie") != "a=1" || got.Header.Get("X-Late") != "" {
		t.Errorf("the answer is %+v", got)
	}
}

func TestAHandlerThatSetsNoStatusHasSucceeded(t *testing.T) {
	if got := do(t, func(http.ResponseWriter, *http.Request) {}, call.Request{}); got.Status != http.StatusOK || len(got.Body) != 0 {
		t.Errorf("the answer is %+v", got)
	}
	got := do(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, call.Request{})
	if got.Status != http.StatusOK || got.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the answer is %+v", got)
	}
}

func TestWhatIsNoRequestIsAnErrorOfTheFunction(t *testing.T) {
	for _, payload := range []string{`{"Records": []}`, `[`, `{"requestContext": {"http": {"method": "POST"}}, "body": "?", "isBase64Encoded": true}`} {
		_, err := serve.New(http.NotFoundHandler()).Invoke(t.Context(), []byte(payload))
		if err == nil || !strings.HasPrefix(err.Error(), "serve: ") || errors.Unwrap(err) == nil && !strings.Contains(err.Error(), "function URLs") {
			t.Errorf("%s: the error is %v", payload, err)
		}
	}
}
