package awswire

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"

	"github.com/go-json-experiment/json"
)

// Error is an error as an AWS service answers it: the SDKs make their typed
// errors of Code.
type Error struct {
	Code    string // the exception's name, e.g. ResourceNotFoundException
	Message string
	Status  int            // the HTTP status; 0 means 400
	Fields  map[string]any // further members of the exception, e.g. CancellationReasons
	// QueryCode is the code of the same error in the service's older query
	// protocol, for services that changed protocol (SQS); empty: the same.
	QueryCode string
	// Unmet are the condition keys, like events:source, to which a denial of
	// access comes down: had they other values, it would have been granted.
	Unmet []string
}

// Errorf makes an error of status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e *Error) withDefaults() *Error {
	if e.Status != 0 {
		return e
	}
	out := *e
	out.Status = http.StatusBadRequest
	return &out
}

var errUnsigned = &Error{Code: "MissingAuthenticationTokenException", Status: http.StatusForbidden,
	Message: "the request carries no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY as `penstock dev` printed them"}

// WriteError writes an error of a JSON or path service.
func WriteError(w http.ResponseWriter, e *Error) {
	e = e.withDefaults()
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Header().Set("X-Amzn-ErrorType", e.Code)
	if e.QueryCode != "" {
		w.Header().Set("X-Amzn-Query-Error", e.QueryCode+";Sender")
	}
	// Services disagree on whether the member is message or Message; the
	// SDKs read either.
	fields := map[string]any{"__type": e.Code, "message": e.Message, "Message": e.Message}
	maps.Copy(fields, e.Fields)
	body, err := json.Marshal(fields, json.Deterministic(true))
	if err != nil {
		body = fmt.Appendf(nil, `{"__type":%q}`, e.Code)
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}

func (e *Error) xml(requestID string) []byte {
	type inner struct {
		Type    string
		Code    string
		Message string
	}
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	out, err := xml.Marshal(struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		Error     inner
		RequestId string //nolint:revive // the API's spelling
	}{Error: inner{kind, cmp.Or(e.QueryCode, e.Code), e.Message}, RequestId: requestID})
	if err != nil {
		return []byte("<ErrorResponse/>")
	}
	return out
}
