package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/functions/connector"
)

// functions is a connector that keeps what it is to send, and answers.
type functions struct {
	topic   string
	message []byte
	header  http.Header
	calls   int

	fails error
}

func (f *functions) Invoke(_ context.Context, topic string, message []byte, header http.Header, _ ...connector.Option) ([]connector.Response, error) {
	f.calls++
	f.topic, f.message, f.header = topic, message, header
	if f.fails != nil {
		return nil, f.fails
	}
	return []connector.Response{{Status: 202}}, nil
}

const example = "It's a Secret to Everybody" // of GitHub's documentation

func constant(value string) *secret {
	return &secret{read: func(context.Context) ([]byte, error) { return []byte(value), nil }}
}

// delivery is a request as GitHub sends it.
func delivery(body string, edit ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/github", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "GitHub-Hookshot/044aadd")
	r.Header.Set("X-GitHub-Event", "issues")
	r.Header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	r.Header.Set("X-Hub-Signature-256", sign([]byte(body), []byte(example)))
	for _, e := range edit {
		e(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestTheSignatureIsGitHubs(t *testing.T) {
	// "Testing the webhook payload validation", of GitHub's documentation.
	const want = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if got := sign([]byte("Hello, World!"), []byte(example)); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
}

func TestADeliveryBecomesATopicAndKeepsItsHeaders(t *testing.T) {
	to := &functions{}
	w := httptest.NewRecorder()
	body := `{"action": "opened"}`
	(&receiver{to, constant(example), slog.New(slog.DiscardHandler)}).ServeHTTP(w, delivery(body,
		header("X-Callback-Url", "https://evil.example"), header("Authorization", "Bearer x"), header("Cookie", "a=b")))
	if w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"topic":"github.issues"`) {
		t.Errorf("the answer is %d %s", w.Code, w.Body)
	}
	if to.topic != "github.issues" || string(to.message) != body {
		t.Errorf("the functions got %s: %s", to.topic, to.message)
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/044aadd"},
		"X-Github-Event": {"issues"}, "X-Github-Delivery": {"72d3162e-cc78-11e3-81ab-4c9367dc0958"},
	}
	if len(to.header) != len(want) {
		t.Errorf("its headers are %v, want %v", to.header, want)
	}
	for name := range want {
		if to.header.Get(name) != want.Get(name) {
			t.Errorf("its headers are %v, want %v", to.header, want)
		}
	}
}

func TestOnlyWhatIsHandedOverIsAnsweredWithSuccess(t *testing.T) {
	for name, tc := range map[string]struct {
		request *http.Request
		fails   error
		secret  *secret
		want    int
		calls   int
	}{
		"accepted":                   {delivery("{}"), nil, nil, 202, 1},
		"nobody is interested":       {delivery("{}"), connector.ErrNoMatch, nil, 202, 1},
		"lost otherwise":             {delivery("{}"), errors.New("throttled"), nil, 503, 1},
		"of another secret":          {delivery("{}", header("X-Hub-Signature-256", sign([]byte("{}"), []byte("other")))), nil, nil, 401, 0},
		"of another body":            {delivery("{}", header("X-Hub-Signature-256", sign([]byte("[]"), []byte(example)))), nil, nil, 401, 0},
		"not signed":                 {delivery("{}", func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }), nil, nil, 401, 0},
		"signed by SHA-1 alone":      {delivery("{}", header("X-Hub-Signature-256", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")), nil, nil, 401, 0},
		"no event":                   {delivery("{}", header("X-GitHub-Event", "")), nil, nil, 400, 0},
		"an event that is a pattern": {delivery("{}", header("X-GitHub-Event", "issues.*")), nil, nil, 400, 0},
		"no id":                      {delivery("{}", header("X-GitHub-Delivery", "")), nil, nil, 400, 0},
		"a GET":                      {delivery("{}", func(r *http.Request) { r.Method = http.MethodGet }), nil, nil, 405, 0},
		"too large":                  {delivery(strings.Repeat("x", maxDelivery+1)), nil, nil, 413, 0},
		"an empty secret":            {delivery("{}", header("X-Hub-Signature-256", sign([]byte("{}"), nil))), nil, constant(""), 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			to, key := &functions{fails: tc.fails}, tc.secret
			if key == nil {
				key = constant(example)
			}
			w := httptest.NewRecorder()
			(&receiver{to, key, slog.New(slog.NewTextHandler(&log, nil))}).ServeHTTP(w, tc.request)
			if w.Code != tc.want || to.calls != tc.calls {
				t.Errorf("the answer is %d %s after %d calls; want %d after %d", w.Code, w.Body, to.calls, tc.want, tc.calls)
			}
			if w.Code >= 300 && !strings.Contains(log.String(), "a delivery is refused") {
				t.Error("nothing is logged")
			}
			if strings.Contains(log.String()+w.Body.String(), example) {
				t.Error("the secret shows")
			}
		})
	}
}

func TestASecretThatIsChangedNeedsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		value, reads := "old", 0
		s := &secret{read: func(context.Context) ([]byte, error) {
			reads++
			if value == "" {
				return nil, errors.New("no network")
			}
			return []byte(value), nil
		}}
		body := []byte("{}")
		check := func(key string, want bool, wantReads int) {
			t.Helper()
			got, err := s.signed(t.Context(), body, sign(body, []byte(key)))
			if err != nil || got != want || reads != wantReads {
				t.Errorf("signed by %q: %v, error %v, %d reads; want %v, %d reads", key, got, err, reads, want, wantReads)
			}
		}
		check("old", true, 1)
		check("old", true, 1)
		value = "new"
		check("new", false, 1) // read just now
		check("forged", false, 1)
		time.Sleep(readAgain)
		check("new", true, 2)
		check("old", false, 2)
		value = ""
		time.Sleep(readAgain)
		check("new", true, 2)
		check("forged", false, 3) // the one that was read before stays in use
		check("forged", false, 3)
		check("new", true, 3)
	})
}
