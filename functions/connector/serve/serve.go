// Package serve is the function's side of a connector: it runs a net/http handler
// as a Lambda function.
//
//	func main() { serve.Start(http.HandlerFunc(print)) }
//
//	func print(w http.ResponseWriter, r *http.Request) {
//		log.Print(r.Header.Get(call.TopicHeader)) // payment.made
//	}
//
// What the handler is called with is a POST to / with the message's headers and
// body; its context ends at the function's timeout and has Lambda's request (package
// lambdacontext). What the handler writes is the response, 200 if it sets no status. A
// status of 500 has the connector try again, by its retry policy; a panic is an
// error of the function, with the stack in its log.
//
// Any request in the format of a Lambda function URL does, so that the function
// may have a URL as well.
package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/go-json-experiment/json"

	"github.com/penstock-dev/penstock/functions/connector/call"
)

// Start runs the handler on Lambda. It does not return; it ends the process if the
// environment is not Lambda's.
func Start(h http.Handler) { lambda.Start(New(h)) }

// New returns the handler as a Lambda function, for a main that has more to do, and
// for tests.
func New(h http.Handler) lambda.Handler { return function{h} }

type function struct{ handler http.Handler }

// Invoke implements lambda.Handler.
func (f function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	r, err := request(ctx, payload)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: http.Header{}}
	f.handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK) // unless it has been
	return call.Response{Status: w.status, Header: w.sent, Body: w.body.Bytes()}.Encode()
}

func request(ctx context.Context, payload []byte) (*http.Request, error) {
	var event awsevents.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, fmt.Errorf("serve: the payload is not in the format of function URLs: %w", err)
	}
	if event.RequestContext.HTTP.Method == "" {
		return nil, fmt.Errorf("serve: the payload is not in the format of function URLs: it has no requestContext.http.method")
	}
	body := []byte(event.Body)
	if event.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(event.Body); err != nil {
			return nil, fmt.Errorf("serve: the request's body is not the base64 that it is said to be: %w", err)
		}
	}
	path := event.RawPath
	if event.RawQueryString != "" {
		path += "?" + event.RawQueryString
	}
	r, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	for name, value := range event.Headers {
		r.Header.Set(name, value)
	}
	if len(event.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	r.RequestURI, r.RemoteAddr, r.Host = path, event.RequestContext.HTTP.SourceIP, r.Header.Get("Host")
	return r, nil
}

// recorder keeps what a handler writes.
type recorder struct {
	header http.Header
	sent   http.Header // as it was when the status was written
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Informational statuses are passed
// over: the response has one status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(data []byte) (int, error) {
	if w.status == 0 {
		if w.header.Get("Content-Type") == "" {
			w.header.Set("Content-Type", http.DetectContentType(data))
		}
		w.WriteHeader(http.StatusOK)
	}
	return w.body.Write(data)
}
