package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// BenchmarkBatches measures what the server's side of batches of ten messages
// costs, from the HTTP request to the answer, without the network.
func BenchmarkBatches(b *testing.B) {
	s, end := newService(b, b.TempDir())
	defer end()
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.JSON(Target, "1.0", s.Operations())
	call := func(b *testing.B, operation string, body any) []byte {
		data, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		r, err := http.NewRequestWithContext(b.Context(), "POST", "/", bytes.NewReader(data))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=x")
		r.Header.Set("X-Amz-Target", Target+"."+operation)
		w := httptest.NewRecorder()
		b.StartTimer()
		mux.ServeHTTP(w, r)
		b.StopTimer()
		if w.Code != http.StatusOK {
			b.Fatalf("%s: %s", operation, w.Body)
		}
		return w.Body.Bytes()
	}
	ensure(b, s, "q", nil)
	url := s.QueueURL("q")
	type entry struct {
		ID     string `json:"Id"`
		Body   string `json:"MessageBody,omitempty"`
		Handle string `json:"ReceiptHandle,omitempty"`
	}
	ten := make([]entry, 10)
	for i := range ten {
		ten[i] = entry{ID: fmt.Sprint(i), Body: strings.Repeat("0123456789", 60)}
	}
	send := func(b *testing.B) { call(b, "SendMessageBatch", map[string]any{"QueueUrl": url, "Entries": ten}) }
	b.Run("send", func(b *testing.B) {
		b.ReportAllocs()
		b.StopTimer()
		for range b.N {
			send(b)
		}
	})
	if err := s.Purge("q"); err != nil {
		b.Fatal(err)
	}
	b.Run("receive and delete", func(b *testing.B) {
		for range b.N {
			send(b)
		}
		b.ReportAllocs()
		b.ResetTimer()
		b.StopTimer()
		for range b.N {
			var got struct {
				Messages []struct{ ReceiptHandle string }
			}
			if err := json.Unmarshal(call(b, "ReceiveMessage", map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10}), &got); err != nil || len(got.Messages) != 10 {
				b.Fatal(len(got.Messages), err)
			}
			handles := make([]entry, 10)
			for i, m := range got.Messages {
				handles[i] = entry{ID: fmt.Sprint(i), Handle: m.ReceiptHandle}
			}
			call(b, "DeleteMessageBatch", map[string]any{"QueueUrl": url, "Entries": handles})
		}
	})
}
