package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// record has a message recorded, and returns the status and the log's line.
func record(t *testing.T, body string, header map[string]string) (status int, line map[string]any) {
	t.Helper()
	var log bytes.Buffer
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	(&recorder{slog.New(slog.NewJSONHandler(&log, nil))}).ServeHTTP(w, r)
	if log.Len() > 0 {
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		delete(line, "time")
		delete(line, "level")
	}
	return w.Code, line
}

func TestAMessageIsRecorded(t *testing.T) {
	status, line := record(t, "12 EUR", map[string]string{"X-Topic": "payment", "Content-Type": "text/plain", "X-Served-By": "tester"})
	want := map[string]any{"msg": "message", "topic": "payment", "bytes": 6.0, "contentType": "text/plain", "servedBy": "tester"}
	if status != http.StatusNoContent || !maps.Equal(line, want) {
		t.Errorf("status %d, recorded was\n%v, want\n%v", status, line, want)
	}
}

func TestADeliveryOfGitHubIsRecordedWithWhatItIsAbout(t *testing.T) {
	status, line := record(t, `{"action": "opened", "repository": {"full_name": "octo/cat"}, "sender": {"login": "ann"}}`,
		map[string]string{"X-Topic": "github.issues", "Content-Type": "application/json", "X-GitHub-Delivery": "72d3162e"})
	for attribute, want := range map[string]any{"topic": "github.issues", "delivery": "72d3162e", "action": "opened", "repository": "octo/cat", "sender": "ann"} {
		if line[attribute] != want {
			t.Errorf("%s is %v, want %v", attribute, line[attribute], want)
		}
	}
	if status != http.StatusNoContent {
		t.Errorf("status %d", status)
	}
}

func TestADeliveryThatIsNotJSONFailsForGood(t *testing.T) {
	status, line := record(t, "payload=%7B%7D", map[string]string{"X-GitHub-Delivery": "72d3162e"})
	if status != http.StatusUnprocessableEntity || line != nil {
		t.Errorf("status %d, recorded was %v", status, line)
	}
}
