package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/functions/connector/call"
)

// result is how an asynchronous call has ended, for whom, and where to tell it.
type result struct {
	callID   string
	function string
	url      string
	status   int
	failed   string // why there is no response of the function; empty: there is one
	took     time.Duration
	kind     string // content type
	body     []byte
}

// record is what Lambda's destination puts on the bus, as far as it is used
// ("Capturing records of Lambda asynchronous invocations").
type record struct {
	Detail struct {
		Timestamp      time.Time `json:"timestamp"`
		RequestContext struct {
			RequestID string `json:"requestId"`
			Condition string `json:"condition"`
		} `json:"requestContext"`
		RequestPayload  json.RawMessage `json:"requestPayload"`
		ResponseContext struct {
			FunctionError string `json:"functionError"`
		} `json:"responseContext"`
		ResponsePayload json.RawMessage `json:"responsePayload"`
	} `json:"detail"`
}

const (
	succeeded = "Success"
	malformed = "MalformedResponse"
)

// readResult reads a message of the queue.
func readResult(body string) (result, error) {
	var event record
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return result{}, fmt.Errorf("the message is no result of an asynchronous call: %w", err)
	}
	d := &event.Detail
	request, err := call.Decode(d.RequestPayload)
	switch {
	case err != nil:
		return result{}, fmt.Errorf("the message is no result of an asynchronous call: %w", err)
	case d.RequestContext.RequestID == "" || d.RequestContext.Condition == "":
		return result{}, errors.New("the message is no result of an asynchronous call: its detail.requestContext has no requestId or no condition")
	case request.CallbackURL == "":
		return result{}, errors.New("the call has no callback URL")
	}
	r := result{
		callID: d.RequestContext.RequestID, function: request.Function, url: request.CallbackURL,
		took: max(d.Timestamp.Sub(request.Start), 0),
	}
	if d.RequestContext.Condition == succeeded {
		r.answered(d.ResponsePayload)
		return r, nil
	}
	// A function that failed has an error to tell; one that was never reached, or
	// not this time, has the condition alone.
	r.fail(http.StatusInternalServerError, d.RequestContext.Condition, "the call was given up")
	if d.ResponseContext.FunctionError != "" {
		r.failed = d.ResponseContext.FunctionError
	}
	if len(d.ResponsePayload) > 0 {
		r.body = d.ResponsePayload
	}
	return r, nil
}

// answered takes what the function has returned. To Lambda a response with a
// status of 500 is a success.
func (r *result) answered(payload []byte) {
	response, err := call.ParseResponse(payload)
	if err != nil {
		r.fail(http.StatusBadGateway, malformed, err.Error())
		return
	}
	r.status, r.body, r.kind = response.Status, response.Body, response.Header.Get("Content-Type")
}

// fail says why there is no response, in the form of Lambda's own errors.
func (r *result) fail(status int, why, message string) {
	r.status, r.failed, r.kind = status, why, "application/json"
	r.body, _ = json.Marshal(map[string]string{"errorType": why, "errorMessage": message}) // texts are JSON
}

// header is what is sent with the body, but for the signature.
func (r *result) header() http.Header {
	h := http.Header{}
	h.Set("User-Agent", "penstock-callback")
	h.Set("X-Call-Id", r.callID)
	h.Set("X-Function-Name", r.function)
	h.Set("X-Function-Status", strconv.Itoa(r.status))
	h.Set("X-Duration-Seconds", strconv.FormatFloat(r.took.Seconds(), 'f', 3, 64))
	if r.failed != "" {
		h.Set("X-Function-Error", r.failed)
	}
	if r.kind != "" {
		h.Set("Content-Type", r.kind)
	}
	return h
}
