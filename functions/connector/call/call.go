// Package call is the shape of what passes between a connector and a function:
// the request that the function is invoked with, and its response.
//
// Both are those of a Lambda function URL in payload format 2.0 ("Invoking
// Lambda function URLs"), so that headers, content type and binary bodies
// survive, and any library for function URLs serves as the function's side;
// package serve runs a net/http handler. What the connector itself has to say is
// in headers, whose names begin the package.
//
// The result of an asynchronous call comes back from Lambda's destination with
// the request beside it; Decode then finds in it who waits for the result.
package call

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
)

// Headers that a connector sets. In the payload, as all headers, they are in
// lower case: an event pattern asks for headers.x-callback-url.
const (
	TopicHeader    = "X-Topic"         // what the message is about
	FunctionHeader = "X-Function-Name" // the function called, with its namespace if it has one: "printer.billing"
	CallbackHeader = "X-Callback-Url"  // where the result of an asynchronous call is sent
	StartHeader    = "X-Start-Time"    // when the call was made: RFC 3339 with fractions of a second, UTC
)

// Reserved reports whether only the connector sets the header, which a message's
// own headers therefore cannot.
func Reserved(header string) bool {
	switch textproto.CanonicalMIMEHeaderKey(header) {
	case TopicHeader, FunctionHeader, CallbackHeader, StartHeader:
		return true
	}
	return false
}

// Request is what a function is called with.
type Request struct {
	// ID is the same for every attempt to call the function with a message, so
	// that a function can tell a repeat: the request's requestContext.requestId.
	ID string

	// Function is the function's name, with its namespace if it has one.
	Function string

	// Topic is what the message is about; empty: it is not sent.
	Topic string

	// Header are the message's headers. Several values of one are joined by a
	// comma, as in a function URL; reserved ones are not sent.
	Header http.Header

	// Body is the message: sent as it is if it is UTF-8, else in base64.
	Body []byte

	// Start is when the call was made.
	Start time.Time

	// CallbackURL is where the result of an asynchronous call is sent; empty: it
	// is sent nowhere.
	CallbackURL string
}

// Encode returns the request as the payload of an invocation.
func (r Request) Encode() ([]byte, error) {
	start := r.Start.UTC()
	headers := make(map[string]string, len(r.Header)+4)
	for name, values := range r.Header {
		if !Reserved(name) && len(values) > 0 {
			headers[strings.ToLower(name)] = strings.Join(values, ",")
		}
	}
	headers[strings.ToLower(FunctionHeader)] = r.Function
	headers[strings.ToLower(StartHeader)] = start.Format(time.RFC3339Nano)
	if r.Topic != "" {
		headers[strings.ToLower(TopicHeader)] = r.Topic
	}
	if r.CallbackURL != "" {
		headers[strings.ToLower(CallbackHeader)] = r.CallbackURL
	}
	event := awsevents.LambdaFunctionURLRequest{
		Version: "2.0", RawPath: "/", Headers: headers,
		RequestContext: awsevents.LambdaFunctionURLRequestContext{
			RequestID: r.ID, Time: start.Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: start.UnixMilli(),
			HTTP: awsevents.LambdaFunctionURLRequestContextHTTPDescription{
				Method: http.MethodPost, Path: "/", Protocol: "HTTP/1.1", UserAgent: r.Header.Get("User-Agent"),
			},
		},
	}
	if utf8.Valid(r.Body) {
		event.Body = string(r.Body)
	} else {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.Body), true
	}
	payload, err := json.Marshal(&event)
	if err != nil {
		return nil, fmt.Errorf("a request to function %s: %w", r.Function, err)
	}
	return payload, nil
}

