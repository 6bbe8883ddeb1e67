package lambda

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// runtimeAPI serves the Lambda Runtime API to one program ("Using the Lambda
// runtime API for custom runtimes").
func (e *environment) runtimeAPI() http.Handler {
	const root = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"invocation/next", e.serveNext)
	mux.HandleFunc("POST "+root+"invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST "+root+"invocation/{id}/error", e.serveError)
	mux.HandleFunc("POST "+root+"init/error", e.serveInitError)
	return mux
}

func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	e.readyOnce.Do(func() { close(e.ready) })
	e.process.freeze()
	select {
	case <-e.process.done:
	case <-r.Context().Done():
		e.process.thaw()
	case inv := <-e.work:
		e.process.thaw()
		e.mu.Lock()
		e.current = inv
		e.mu.Unlock()
		e.output.sayStart(inv.id)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(inv.payload)))
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", e.f.arn)
		h.Set("Lambda-Runtime-Trace-Id", inv.trace)
		_, _ = w.Write(inv.payload)
	}
}

// take returns the invocation under way if it has the id of the request, and
// counts it as answered.
func (e *environment) take(w http.ResponseWriter, r *http.Request) *invocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	inv := e.current
	if inv == nil || inv.id != r.PathValue("id") {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	e.current = nil
	return inv
}

func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	inv := e.take(w, r)
	if inv == nil {
		return
	}
	body, err := readAll(r, maxResponse)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", maxResponse))
		inv.done <- outcome{payload: fmt.Appendf(nil,
			`{"errorMessage":"Response payload size exceeded maximum allowed payload size (%d bytes).","errorType":"Function.ResponseSizeTooLarge"}`, maxResponse), failed: true}
	case err != nil: // the program ended meanwhile; its end is the outcome
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
	case r.Trailer.Get("Lambda-Runtime-Function-Error-Type") != "":
		// A streamed response that broke off says why in its trailers.
		detail, _ := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body"))
		accept(w)
		inv.done <- outcome{payload: detail, failed: true}
	default:
		accept(w)
		inv.done <- outcome{payload: body}
	}
}

func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	inv := e.take(w, r)
	if inv == nil {
		return
	}
	body, err := readAll(r, maxResponse)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	accept(w)
	inv.done <- outcome{payload: body, failed: true}
}

func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := readAll(r, maxResponse)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	e.mu.Lock()
	e.initError = &fault{kind: cmp.Or(r.Header.Get("Lambda-Runtime-Function-Error-Type"), "Runtime.Unknown"), payload: body}
	e.mu.Unlock()
	accept(w)
}

// readAll reads a body of up to limit bytes, into one piece of memory if its
// length is known.
func readAll(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > 0 && r.ContentLength <= limit {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return body, err
	}
	return io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, errorType, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, err := json.Marshal(map[string]string{"errorType": errorType, "errorMessage": message})
	if err == nil {
		_, _ = w.Write(body)
	}
}
