package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// maxDelivery is more than any delivery has: an event is under 1 MB.
	maxDelivery = 2 << 20

	// maxRow is more than any answer of the data API with one row has.
	maxRow = 1 << 20

	// answerWithin is how long a delivery may take here: less than the sender waits.
	answerWithin = 10 * time.Second
)

// delivery is the body of a delivery, as far as it is needed here.
type delivery struct {
	ID   string `json:"id"`   // the event's
	Name string `json:"name"` // of the event's type
	Code int    `json:"code"` // its number; 0: it has none
	Data struct {
		RowID     string `json:"row_id"`
		Container string `json:"container"`
		Bucket    string `json:"bucket"`
		Dataset   string `json:"dataset"`
	} `json:"data"`

	Secret  string `json:"_secret"`
	Session string `json:"_function_session"`
}

// The numbers of the events of rows.
const (
	rowInserted = 1000
	rowUpdated  = 1001
	rowDeleted  = 1002
)

// receiver takes deliveries. It is safe for concurrent use.
type receiver struct {
	secrets []string                    // one, or two while it is rotated
	keys    []*standardwebhooks.Webhook // of the secrets
	api     string                      // the address of the data API
	client  *http.Client
	out     io.Writer // what was received, a line each
	log     *slog.Logger

	mu   sync.Mutex
	seen map[string]bool // the webhook-id of what was received
}

// newReceiver reads the secrets, which white space divides.
func newReceiver(secrets, api string, out io.Writer, log *slog.Logger) (*receiver, error) {
	r := &receiver{
		secrets: strings.Fields(secrets), api: strings.TrimSuffix(api, "/"), out: out, log: log, seen: map[string]bool{},
		client: &http.Client{Timeout: answerWithin / 2, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for i, secret := range r.secrets {
		key, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d is none: want whsec_ and base64", i+1)
		}
		r.keys = append(r.keys, key)
	}
	if len(r.keys) == 0 {
		return nil, errors.New("there is no secret")
	}
	return r, nil
}

// ServeHTTP implements http.Handler. Only 2xx says that a delivery was received;
// with any other status it comes again.
func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	status, err := rec.receive(ctx, w, r)
	if err != nil {
		rec.log.Warn("not received", "status", status, "reason", err.Error())
		http.Error(w, http.StatusText(status), status)
		return
	}
	w.WriteHeader(status)
}

// receive does with a delivery what is to be done, in the order that matters:
// nothing in the body is believed before the signature is verified.
func (rec *receiver) receive(ctx context.Context, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, errors.New("a delivery is a POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDelivery))
	if err != nil {
		return http.StatusBadRequest, err
	}
	// 1. The signature, which covers id, time and body, and the time: a delivery
	// that is older than 5 minutes is refused.
	if err := rec.verify(body, r.Header); err != nil {
		return http.StatusUnauthorized, err
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		return http.StatusBadRequest, errors.New("the body is not that of a delivery")
	}
	// 2. The shared secret. After the signature it proves nothing more; it is for
	// receivers that verify none.
	if !rec.shared(d.Secret) {
		return http.StatusUnauthorized, errors.New("_secret is not the shared secret")
	}
	// 3. A repetition is answered, and not handled again. Where there is a
	// database, the id belongs into the transaction of what the delivery effects.
	id := r.Header.Get(standardwebhooks.HeaderWebhookID)
	if rec.known(id) {
		return http.StatusNoContent, nil
	}
	// 4. What has changed, read for the user whom the event is about.
	line := fmt.Sprintf("%d %s", d.Code, d.Name)
	switch d.Code {
	case rowInserted, rowUpdated, rowDeleted:
		line += fmt.Sprintf(" %s/%s/%s/%s", d.Data.Dataset, d.Data.Bucket, d.Data.Container, d.Data.RowID)
	}
	if d.Code == rowInserted || d.Code == rowUpdated {
		row, err := rec.row(ctx, d)
		if err != nil {
			return http.StatusServiceUnavailable, err
		}
		line += ": " + row
	}
	rec.finish(id, line)
	return http.StatusNoContent, nil
}

// verify returns nil if one of the secrets has signed the body.
func (rec *receiver) verify(body []byte, header http.Header) (err error) {
	for _, key := range rec.keys {
		if err = key.Verify(body, header); err == nil {
			return nil
		}
	}
	return err
}

// shared reports whether a text is one of the secrets, in a time that does not
// depend on where they differ.
func (rec *receiver) shared(text string) bool {
	found := 0
	for _, secret := range rec.secrets {
		found |= subtle.ConstantTimeCompare([]byte(secret), []byte(text))
	}
	return found == 1
}

// row reads the data of the row that a delivery is about, by its session.
func (rec *receiver) row(ctx context.Context, d delivery) (string, error) {
	address := rec.api + "/rows"
	for _, name := range []string{d.Data.Dataset, d.Data.Bucket, d.Data.Container, d.Data.RowID} {
		address += "/" + url.PathEscape(name)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+d.Session)
	response, err := rec.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "no longer there", nil // deleted since: that is announced, too
	default:
		return "", fmt.Errorf("the data API answered %s", response.Status)
	}
	var row struct{ Data json.RawMessage }
	if err := json.NewDecoder(io.LimitReader(response.Body, maxRow)).Decode(&row); err != nil {
		return "", fmt.Errorf("the row cannot be read: %w", err)
	}
	return string(row.Data), nil
}

func (rec *receiver) known(id string) bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.seen[id]
}

// finish says what was received, once.
func (rec *receiver) finish(id, line string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !rec.seen[id] {
		rec.seen[id] = true
		fmt.Fprintln(rec.out, line)
	}
}
