package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/storage"
	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/handlertest"
	"github.com/penstock-dev/penstock/functions/handler/queue"
	"github.com/penstock-dev/penstock/functions/handler/secrets/secretstest"
	"github.com/penstock-dev/penstock/functions/session"
	"github.com/penstock-dev/penstock/functions/session/sessiontest"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

// whsec is a secret that a search finds.
func whsec(name string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(secretstest.Value(name+strings.Repeat("/?", 12))))
}

// vault is a Secrets Manager of one secret.
type vault struct {
	mu                sync.Mutex
	current, previous string
	err               error
	reads             int
}

func (v *vault) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if *in.SecretId != "shop/dev/hook" {
		return nil, fmt.Errorf("no secret %q", *in.SecretId)
	}
	v.reads++
	text := v.current
	if *in.VersionStage == "AWSPREVIOUS" {
		text = v.previous
	}
	if v.err == nil && text == "" {
		return nil, &types.ResourceNotFoundException{}
	}
	return &secretsmanager.GetSecretValueOutput{SecretString: &text}, v.err
}

func (v *vault) set(current, previous string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.current, v.previous, v.err = current, previous, err
}

// book keeps attempts, as JSON, or fails.
type book struct {
	mu       sync.Mutex
	attempts []deliveries.Attempt
	err      error
}

func (b *book) Write(ctx context.Context, a deliveries.Attempt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.attempts = append(b.attempts, a)
	return ctx.Err()
}

// world is a function on HTTP with all that is around it.
type world struct {
	t        *testing.T
	endpoint *httptest.Server
	vault    *vault
	sessions *sessiontest.Store
	book     *book
	config   Config
	disabled atomic.Int32
	*handlertest.Function
}

// deployed returns a function whose endpoint answers as answer says.
func deployed(t *testing.T, answer http.HandlerFunc, edit ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, vault: &vault{current: whsec("one")}, sessions: sessiontest.NewStore(), book: &book{}}
	w.endpoint = httptest.NewServer(answer)
	t.Cleanup(w.endpoint.Close)
	minter, err := session.NewMinter(session.Environment{Name: "shop-dev"}, session.NewKeys(w.sessions, sessiontest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	w.config = Config{
		Function: "hook", URL: w.endpoint.URL + "/in?token=" + secretstest.Value("query"), Loopback: true,
		Headers:  map[string]string{"Authorization": "Bearer " + secretstest.Value("header")},
		Secret:   NewSecret(w.vault, "shop/dev/hook"),
		Sessions: minter, Log: w.book, Attempts: map[string]int{"subscription": 10},
		Disable: func(context.Context, string) error { w.disabled.Add(1); return nil },
	}
	for _, e := range edit {
		e(&w.config)
	}
	d, err := New(w.config)
	if err != nil {
		t.Fatal(err)
	}
	w.Function = handlertest.New(t, handler.Records(d)).With(handlertest.Named("hook", "shop-dev-hook"), handlertest.Timeout(time.Minute))
	return w
}

// of returns an insertion by ann of a row.
func of(t *testing.T, row string) events.Envelope {
	ctx := events.WithOrigin(t.Context(), events.Origin{UserID: "ann"})
	return events.Stamp(ctx, storage.SampleInsert(func(i *storage.Insert) { i.RowID = row }))
}

func TestADeliveryIsOnePOSTWithTheEventTheSecretAndASessionSigned(t *testing.T) {
	var header http.Header
	var got []byte
	w := deployed(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		got, _ = io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/in" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s as %s", r.Method, r.URL, r.Header.Get("Content-Type"))
		}
	})
	e := of(t, "row-7")
	w.Send(e).RequireHandled()

	verifier, err := standardwebhooks.NewWebhook(w.vault.current)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(got, header); err != nil || header.Get("Webhook-Id") != e.ID {
		t.Errorf("signature: %v; id %s, want %s", err, header.Get("Webhook-Id"), e.ID)
	}
	var body struct {
		ID, Type, Name string
		Code           int
		Timestamp      time.Time
		Data           storage.Insert
		Secret         string `json:"_secret"`
		Session        string `json:"_function_session"`
	}
	if err := json.Unmarshal(got, &body); err != nil {
		t.Fatal(err)
	}
	if body.ID != e.ID || body.Type != "storage/STORAGE_INSERT" || body.Name != "STORAGE_INSERT" || body.Code != 1000 ||
		!body.Timestamp.Equal(e.OccurredAt) || body.Data.RowID != "row-7" || body.Secret != w.vault.current {
		t.Errorf("body %s", got)
	}
	verified, err := session.NewVerifier(session.Environment{Name: "shop-dev"}, session.NewKeys(w.sessions, sessiontest.Secret))
	if err != nil {
		t.Fatal(err)
	}
	s, err := verified.Verify(t.Context(), body.Session)
	if err != nil || s.User != "ann" || s.Event != e.ID || s.Function != "hook" {
		t.Errorf("session %+v: %v", s, err)
	}
	if header.Get("Authorization") != "Bearer "+secretstest.Value("header") {
		t.Error("the manifest's header is not there")
	}
}

