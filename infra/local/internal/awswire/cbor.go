package awswire

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/go-json-experiment/json"
)

// CBOR registers a service that speaks Smithy RPC v2 CBOR, as the SDKs of today
// do to CloudWatch: the operation is in the path
//
//	POST /service/GraniteServiceVersion20100801/operation/PutMetricData
//
// and parameters and answer are CBOR. It is served by the same operations as AWS
// JSON, which the mux translates to and from. times are the members of answers
// that are points in time (seconds since 1970 in JSON), which CBOR marks.
func (m *Mux) CBOR(service string, operations Operations, times ...string) {
	m.Path("POST /service/"+service+"/operation/{operation}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("operation")
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		out, err := callCBOR(w, r, operations, name, times)
		if err != nil {
			e := m.internal(service+"."+name, err)
			if e.QueryCode != "" {
				w.Header().Set("X-Amzn-Query-Error", e.QueryCode+";Sender")
			}
			w.WriteHeader(e.Status)
			out = cbor.Encode(cbor.Map{"__type": cbor.String(e.Code), "message": cbor.String(e.Message), "Message": cbor.String(e.Message)})
		}
		_, _ = w.Write(out)
	}))
}

func callCBOR(w http.ResponseWriter, r *http.Request, operations Operations, name string, times []string) ([]byte, error) {
	operation, known := operations[name]
	if !known {
		return nil, Errorf("UnknownOperationException", "operation %s is not supported by the local environment", name)
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, Errorf("SerializationException", "%s: reading the request: %v", name, err)
	}
	var parameters any = map[string]any{}
	if len(body) > 0 {
		value, err := cbor.Decode(body)
		if err == nil {
			parameters, err = fromCBOR(value)
		}
		if err != nil {
			return nil, Errorf("SerializationException", "%s: the request is not valid CBOR: %v", name, err)
		}
	}
	body, err = json.Marshal(parameters)
	if err != nil {
		return nil, Errorf("SerializationException", "%s: %v", name, err)
	}
	answer, err := operation(r.Context(), body)
	if err == nil && !requestFrom(r.Context()).asked {
		err = errNotAsked
	}
	if err != nil {
		return nil, err
	}
	var result any
	if err := json.Unmarshal(answer, &result); err != nil {
		return nil, err
	}
	return cbor.Encode(toCBOR(result, false, times)), nil
}

// fromCBOR is the JSON value of a CBOR one.
func fromCBOR(value cbor.Value) (any, error) {
	switch v := value.(type) {
	case cbor.Map:
		out := make(map[string]any, len(v))
		for name, member := range v {
			converted, err := fromCBOR(member)
			if err != nil {
				return nil, err
			}
			out[name] = converted
		}
		return out, nil
	case cbor.List:
		out := make([]any, len(v))
		for i, element := range v {
			converted, err := fromCBOR(element)
			if err != nil {
				return nil, err
			}
			out[i] = converted
		}
		return out, nil
	case cbor.String:
		return string(v), nil
	case cbor.Uint:
		return uint64(v), nil
	case cbor.NegInt:
		return -float64(v), nil
	case cbor.Float32:
		return finite(float64(v))
	case cbor.Float64:
		return finite(float64(v))
	case cbor.Bool:
		return bool(v), nil
	case *cbor.Nil, *cbor.Undefined:
		return nil, nil
	case *cbor.Tag:
		return fromCBOR(v.Value) // of a time, seconds since 1970
	}
	return nil, fmt.Errorf("a value of type %T is not supported by the local environment", value)
}

// finite refuses the numbers that JSON does not have, which no operation takes.
func finite(v float64) (any, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("%s is not a number that is possible", strconv.FormatFloat(v, 'g', -1, 64))
	}
	return v, nil
}

// toCBOR is the CBOR value of a JSON one; isTime says that its numbers are
// points in time.
func toCBOR(value any, isTime bool, times []string) cbor.Value {
	switch v := value.(type) {
	case map[string]any:
		out := make(cbor.Map, len(v))
		for name, member := range v {
			if member != nil { // null is a member that is not there
				out[name] = toCBOR(member, slices.Contains(times, name), times)
			}
		}
		return out
	case []any:
		out := make(cbor.List, len(v))
		for i, element := range v {
			out[i] = toCBOR(element, isTime, times)
		}
		return out
	case string:
		return cbor.String(v)
	case bool:
		return cbor.Bool(v)
	case float64:
		if isTime {
			return &cbor.Tag{ID: 1, Value: cbor.Float64(v)}
		}
		if whole := math.Trunc(v); whole == v && math.Abs(v) < 1<<53 {
			if v < 0 {
				return cbor.NegInt(uint64(-v))
			}
			return cbor.Uint(uint64(v))
		}
		return cbor.Float64(v)
	}
	return &cbor.Nil{}
}
