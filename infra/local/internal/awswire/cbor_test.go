package awswire

import (
	"bytes"
	"compress/gzip"
	"reflect"
	"testing"

	"github.com/aws/smithy-go/encoding/cbor"
)

// callCBORService calls an operation of a service registered as echo is.
func callCBORService(t *testing.T, operation, body string, header map[string]string) (int, cbor.Map) {
	t.Helper()
	w := call("POST", "/service/New/operation/"+operation, body, header)
	if w.Header().Get("Smithy-Protocol") != "rpc-v2-cbor" || w.Header().Get("Content-Type") != "application/cbor" {
		t.Errorf("the answer's headers are %v", w.Header())
	}
	value, err := cbor.Decode(w.Body.Bytes())
	if err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return w.Code, value.(cbor.Map)
}

func TestCBORIsTranslatedToJSONAndBack(t *testing.T) {
	request := cbor.Map{
		"Count": cbor.NegInt(7), "Limit": cbor.Float64(0.25), "On": cbor.Bool(true), "At": &cbor.Tag{ID: 1, Value: cbor.Float64(1000.5)},
		"Hours": cbor.List{&cbor.Tag{ID: 1, Value: cbor.Uint(7200)}}, "Tags": cbor.Map{"a": cbor.String("x")}, "Lines": &cbor.Nil{},
	}
	status, got := callCBORService(t, "Echo", string(cbor.Encode(request)), nil)
	request["Hours"] = cbor.List{&cbor.Tag{ID: 1, Value: cbor.Float64(7200)}}
	delete(request, "Lines")
	if status != 200 || !reflect.DeepEqual(got, request) {
		t.Errorf("status %d, %#v; want %#v", status, got, request)
	}
}

func TestCBORErrorsCarryTheirTypeAndMessage(t *testing.T) {
	for _, c := range []struct{ operation, body, code, message string }{
		{"Leave", "", "UnknownOperationException", "operation Leave is not supported by the local environment"},
		{"Echo", string(cbor.Encode(cbor.Map{"Colour": cbor.String("red")})), "ValidationException", "parameter Colour is not supported by the local environment"},
		{"Fail", "", "NewName", "no"},
	} {
		status, got := callCBORService(t, c.operation, c.body, nil)
		if status != 400 || got["__type"] != cbor.String(c.code) || got["message"] != cbor.String(c.message) {
			t.Errorf("%s: status %d, %v; want %s: %s", c.operation, status, got, c.code, c.message)
		}
	}
	if status, got := callCBORService(t, "Echo", "\xff", nil); status != 400 || got["__type"] != cbor.String("SerializationException") {
		t.Errorf("status %d, %v", status, got)
	}
}

func TestABodyMayBeZipped(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(cbor.Encode(cbor.Map{"Count": cbor.Uint(7)}))
	_ = z.Close()
	status, got := callCBORService(t, "Echo", zipped.String(), map[string]string{"Content-Encoding": "gzip"})
	if status != 200 || got["Count"] != cbor.Uint(7) {
		t.Errorf("status %d, %v", status, got)
	}
}

func FuzzFromCBOR(f *testing.F) {
	f.Add(cbor.Encode(cbor.Map{"a": cbor.List{cbor.Float64(1), &cbor.Tag{ID: 1, Value: cbor.Uint(1)}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		value, err := cbor.Decode(data)
		if err != nil {
			return
		}
		if converted, err := fromCBOR(value); err == nil {
			toCBOR(converted, false, nil)
		}
	})
}