func TestEachAttemptHasASessionOfItsOwnAndTheSameID(t *testing.T) {
	sessions, ids := map[string]bool{}, map[string]bool{}
	w := deployed(t, func(rw http.ResponseWriter, r *http.Request) {
		var body Body
		_ = json.NewDecoder(r.Body).Decode(&body)
		sessions[body.Session], ids[r.Header.Get("Webhook-Id")] = true, true
		rw.WriteHeader(http.StatusInternalServerError)
	})
	e := of(t, "row-7")
	w.Send(e)
	w.With(handlertest.Received(2)).Send(e)
	if len(sessions) != 2 || len(ids) != 1 {
		t.Errorf("%d sessions and %d ids, want 2 and 1", len(sessions), len(ids))
	}
}

func TestAnEventWithoutAUserHasNoSession(t *testing.T) {
	var body string
	w := deployed(t, func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	})
	w.Send(storage.SampleInsert()).RequireHandled()
	if strings.Contains(body, "_function_session") || !strings.Contains(body, `"_secret"`) {
		t.Errorf("body %s", body)
	}
}

// What becomes of an event by what its endpoint answers.
func TestWhatAnEndpointAnswersDecides(t *testing.T) {
	for _, c := range []struct {
		name               string
		status             int
		retryAfter         string
		attempt            int
		outcome            string
		reason             string
		earliest, atLatest time.Duration
		disabled           int32
	}{
		{name: "200", status: 200, attempt: 1, outcome: "handled"},
		{name: "204", status: 204, attempt: 1, outcome: "handled"},
		{name: "299", status: 299, attempt: 1, outcome: "handled"},
		{name: "a redirect", status: 302, attempt: 1, outcome: "failed", reason: "302 Found", earliest: 5 * time.Second, atLatest: 6 * time.Second},
		{name: "not modified", status: 304, attempt: 1, outcome: "failed", reason: "304", earliest: 5 * time.Second, atLatest: 6 * time.Second},
		{name: "400", status: 400, attempt: 2, outcome: "failed", reason: "400", earliest: 5 * time.Minute, atLatest: 6 * time.Minute},
		{name: "404", status: 404, attempt: 3, outcome: "failed", reason: "404", earliest: 30 * time.Minute, atLatest: 33 * time.Minute},
		{name: "500", status: 500, attempt: 4, outcome: "failed", reason: "500", earliest: 2 * time.Hour, atLatest: 132 * time.Minute},
		{name: "502", status: 502, attempt: 5, outcome: "failed", reason: "502", earliest: 5 * time.Hour, atLatest: 330 * time.Minute},
		{name: "503", status: 503, attempt: 6, outcome: "failed", reason: "503", earliest: 10 * time.Hour, atLatest: 11 * time.Hour},
		{name: "the longest", status: 500, attempt: 9, outcome: "failed", reason: "500", earliest: queue.MaxDelay, atLatest: queue.MaxDelay},
		{name: "the last", status: 500, attempt: 10, outcome: "permanent", reason: "500 Internal Server Error (attempt 10 of 10)"},
		{name: "429 that asks for time", status: 429, retryAfter: "120", attempt: 1, outcome: "failed", reason: "429", earliest: 2 * time.Minute, atLatest: 2 * time.Minute},
		{name: "503 that asks for time", status: 503, retryAfter: "120", attempt: 1, outcome: "failed", reason: "503", earliest: 2 * time.Minute, atLatest: 2 * time.Minute},
		{name: "503 that asks until a time", status: 503, retryAfter: time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), attempt: 1, outcome: "failed", reason: "503", earliest: 50 * time.Minute, atLatest: time.Hour},
		{name: "429 that asks for less than the schedule", status: 429, retryAfter: "1", attempt: 3, outcome: "failed", reason: "429", earliest: 30 * time.Minute, atLatest: 33 * time.Minute},
		{name: "429 that asks for days", status: 429, retryAfter: "999999999", attempt: 1, outcome: "failed", reason: "429", earliest: queue.MaxDelay, atLatest: queue.MaxDelay},
		{name: "429 that asks in words", status: 429, retryAfter: "soon", attempt: 1, outcome: "failed", reason: "429", earliest: 5 * time.Second, atLatest: 6 * time.Second},
		{name: "500 is not asked when", status: 500, retryAfter: "120", attempt: 1, outcome: "failed", reason: "500", earliest: 5 * time.Second, atLatest: 6 * time.Second},
		{name: "410", status: 410, attempt: 1, outcome: "failed", reason: "410 Gone", earliest: goneFor, atLatest: goneFor + time.Minute, disabled: 1},
		{name: "the last 410", status: 410, attempt: 10, outcome: "permanent", reason: "410 Gone (attempt 10 of 10)", disabled: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			followed := false
			w := deployed(t, func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					followed = true
					return
				}
				rw.Header().Set("Location", "/elsewhere")
				if c.retryAfter != "" {
					rw.Header().Set("Retry-After", c.retryAfter)
				}
				rw.WriteHeader(c.status)
			})
			result := w.With(handlertest.Received(c.attempt)).Send(of(t, "row"), of(t, "row"))
			result.RequireOutcomes(c.outcome, c.outcome)
			o := result.Outcomes[0]
			if !strings.Contains(o.Reason, c.reason) || o.ComesBack < c.earliest || o.ComesBack > c.atLatest {
				t.Errorf("%q after %s, want %q after %s to %s", o.Reason, o.ComesBack, c.reason, c.earliest, c.atLatest)
			}
			if followed || w.disabled.Load() != c.disabled {
				t.Errorf("followed: %t; disabled %d times, want %d", followed, w.disabled.Load(), c.disabled)
			}
			a := w.book.attempts[0]
			want := map[string]deliveries.Outcome{"handled": deliveries.Delivered, "failed": deliveries.Retrying, "permanent": deliveries.Failed}[c.outcome]
			if a.Status != c.status || a.Outcome != want || a.Number != c.attempt || a.Next.IsZero() != (c.outcome != "failed") {
				t.Errorf("logged %+v", a)
			}
		})
	}
}

