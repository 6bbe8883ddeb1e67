package handler

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/penstock-dev/penstock/events/catalogue"
	"github.com/penstock-dev/penstock/events/storage"
	"github.com/penstock-dev/penstock/functions/handler/internal/fastjson"
)

// FuzzEnvelopes: what Lambda and EventBridge put around events is read as
// encoding/json reads it, whatever it is.
func FuzzEnvelopes(f *testing.F) {
	f.Add([]byte(`{"Records":[{"messageId":"1","receiptHandle":"r","body":"{\"detail\":{}}","attributes":{"ApproximateReceiveCount":"2","SentTimestamp":"1545082649183"},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:1:q"},null]}`))
	f.Add([]byte(`{"Records":[{"attributes":{"ApproximateReceiveCount":2,"SentTimestamp":"x"}}]}`))
	f.Add([]byte(`{"source":"savings","detail-type":"T","detail":{"metadata":{"id":"a","occurredAt":"2026-01-02T03:04:05Z","code":7},"data":{"a": 1}}}`))
	f.Add([]byte(`{"Source":"savings","detail":null,"detail":{"metadata":null,"data":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		same[struct {
			Records []sqsMessage `json:"Records"`
		}](t, data)
		same[busEvent](t, data)
	})
}

func same[T any](t *testing.T, data []byte) {
	t.Helper()
	var want, got T
	wantErr, gotErr := json.Unmarshal(data, &want), fastjson.Unmarshal(data, &got)
	if fmt.Sprint(gotErr) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
		t.Errorf("%q:\n got %+v, %v\nwant %+v, %v", data, got, gotErr, want, wantErr)
	}
}

func TestABatchIsReadWithoutEncodingJSON(t *testing.T) {
	types := map[string]reflect.Type{
		"payload": reflect.TypeFor[struct {
			Records []sqsMessage `json:"Records"`
		}](),
		"event": reflect.TypeFor[busEvent](),
	}
	for d := range catalogue.All.All() {
		if d.Type.Source == storage.Source {
			continue // their embedded struct is left to encoding/json
		}
		types[d.Type.String()] = reflect.TypeOf(d.Sample)
	}
	for what, typ := range types {
		if !fastjson.Fast(typ) {
			t.Errorf("there is no fast path for %s, a %s", what, typ)
		}
	}
}
