package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// endpoint is what a session delivers events to. It answers with the status in a
// file, 204 without one, and repeats what it got.
type endpoint struct {
	mu     sync.Mutex
	header http.Header
	body   []byte
}

// start is the command `endpoint NAME`: it starts an endpoint on this
// machine, whose URL is the variable NAME from then on, and whose status is in the
// file NAME.status.
func (e *endpoint) start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: endpoint NAME")
	}
	status := ts.MkAbs(args[0] + ".status")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.header, e.body = r.Header, body
		e.mu.Unlock()
		if text, err := os.ReadFile(status); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			w.WriteHeader(n)
		}
		_, _ = w.Write(body)
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
}

// verified is the command `verified SECRETFILE...`: the last delivery has a
// signature by each of the secrets, and none besides, by the reference library of
// Standard Webhooks. It leaves the webhook-id in the file "id".
func (e *endpoint) verified(ts *testscript.TestScript, neg bool, args []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.header == nil {
		ts.Fatalf("nothing was delivered")
	}
	for _, file := range args {
		verifier, err := standardwebhooks.NewWebhook(strings.TrimSpace(ts.ReadFile(file)))
		ts.Check(err)
		if err := verifier.Verify(e.body, e.header); (err == nil) == neg {
			ts.Fatalf("the signature by %s: %v", file, err)
		}
	}
	if n := len(strings.Fields(e.header.Get("Webhook-Signature"))); !neg && n != len(args) {
		ts.Fatalf("%d signatures, want %d", n, len(args))
	}
	ts.Check(os.WriteFile(ts.MkAbs("id"), []byte(e.header.Get("Webhook-Id")), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("delivered.json"), fmt.Appendf(nil, "%s\n", e.body), 0o600))
}