func TestAnEventThatItsQueueWouldForgetIsGivenUp(t *testing.T) {
	w := deployed(t, func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	payload := handlertest.Payload(t, "shop-dev-hook-subscription", of(t, "row"))
	old := fmt.Sprint(time.Now().Add(-89 * time.Hour).UnixMilli())
	var batch map[string][]map[string]any
	if err := json.Unmarshal(payload, &batch); err != nil {
		t.Fatal(err)
	}
	attributes := batch["Records"][0]["attributes"].(map[string]any)
	attributes["SentTimestamp"], attributes["ApproximateReceiveCount"] = old, "5"
	payload, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	result := w.Invoke(payload)
	result.RequireOutcomes("permanent")
	result.RequireReason(0, "the queue keeps the event for 4 days")
}

// abuse are endpoints that mean harm, or are broken. Whatever they do, an event
// has its outcome in time, and its neighbours are not touched.
func TestWhatEndpointsDo(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	for _, c := range []struct {
		name    string
		answer  func(http.ResponseWriter, *http.Request)
		outcome string
		reason  string
		within  time.Duration // of each delivery
	}{
		{name: "hangs", outcome: "failed", reason: "Timeout", within: 100 * time.Millisecond, answer: func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}},
		{name: "drips headers", outcome: "failed", reason: "Timeout", within: 100 * time.Millisecond, answer: func(rw http.ResponseWriter, r *http.Request) {
			c, _, _ := rw.(http.Hijacker).Hijack()
			defer c.Close()
			for _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nX: ")); err == nil; _, err = c.Write([]byte("x")) {
				select {
				case <-hang:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}},
		// The status is what counts, and it is there.
		{name: "drips its body", outcome: "handled", within: 100 * time.Millisecond, answer: func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = rw.Write([]byte("x"))
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-hang:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}},
		{name: "answers megabytes", outcome: "handled", answer: func(rw http.ResponseWriter, r *http.Request) {
			for chunk := make([]byte, 1<<20); r.Context().Err() == nil; {
				if _, err := rw.Write(chunk); err != nil {
					return
				}
			}
		}},
		{name: "answers headers without end", outcome: "failed", reason: "header", answer: func(rw http.ResponseWriter, r *http.Request) {
			c, _, _ := rw.(http.Hijacker).Hijack()
			defer c.Close()
			line := []byte("X: " + strings.Repeat("x", 1000) + "\r\n")
			for _, err := c.Write([]byte("HTTP/1.1 200 OK\r\n")); err == nil; _, err = c.Write(line) {
			}
		}},
		{name: "closes before it answers", outcome: "failed", reason: "EOF", answer: func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, _ := rw.(http.Hijacker).Hijack()
			_ = c.Close()
		}},
		{name: "closes in the middle of an error", outcome: "failed", reason: "500", answer: func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, _ := rw.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nhalf"))
			_ = c.Close()
		}},
		{name: "speaks no HTTP", outcome: "failed", reason: "malformed", answer: func(rw http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, _ := rw.(http.Hijacker).Hijack()
			_, _ = c.Write([]byte("SSH-2.0-OpenSSH\r\n"))
			_ = c.Close()
		}},
		{name: "answers only that it goes on", outcome: "failed", within: 100 * time.Millisecond, answer: func(rw http.ResponseWriter, r *http.Request) {
			c, _, _ := rw.(http.Hijacker).Hijack()
			defer c.Close()
			for _, err := c.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")); err == nil; _, err = c.Write([]byte("HTTP/1.1 102 Processing\r\n\r\n")) {
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := deployed(t, func(rw http.ResponseWriter, r *http.Request) {
				var body struct{ Data storage.Insert }
				read, _ := io.ReadAll(r.Body)
				_ = json.Unmarshal(read, &body)
				if body.Data.RowID == "neighbour" {
					return
				}
				c.answer(rw, r)
			}, func(config *Config) {
				if c.within > 0 {
					config.Timeout = c.within
				}
			})
			result := w.Send(of(t, "row"), of(t, "neighbour"))
			result.RequireOutcomes(c.outcome, "handled")
			if !strings.Contains(result.Outcomes[0].Reason, c.reason) {
				t.Errorf("reason %q, want %q", result.Outcomes[0].Reason, c.reason)
			}
			for _, a := range w.book.attempts {
				if len(a.Response.Body) > deliveries.MaxResponse {
					t.Errorf("%d bytes of the response are kept", len(a.Response.Body))
				}
			}
		})
	}
}

