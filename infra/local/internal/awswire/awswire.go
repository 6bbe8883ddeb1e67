// Package awswire is what the wire protocols of AWS services have in common:
// it takes an HTTP request off the loopback port, finds the service and the
// operation, decodes the parameters, and writes the answer or the error as
// the AWS SDKs expect them.
//
// A service registers its operations on a [Mux], one line each:
//
//	mux.JSON("AWSEvents", "1.1", awswire.Operations{
//		"PutEvents": awswire.Op(api.putEvents),
//	})
//
// Four protocols are spoken: AWS JSON (the operation in X-Amz-Target), the
// older query protocol (the operation in the form field Action; [Mux.Query]),
// the newer CBOR ([Mux.CBOR]), and plain HTTP paths for Lambda ([Mux.Path]). An operation that no service
// registered, and a parameter that an operation does not have, are answered
// with an error that names it.
//
// Every operation asks whether its caller may do what it is about to do
// ([Authorize]); one that does not is answered as a failure.
package awswire

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// maxBody bounds a request's body: DynamoDB's BatchWriteItem may carry 16 MB
// ("Quotas in Amazon DynamoDB"), the most of any operation served.
const maxBody = 16 << 20

// Operation answers one call: body is the request's parameters, the result
// is what is written as the response's body. An error that is not an [*Error]
// is answered as an InternalFailure and logged.
type Operation func(ctx context.Context, body []byte) (response []byte, err error)

// Operations maps the names of a service's operations to what answers them.
type Operations map[string]Operation

// Op makes an operation of a typed function. In and Out are structs whose
// JSON names are the parameters of the AWS API. A parameter that In does not
// have is refused, so that nothing a caller asks for is silently ignored.
func Op[In, Out any](fn func(context.Context, *In) (*Out, error)) Operation {
	return func(ctx context.Context, body []byte) ([]byte, error) {
		in := new(In)
		if err := Decode(body, in); err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return json.Marshal(out, json.FormatNilSliceAsNull(true), json.Deterministic(true))
	}
}

// Decode reads JSON parameters into in, strictly; its error is an [*Error].
func Decode(body []byte, in any) error {
	if len(body) == 0 {
		body = []byte("{}")
	}
	err := json.Unmarshal(body, in, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	if refused := (*Error)(nil); errors.As(err, &refused) {
		return refused // by a type that decodes itself
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		if errors.Is(err, json.ErrUnknownName) {
			return Errorf("ValidationException", "parameter %s is not supported by the local environment", pointer(string(semantic.JSONPointer)))
		}
		return Errorf("SerializationException", "parameter %s: %v", pointer(string(semantic.JSONPointer)), semantic.Err)
	}
	return Errorf("SerializationException", "the request is not valid JSON: %v", err)
}

// pointer writes the place /Entries/0/Time as Entries[0].Time.
func pointer(p string) string {
	var b strings.Builder
	for _, part := range strings.Split(strings.TrimPrefix(p, "/"), "/") {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			fmt.Fprintf(&b, "[%s]", part)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	if b.Len() == 0 {
		return "(the whole request)"
	}
	return b.String()
}

// Mux finds the operation that a request asks for. Register everything before
// serving; serving is safe for concurrent use. The zero value is not usable:
// call [NewMux].
type Mux struct {
	json   map[string]*jsonService  // by the target's prefix, e.g. DynamoDB_20120810
	query  map[string]*QueryService // by the credential scope's service, e.g. sts
	paths  *http.ServeMux
	routes []string // the patterns of paths
	guard  Guard    // nil: there is none
	logger *slog.Logger
}

type jsonService struct {
	contentType string
	operations  Operations
}

// NewMux returns an empty mux, which logs what went wrong inside to logger.
func NewMux(logger *slog.Logger) *Mux {
	return &Mux{json: map[string]*jsonService{}, query: map[string]*QueryService{}, paths: http.NewServeMux(), logger: logger}
}

// JSON registers a service that speaks AWS JSON in the given version ("1.0"
// or "1.1"), by the prefix of its X-Amz-Target header.
func (m *Mux) JSON(target, version string, operations Operations) {
	m.json[target] = &jsonService{"application/x-amz-json-" + version, operations}
}

// Path registers a handler for plain paths, with the patterns of
// [http.ServeMux]; the caller is in the request's context. Use [WriteError]
// for its errors.
func (m *Mux) Path(pattern string, handler http.Handler) {
	m.paths.Handle(pattern, handler)
	m.routes = append(m.routes, pattern)
}

// Registered returns the names of everything that is registered, sorted:
// operations as TARGET.Operation or service.Operation, and the patterns of
// paths.
func (m *Mux) Registered() []string {
	out := slices.Clone(m.routes)
	for target, service := range m.json {
		for name := range service.operations {
			out = append(out, target+"."+name)
		}
	}
	for service, q := range m.query {
		for name := range q.Operations {
			out = append(out, service+"."+name)
		}
	}
	slices.Sort(out)
	return out
}

// requestID is the header x-amzn-RequestId in the form that [http.Header] keeps.
const requestID = "X-Amzn-Requestid"

// ServeHTTP answers one request.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()[requestID] = []string{uuid.NewString()}
	caller, signed := callerOf(r)
	c := &request{Caller: caller}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, c))
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		m.serveJSON(w, r, target, c, signed)
		return
	}
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		m.serveQuery(w, r, c, signed)
		return
	}
	if _, pattern := m.paths.Handler(r); pattern == "" {
		WriteError(w, &Error{Code: "UnknownOperationException", Status: http.StatusNotFound,
			Message: fmt.Sprintf("%s %s is not served by the local environment", r.Method, r.URL.Path)})
		return
	}
	if !signed {
		WriteError(w, errUnsigned)
		return
	}
	if err := m.identify(c); err != nil {
		m.fail(w, r.URL.Path, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	m.paths.ServeHTTP(&pathWriter{ResponseWriter: w, m: m, request: r}, r)
}

func (m *Mux) serveJSON(w http.ResponseWriter, r *http.Request, target string, c *request, signed bool) {
	prefix, name, _ := strings.Cut(target, ".")
	service, known := m.json[prefix]
	if !known {
		WriteError(w, Errorf("UnknownOperationException", "service %s is not served by the local environment (operation %s)", prefix, target))
		return
	}
	w.Header().Set("Content-Type", service.contentType)
	operation, known := service.operations[name]
	if !known {
		WriteError(w, Errorf("UnknownOperationException", "operation %s is not supported by the local environment", target))
		return
	}
	if !signed {
		WriteError(w, errUnsigned)
		return
	}
	if err := m.identify(c); err != nil {
		m.fail(w, target, err)
		return
	}
	body, err := readBody(w, r)
	if err != nil {
		WriteError(w, Errorf("SerializationException", "%s: reading the request: %v", target, err))
		return
	}
	out, err := operation(r.Context(), body)
	if err == nil && !c.asked {
		err = errNotAsked
	}
	if err != nil {
		m.fail(w, target, err)
		return
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(out))}
	_, _ = w.Write(out)
}