// Decode reads a request that Encode has written. The reserved headers are in
// their fields, not in Header.
func Decode(payload []byte) (Request, error) {
	var event awsevents.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return Request{}, fmt.Errorf("no request of a connector: %w", err)
	}
	own := func(header string) string { return event.Headers[strings.ToLower(header)] }
	start, err := time.Parse(time.RFC3339Nano, own(StartHeader))
	if err != nil || own(FunctionHeader) == "" {
		return Request{}, fmt.Errorf("no request of a connector: its headers %s and %s are %q and %q", FunctionHeader, StartHeader, own(FunctionHeader), own(StartHeader))
	}
	body, err := decodeBody(event.Body, event.IsBase64Encoded)
	if err != nil {
		return Request{}, fmt.Errorf("no request of a connector: %w", err)
	}
	r := Request{
		ID: event.RequestContext.RequestID, Function: own(FunctionHeader), Topic: own(TopicHeader), Header: http.Header{},
		Body: body, Start: start, CallbackURL: own(CallbackHeader),
	}
	for name, value := range event.Headers {
		if !Reserved(name) {
			r.Header.Set(name, value)
		}
	}
	return r, nil
}

// Response is what a function answered.
type Response struct {
	Status int // 100 to 599
	Header http.Header
	Body   []byte
}

// OK reports whether the status is one of success: 200 to 299.
func (r Response) OK() bool { return r.Status >= 200 && r.Status <= 299 }

// ParseResponse reads the payload that a function has returned, as Lambda does
// for a function URL ("Invoking Lambda function URLs", response payload format):
// a JSON object with a statusCode is the response; any other JSON is a response
// with status 200, content type application/json and the JSON as its body, of a
// string its content. A function that returned nothing answered 200 without a
// body. What cannot be read is an error, as which a function URL answers 502.
func ParseResponse(payload []byte) (Response, error) {
	if len(payload) == 0 {
		return Response{Status: http.StatusOK, Header: http.Header{}}, nil
	}
	var shape struct {
		StatusCode *int `json:"statusCode"`
	}
	if err := json.Unmarshal(payload, &shape); err != nil || shape.StatusCode == nil {
		return inferred(payload)
	}
	var r awsevents.LambdaFunctionURLResponse
	if err := json.Unmarshal(payload, &r); err != nil {
		return Response{}, fmt.Errorf("the response is not in the format of function URLs: %w", err)
	}
	if r.StatusCode < 100 || r.StatusCode > 599 {
		return Response{}, fmt.Errorf("the response's statusCode %d is not in 100 to 599", r.StatusCode)
	}
	body, err := decodeBody(r.Body, r.IsBase64Encoded)
	if err != nil {
		return Response{}, fmt.Errorf("the response: %w", err)
	}
	out := Response{Status: r.StatusCode, Header: http.Header{}, Body: body}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		out.Header.Add(name, r.Headers[name])
	}
	for _, cookie := range r.Cookies {
		out.Header.Add("Set-Cookie", cookie)
	}
	return out, nil
}

// inferred is the response that a payload without a status stands for.
func inferred(payload []byte) (Response, error) {
	out := Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: payload}
	var value any
	if err := json.Unmarshal(payload, &value); err != nil {
		return Response{}, fmt.Errorf("the response is not JSON: %w", err)
	}
	switch value := value.(type) {
	case string:
		out.Body = []byte(value)
	case map[string]any:
		if _, ok := value["statusCode"]; ok {
			return Response{}, errors.New("the response's statusCode is not a number")
		}
	}
	return out, nil
}

// Encode returns the response as the payload that a function returns.
func (r Response) Encode() ([]byte, error) {
	out := awsevents.LambdaFunctionURLResponse{StatusCode: r.Status, Headers: map[string]string{}}
	for name, values := range r.Header {
		if name == "Set-Cookie" {
			out.Cookies = values
		} else {
			out.Headers[name] = strings.Join(values, ",")
		}
	}
	if utf8.Valid(r.Body) {
		out.Body = string(r.Body)
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.Body), true
	}
	return json.Marshal(&out)
}

func decodeBody(body string, isBase64 bool) ([]byte, error) {
	if !isBase64 {
		return []byte(body), nil
	}
	decoded, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not the base64 that it is said to be: %w", err)
	}
	return decoded, nil
}
