package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
)

// whsec is a secret that a search finds.
func whsec(name string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(secretstest.Value(name+strings.Repeat("/?", 12))))
}

var secret, older, strange = whsec("hook"), whsec("older"), whsec("strange")

const session = "eyJ-the-session-of-ann"

// sample is a receiver, with a data API that has one row, of ann's.
type sample struct {
	*receiver
	api         *httptest.Server
	down        bool // the API
	asked       int
	out, logged bytes.Buffer
}

func newSample(t *testing.T, secrets string) *sample {
	t.Helper()
	s := &sample{}
	s.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked++
		switch {
		case s.down:
			http.Error(w, "not now", http.StatusInternalServerError)
		case r.Header.Get("Authorization") != "Bearer "+session:
			http.Error(w, "who?", http.StatusForbidden)
		case r.URL.EscapedPath() != "/rows/accounting/2026/invoices/row-1":
			http.NotFound(w, r)
		default:
			fmt.Fprint(w, `{"row_id": "row-1", "data": {"total": 12.5}}`)
		}
	}))
	t.Cleanup(s.api.Close)
	var err error
	if s.receiver, err = newReceiver(secrets, s.api.URL+"/", &s.out, slog.New(slog.NewTextHandler(&s.logged, nil))); err != nil {
		t.Fatal(err)
	}
	return s
}

// body is what Penstock delivers of an event about a row.
func body(code int, name, row, shared, session string) string {
	return fmt.Sprintf(`{"id": "0197", "type": "storage/%s", "name": %q, "code": %d, "timestamp": "2026-11-21T20:00:00Z",
		"data": {"row_id": %q, "container": "invoices", "bucket": "2026", "dataset": "accounting"}, "_secret": %q, "_function_session": %q}`,
		name, name, code, row, shared, session)
}

// signed is a delivery, signed by the reference library of Standard Webhooks.
func signed(t *testing.T, id string, at time.Time, body string, secrets ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	var signatures []string
	for _, secret := range secrets {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := key.Sign(id, at, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		signatures = append(signatures, signature)
	}
	r.Header.Set("webhook-id", id)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", strings.Join(signatures, " "))
	return r
}

func (s *sample) deliver(r *http.Request) int {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code
}

func TestARowThatHasChangedIsReadBackOnceByTheSession(t *testing.T) {
	s := newSample(t, secret)
	for _, c := range []struct{ id, body, want string }{
		{"1", body(1000, "STORAGE_INSERT", "row-1", secret, session), "1000 STORAGE_INSERT accounting/2026/invoices/row-1: {\"total\": 12.5}\n"},
		{"1", body(1000, "STORAGE_INSERT", "row-1", secret, session), ""},
		{"2", body(1001, "STORAGE_UPDATE", "row-2", secret, session), "1001 STORAGE_UPDATE accounting/2026/invoices/row-2: no longer there\n"},
		{"3", body(1002, "STORAGE_DELETE", "row-1", secret, ""), "1002 STORAGE_DELETE accounting/2026/invoices/row-1\n"},
		{"4", `{"name": "SAVINGS_WITHDRAWAL", "data": {"amount": 5}, "_secret": "` + secret + `"}`, "0 SAVINGS_WITHDRAWAL\n"},
	} {
		s.out.Reset()
		if status := s.deliver(signed(t, c.id, time.Now(), c.body, secret)); status != http.StatusNoContent || s.out.String() != c.want {
			t.Errorf("%s: answered %d, printed %q, want %q", c.id, status, s.out.String(), c.want)
		}
	}
	if s.asked != 2 {
		t.Errorf("the data API was asked %d times, want 2", s.asked)
	}
}

func TestWhileTheSecretIsRotatedEitherIsGood(t *testing.T) {
	s := newSample(t, secret+"\n"+older)
	for i, secrets := range [][]string{{older}, {secret, older}, {secret}} {
		shared := secrets[len(secrets)-1]
		if status := s.deliver(signed(t, fmt.Sprint(i), time.Now(), body(1000, "STORAGE_INSERT", "row-1", shared, session), secrets...)); status != http.StatusNoContent {
			t.Errorf("signed by %d secrets: answered %d", len(secrets), status)
		}
	}
}

func TestWhatIsNotTheSendersIsRefusedAndNothingIsDone(t *testing.T) {
	good := body(1000, "STORAGE_INSERT", "row-1", secret, session)
	edited := func(edit func(*http.Request)) *http.Request {
		r := signed(t, "1", time.Now(), good, secret)
		edit(r)
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		want    int
	}{
		"another secret's signature":   {signed(t, "1", time.Now(), good, strange), 401},
		"no signature":                 {edited(func(r *http.Request) { r.Header.Del("webhook-signature") }), 401},
		"no id":                        {edited(func(r *http.Request) { r.Header.Del("webhook-id") }), 401},
		"another id":                   {edited(func(r *http.Request) { r.Header.Set("webhook-id", "2") }), 401},
		"another time":                 {edited(func(r *http.Request) { r.Header.Set("webhook-timestamp", strconv.FormatInt(time.Now().Unix()-60, 10)) }), 401},
		"recorded an hour ago":         {signed(t, "1", time.Now().Add(-time.Hour), good, secret), 401},
		"of an hour from now":          {signed(t, "1", time.Now().Add(time.Hour), good, secret), 401},
		"another body":                 {edited(func(r *http.Request) { r.Body = http.NoBody }), 401},
		"another shared secret":        {signed(t, "1", time.Now(), body(1000, "STORAGE_INSERT", "row-1", strange, session), secret), 401},
		"no shared secret":             {signed(t, "1", time.Now(), body(1000, "STORAGE_INSERT", "row-1", "", session), secret), 401},
		"no JSON":                      {signed(t, "1", time.Now(), "hello", secret), 400},
		"more than any delivery":       {signed(t, "1", time.Now(), strings.Repeat(" ", maxDelivery+1), secret), 400},
		"a GET":                        {edited(func(r *http.Request) { r.Method = http.MethodGet }), 405},
		"a session that is not let in": {signed(t, "1", time.Now(), body(1000, "STORAGE_INSERT", "row-1", secret, "stolen"), secret), 503},
	} {
		s := newSample(t, secret)
		if status := s.deliver(c.request); status != c.want {
			t.Errorf("%s: answered %d, want %d", name, status, c.want)
		}
		if s.out.Len() > 0 || c.want != 503 && s.asked > 0 {
			t.Errorf("%s: printed %q, the data API was asked %d times", name, s.out.String(), s.asked)
		}
		for _, hidden := range []string{secret, strange, session, "stolen"} {
			if strings.Contains(s.logged.String(), hidden) {
				t.Errorf("%s: the log says %q", name, s.logged.String())
			}
		}
	}
}

func TestWhatCouldNotBeDoneIsDoneWhenItIsDeliveredAgain(t *testing.T) {
	s := newSample(t, secret)
	s.down = true
	again := func() int {
		return s.deliver(signed(t, "1", time.Now(), body(1000, "STORAGE_INSERT", "row-1", secret, session), secret))
	}
	if status := again(); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d while the data API is down", status)
	}
	s.down = false
	if status := again(); status != http.StatusNoContent || !strings.Contains(s.out.String(), "12.5") {
		t.Errorf("answered %d, printed %q", status, s.out.String())
	}
}

func TestSecretsThatAreNoneAreRefusedAndNotRepeated(t *testing.T) {
	for _, text := range []string{"", " \n", secret + " whsec_$$hidden$$"} {
		_, err := newReceiver(text, "http://127.0.0.1", &bytes.Buffer{}, slog.New(slog.DiscardHandler))
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