func TestACertificateThatIsNotTrustedIsAFailureThatMayPass(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the endpoint was reached") }))
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	result := deployed(t, nil, func(c *Config) { c.URL = s.URL }).Send(of(t, "row"))
	result.RequireOutcomes("failed")
	result.RequireReason(0, "certificate")
}

func TestAnAddressThatIsNotPublicIsNeverConnectedTo(t *testing.T) {
	// Names can lead anywhere: what counts is the address of the connection. That it
	// is looked at then, whatever the name was before, package egress shows.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, to := range []string{"http://127.0.0.1:8080", "https://localhost", "https://[::ffff:127.0.0.1]", "https://169.254.169.254/", "https://0.0.0.0", "https://10.1.2.3", "https://[64:ff9b::a9fe:a9fe]", "http://hooks.example.com"} {
		if _, err := New(Config{Function: "hook", URL: to, Secret: NewSecret(&vault{}, "x")}); err == nil {
			t.Errorf("%s is taken", to)
		}
	}
}

func TestAnInvocationThatIsNearItsEndStartsNothing(t *testing.T) {
	w := deployed(t, func(http.ResponseWriter, *http.Request) { t.Error("the endpoint was reached") }, func(c *Config) { c.Timeout = time.Minute })
	result := w.With(handlertest.Timeout(20 * time.Second)).Send(of(t, "row"))
	result.RequireOutcomes("failed")
	result.RequireReason(0, "not started")
}

