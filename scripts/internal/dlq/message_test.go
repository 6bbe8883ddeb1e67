package dlq_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/scripts/internal/dlq"
)

// FuzzSetData: whatever event a message holds, its data is replaced and all else
// stays, or nothing is changed.
func FuzzSetData(f *testing.F) {
	f.Add(event("e-1", 1), "")
	f.Add(`{"source":"a","detail-type":"B","detail":{"metadata":{"id":"1","x":[1.50,"<&>"]},"data":0,"more":null},"time":"t"}`, "other")
	f.Fuzz(func(t *testing.T, body, id string) {
		fake := newFake()
		fake.put("dlq", body, nil)
		q, err := dlq.Open(context.Background(), fake, dlq.Failed, "dlq")
		if err != nil {
			t.Fatal(err)
		}
		_, err = q.Walk(context.Background(), dlq.Walk{Chunk: 1}, func(_ context.Context, batch []*dlq.Message) ([]*dlq.Message, error) {
			m := batch[0]
			dlq.Describe(m, nil)
			if !m.IsEvent() || strings.ToValidUTF8(id, "") != id {
				return nil, nil
			}
			was := *m
			if err := m.SetData(json.RawMessage(`{"new":true}`), id); err != nil {
				if m.Body != body {
					t.Fatalf("%s became %s: %v", body, m.Body, err)
				}
				return nil, nil
			}
			if id != "" {
				was.Metadata.ID = id
			}
			if m.Metadata != was.Metadata || m.Type != was.Type || string(m.Data) != `{"new":true}` || !json.Valid([]byte(m.Body)) {
				t.Errorf("%s became %s", body, m.Body)
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