func (m *Mux) serveQuery(w http.ResponseWriter, r *http.Request, c *request, signed bool) {
	body, err := readBody(w, r)
	if err == nil && !signed {
		err = errUnsigned
	}
	if err == nil {
		err = m.identify(c)
	}
	var form url.Values
	if err == nil {
		form, err = url.ParseQuery(string(body))
	}
	var out []byte
	if err == nil {
		if service, known := m.query[c.Service]; known {
			out, err = service.call(r.Context(), form, w.Header().Get("x-amzn-RequestId"))
			if err == nil && !c.asked {
				err = errNotAsked
			}
		} else {
			err = Errorf("UnknownOperationException", "service %q is not served by the local environment (operation %s)", c.Service, form.Get("Action"))
		}
	}
	w.Header().Set("Content-Type", "text/xml")
	if err != nil {
		e := m.internal(c.Service+"."+form.Get("Action"), err)
		w.WriteHeader(e.Status)
		_, _ = w.Write(e.xml(w.Header().Get("x-amzn-RequestId")))
		return
	}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(out))}
	_, _ = w.Write(out)
}

// fail answers with err, as an InternalFailure if it is not an [*Error].
func (m *Mux) fail(w http.ResponseWriter, operation string, err error) {
	WriteError(w, m.internal(operation, err))
}

func (m *Mux) internal(operation string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e.withDefaults()
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Code: "RequestCanceled", Status: 499, Message: "the caller went away"}
	}
	m.logger.Error("an operation of the local environment failed", "operation", operation, "error", err)
	return &Error{Code: "InternalFailure", Status: http.StatusInternalServerError, Message: err.Error()}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, maxBody)
	if r.Header.Get("Content-Encoding") == "gzip" { // as the SDKs send many metrics
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(http.MaxBytesReader(w, unzipped, maxBody))
	}
	if n := r.ContentLength; n >= 0 && n <= maxBody {
		buf := make([]byte, n)
		_, err := io.ReadFull(body, buf)
		return buf, err
	}
	return io.ReadAll(body)
}