func TestALogThatFailsChangesNothingAboutADelivery(t *testing.T) {
	var reached atomic.Int32
	w := deployed(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	w.book.err = errors.New("no table")
	result := w.Send(of(t, "row"), of(t, "row"))
	result.RequireHandled()
	warnings := handlertest.Logged[struct{ Attempts int }](result, "attempts are missing in the log of deliveries, which changes nothing about the deliveries")
	if reached.Load() != 2 || len(warnings) != 1 || warnings[0].Attempts != 2 {
		t.Errorf("%d deliveries; warnings %v", reached.Load(), warnings)
	}
}

func TestWhileASecretIsRotatedThereAreTwoSignatures(t *testing.T) {
	one, two := whsec("one"), whsec("two")
	for _, c := range []struct {
		name          string
		current, prev string
		signedBy      []string
		shared        string
	}{
		{"one that was never rotated", one, "", []string{one}, one},
		{"within the overlap", Version{two, time.Now().Add(time.Hour)}.Text(), Version{Secret: one}.Text(), []string{two, one}, one},
		{"within the overlap, the old one as text", Version{two, time.Now().Add(time.Hour)}.Text(), one, []string{two, one}, one},
		{"after the overlap", Version{two, time.Now().Add(-time.Second)}.Text(), one, []string{two}, two},
		{"without an overlap", Version{Secret: two}.Text(), one, []string{two}, two},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body []byte
			var header http.Header
			w := deployed(t, func(_ http.ResponseWriter, r *http.Request) {
				header = r.Header
				body, _ = io.ReadAll(r.Body)
			})
			w.vault.set(c.current, c.prev, nil)
			w.Send(of(t, "row")).RequireHandled()
			for _, secret := range []string{one, two} {
				verifier, err := standardwebhooks.NewWebhook(secret)
				if err != nil {
					t.Fatal(err)
				}
				if err := verifier.Verify(body, header); (err == nil) != slices.Contains(c.signedBy, secret) {
					t.Errorf("signed by %s: %v", secret[:8], err)
				}
			}
			if n := len(strings.Fields(header.Get("Webhook-Signature"))); n != len(c.signedBy) {
				t.Errorf("%d signatures, want %d", n, len(c.signedBy))
			}
			if !strings.Contains(string(body), `"_secret":"`+c.shared+`"`) {
				t.Error("the body holds the other secret")
			}
		})
	}
}

