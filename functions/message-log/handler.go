package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"github.com/penstock-dev/penstock/functions/connector/call"
)

// recorder writes one log line for each message.
type recorder struct{ log *slog.Logger }

// delivery is what the log tells of a webhook of GitHub, where the message is one.
type delivery struct {
	Action     string
	Repository struct {
		FullName string `json:"full_name"`
	}
	Sender struct{ Login string }
}

// ServeHTTP implements http.Handler.
func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the message cannot be read", http.StatusBadRequest)
		return
	}
	attributes := []any{"topic", r.Header.Get(call.TopicHeader), "bytes", len(body), "contentType", r.Header.Get("Content-Type")}
	if by := r.Header.Get("X-Served-By"); by != "" {
		attributes = append(attributes, "servedBy", by)
	}
	if id := r.Header.Get("X-Github-Delivery"); id != "" {
		var d delivery
		if err := json.Unmarshal(body, &d); err != nil {
			// Permanent: the same message will not be better next time.
			http.Error(w, "the delivery is not JSON: set the webhook's content type to application/json", http.StatusUnprocessableEntity)
			return
		}
		attributes = append(attributes, "delivery", id, "action", d.Action, "repository", d.Repository.FullName, "sender", d.Sender.Login)
	}
	rec.log.InfoContext(r.Context(), "message", attributes...)
	w.WriteHeader(http.StatusNoContent)
}
