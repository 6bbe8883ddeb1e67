package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/functions/connector"
)

// maxDelivery is the most that GitHub sends ("Webhook events and payloads",
// payload cap).
const maxDelivery = 25 << 20

// answerWithin is how long a delivery may take: GitHub ends the connection after
// 10 seconds ("Best practices for using webhooks").
const answerWithin = 9 * time.Second

// maxAsync is the largest delivery that is handed over by an asynchronous call,
// which carries 1 MB with its headers and what JSON escapes; a larger one is called
// synchronously.
const maxAsync = 400 << 10

// keptHeaders are the headers of a delivery that reach the functions. What a
// sender adds does not.
var keptHeaders = []string{
	"Content-Type", "User-Agent", "X-Github-Event", "X-Github-Delivery", "X-Github-Hook-Id",
	"X-Github-Hook-Installation-Target-Id", "X-Github-Hook-Installation-Target-Type",
}

// events are the names of events, of which the topic is made. The signature does
// not cover the header.
var events = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// invoker is what a receiver needs of a connector.
type invoker interface {
	Invoke(ctx context.Context, topic string, message []byte, header http.Header, options ...connector.Option) ([]connector.Response, error)
}

// receiver takes GitHub's deliveries, and answers with a status of success only if
// one is handed over: accepted by Lambda or answered by the functions, put into the
// DLQ, or of no interest to any function. With any other, GitHub shows the delivery
// as failed, from where it can be delivered again.
type receiver struct {
	functions invoker
	secret    *secret
	log       *slog.Logger
}

// ServeHTTP implements http.Handler.
func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	event, id := r.Header.Get("X-Github-Event"), r.Header.Get("X-Github-Delivery")
	refuse := func(status int, reason string, cause error) {
		rec.log.Warn("a delivery is refused", "status", status, "reason", reason, "cause", cause, "event", event, "delivery", id)
		http.Error(w, reason, status)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, "a delivery is a POST", nil)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(http.StatusRequestEntityTooLarge, "the delivery is larger than GitHub's are", nil)
		return
	case err != nil:
		refuse(http.StatusBadRequest, "the delivery broke off", err)
		return
	}
	genuine, err := rec.secret.signed(ctx, body, r.Header.Get("X-Hub-Signature-256"))
	switch {
	case err != nil:
		refuse(http.StatusServiceUnavailable, "the secret cannot be read", err)
		return
	case !genuine:
		refuse(http.StatusUnauthorized, "X-Hub-Signature-256 is missing, or is not of this delivery and the secret", nil)
		return
	case !events.MatchString(event) || id == "":
		refuse(http.StatusBadRequest, "X-GitHub-Event or X-GitHub-Delivery is missing", nil)
		return
	}
	header := http.Header{}
	for _, name := range keptHeaders {
		if values := r.Header.Values(name); len(values) > 0 {
			header[name] = values
		}
	}
	topic := "github." + event
	responses, err := rec.functions.Invoke(ctx, topic, body, header, connector.WithAsync(len(body) <= maxAsync))
	if err != nil && !errors.Is(err, connector.ErrNoMatch) {
		refuse(http.StatusServiceUnavailable, "the delivery could not be handed over: deliver it again later", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"topic": topic, "functions": len(responses)})
}

// sign returns the signature of a body ("Validating webhook deliveries").
func sign(body, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// verify reports whether a signature is that of a body, in a time that does not
// depend on where they differ.
func verify(body, secret []byte, signature string) bool {
	return len(secret) > 0 && hmac.Equal([]byte(strings.TrimSpace(signature)), []byte(sign(body, secret)))
}