func TestASecretThatCannotBeReadFailsTheDeliveryAndOneThatWasStaysInUse(t *testing.T) {
	for _, text := range []string{"", "whsec_", "whsec_AAAA", "plain " + secretstest.Value("x"), `{"secret": 7}`, `{"secret": "` + whsec("a") + " " + whsec("b") + `"}`} {
		w := deployed(t, func(http.ResponseWriter, *http.Request) { t.Error("the endpoint was reached") })
		w.vault.set(text, "", nil)
		result := w.Send(of(t, "row"))
		result.RequireOutcomes("failed")
		result.RequireReason(0, `secret "shop/dev/hook"`)
		if text != "" && strings.Contains(result.Outcomes[0].Reason, secretstest.Value("")) {
			t.Errorf("the reason tells of it: %s", result.Outcomes[0].Reason)
		}
	}
	s := NewSecret(&vault{current: whsec("one")}, "shop/dev/hook")
	if _, err := s.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.api.(*vault).set("", "", errors.New("down"))
	s.readAt = time.Now().Add(-time.Hour)
	for range 3 {
		if _, err := s.read(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if reads := s.api.(*vault).reads; reads != 2 {
		t.Errorf("%d reads, want 2: one that failed is not repeated at once", reads)
	}
}

func TestTheLogHoldsNoSecretWhateverAnEndpointAnswers(t *testing.T) {
	// It repeats all that it got, in every way that it may be written, and cuts it.
	w := deployed(t, func(rw http.ResponseWriter, r *http.Request) {
		var body Body
		read, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(read, &body)
		rw.Header().Set("Content-Type", "text/"+body.Secret)
		rw.WriteHeader(http.StatusBadRequest)
		for _, s := range []string{body.Secret, body.Session} {
			for _, written := range []string{s, strings.ReplaceAll(s, "/", `\/`), url.QueryEscape(s), url.PathEscape(s), strings.TrimPrefix(s, "whsec_"),
				strings.ReplaceAll(s, "+", `\u002B`), html.EscapeString(s), base64.StdEncoding.EncodeToString([]byte("1" + s)), base64.URLEncoding.EncodeToString([]byte(s))} {
				fmt.Fprintln(rw, "got", written)
			}
		}
		for range 200 { // until it is cut in the middle of one
			fmt.Fprint(rw, body.Session, body.Secret)
		}
	})
	w.vault.set(Version{whsec("two"), time.Now().Add(time.Hour)}.Text(), whsec("one"), nil)
	result := w.Send(of(t, "row-7"))
	result.RequireOutcomes("failed")
	logged, err := json.MarshalIndent(w.book.attempts, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the log of deliveries": string(logged), "the outcome": result.Outcomes[0].Reason} {
		if lines, err := secretstest.Search(strings.NewReader(text)); err != nil || len(lines) > 0 {
			t.Errorf("%s holds a secret in lines %v (%v):\n%s", what, lines, err, text)
		}
	}
	if !secretstest.IsValue(whsec("one")) || !secretstest.IsValue(w.vault.current) {
		t.Error("a secret of the test would not be found")
	}
	a := w.book.attempts[0]
	for _, want := range []string{"row-7", `"_secret":"[redacted]"`, `"_function_session":"[redacted]"`} {
		if !strings.Contains(a.Request.Body, want) {
			t.Errorf("the request is %s, want %s in it", a.Request.Body, want)
		}
	}
	if !a.Request.Whole() || a.Request.Header["Authorization"] != "[redacted]" || !strings.HasSuffix(a.Request.URL, "/in?[redacted]") || !strings.HasPrefix(a.Response.Body, "got [redacted]") || a.Response.ContentType != "text/[redacted]" {
		t.Errorf("logged %+v", a)
	}
}

func TestTheReasonOfAFailureHoldsNoSecretEither(t *testing.T) {
	// Package net/http tells what it could not read.
	w := deployed(t, func(rw http.ResponseWriter, r *http.Request) {
		var body struct {
			Body
			Data storage.Insert `json:"data"`
		}
		read, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(read, &body)
		said := map[string]string{"secret": body.Secret, "header": r.Header.Get("Authorization")[len("Bearer "):], "session": body.Session, "status": "HTTP/1.1 " + body.Secret}
		c, _, _ := rw.(http.Hijacker).Hijack()
		_, _ = fmt.Fprintf(c, "%s\r\n\r\n", said[body.Data.RowID])
		_ = c.Close()
	})
	for _, row := range []string{"secret", "header", "session", "status"} {
		result := w.Send(of(t, row))
		result.RequireOutcomes("failed")
		result.RequireReason(0, "malformed HTTP")
		result.RequireReason(0, "[redacted]")
	}
	logged, err := json.Marshal(w.book.attempts)
	if err != nil {
		t.Fatal(err)
	}
	if lines, err := secretstest.Search(strings.NewReader(string(logged))); err != nil || len(lines) > 0 {
		t.Errorf("the log holds a secret (%v): %s", err, logged)
	}
}

func TestAResponseIsCutWithoutTheBeginningOfASecret(t *testing.T) {
	r := newRedactor([]string{"whsec_abcdefgh+ijk"})
	for body, want := range map[string]string{
		"x whsec_abc": "x ", "x whsec_abcdefgh+ijk": "x [redacted]", "x abc": "x ", "x": "x", "x abcdefgh+ijk": "x [redacted]",
		`x abcdefgh\u002bijk`: `x [redacted]\u002bijk`,
	} {
		if got, _ := r.text(body, true, deliveries.MaxResponse); got != want {
			t.Errorf("%q: %q, want %q", body, got, want)
		}
	}
	if got, cut := r.text(strings.Repeat("é", 3000), false, deliveries.MaxResponse); !cut || len(got) != deliveries.MaxResponse || !strings.HasSuffix(got, "é") {
		t.Errorf("%d bytes, cut %t", len(got), cut)
	}
}

// FuzzRedactor looks for a response from which a part of a secret comes through.
func FuzzRedactor(f *testing.F) {
	const secret = "whsec_q8Zr+T5uVwXyZ0aBcDeF/gHiJkLmNoPqRsTuVwXyZ01="
	r := newRedactor([]string{secret})
	f.Add("got ", " and more", false, uint16(4096))
	f.Add("", secret[:20], true, uint16(9))
	f.Add(secret[:13], secret[7:], true, uint16(100))
	f.Add(base64.StdEncoding.EncodeToString([]byte(secret)), "\xff", false, uint16(1000))
	f.Fuzz(func(t *testing.T, before, after string, cut bool, most uint16) {
		got, truncated := r.text(before+secret+after, cut, int(most))
		if len(got) > int(most) || !truncated && cut {
			t.Errorf("%d bytes of at most %d, truncated %t", len(got), most, truncated)
		}
		for _, form := range r.forms {
			if strings.Contains(got, form) {
				t.Errorf("%q holds %q", got, form)
			}
		}
	})
}

// All attempts fit into the time for which a queue keeps an event.
func TestTheScheduleFitsTheQueue(t *testing.T) {
	if MaxAttempts != len(Schedule)+1 {
		t.Errorf("%d attempts with %d waits between them", MaxAttempts, len(Schedule))
	}
	var sum time.Duration
	for _, wait := range Schedule {
		if wait > queue.MaxDelay {
			t.Errorf("%s is longer than SQS hides a message", wait)
		}
		sum += wait + wait/10
	}
	if sum > keptFor {
		t.Errorf("the attempts take up to %s, and an event is kept for %s", sum, keptFor)
	}
}
