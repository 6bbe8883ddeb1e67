package webhook

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/webhook/deliveries"
)

// Body is what an endpoint gets of an event, as JSON:
//
//	{"id": "0197…", "type": "storage/STORAGE_INSERT", "name": "STORAGE_INSERT", "code": 1000,
//	 "timestamp": "2026-11-21T20:00:00Z", "data": {"row_id": …},
//	 "_secret": "whsec_…", "_function_session": "eyJ…"}
type Body struct {
	ID        string          `json:"id"`             // the event's
	Type      string          `json:"type"`           // its type, source/NAME
	Name      string          `json:"name"`           // the name alone
	Code      int             `json:"code,omitempty"` // the type's number; 0: it has none
	Timestamp time.Time       `json:"timestamp"`      // when it happened
	Data      json.RawMessage `json:"data"`           // what is specific to the type

	// Secret is the shared secret, by which an endpoint that verifies no signature
	// knows the sender. While the secret is rotated it is the old one, and from the
	// end of the overlap the new one.
	Secret string `json:"_secret"`

	// Session stands in for the token of the event's user on the data API; empty
	// where the environment has no data API, or the event no user.
	Session string `json:"_function_session,omitempty"`
}

func newBody(r *handler.Record) Body {
	return Body{
		ID: r.Metadata.ID, Type: r.Type.String(), Name: r.Type.Name, Code: r.Metadata.Code,
		Timestamp: r.Metadata.OccurredAt.UTC(), Data: r.Data,
	}
}

func (b Body) encode() ([]byte, error) { return json.Marshal(b) }

// messageID is the webhook-id of an event: its own id, the same at each attempt
// and when it is sent again, by which an endpoint knows a repetition. A replay
// that means to have events handled anew says so in it.
func messageID(r *handler.Record) string {
	if strings.HasSuffix(r.Replay, handler.ReprocessSuffix) {
		return r.Metadata.ID + "_" + r.Replay
	}
	return r.Metadata.ID
}

// logged is a request as the log has it: without secrets, session and signature,
// and without the values of headers and of the URL's query that the project has
// chosen, since they may be secrets.
func (d *Deliverer) logged(b Body, header http.Header) deliveries.Request {
	out := deliveries.Request{Header: map[string]string{}}
	if u, err := url.Parse(d.config.URL); err == nil {
		if u.RawQuery != "" {
			u.RawQuery = redacted
		}
		out.URL = u.String()
	}
	for name := range header {
		switch name {
		case "Content-Type", "User-Agent", "Webhook-Id", "Webhook-Timestamp":
			out.Header[name] = header.Get(name)
		default:
			out.Header[name] = redacted
		}
	}
	b.Secret = redacted
	if b.Session != "" {
		b.Session = redacted
	}
	if text, err := b.encode(); err == nil { // it was encoded before
		out.Body, out.Bytes = string(text), len(text)
	}
	return out
}
