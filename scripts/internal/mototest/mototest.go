// Package mototest runs moto's server, an independent implementation of the AWS
// APIs, for the tests that hold Penstock's idea of AWS against another one.
package mototest

import (
	"bufio"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Variable names moto's program moto_server.
const Variable = "PENSTOCK_MOTO"

// Server is a running server, empty when it starts. It ends with the test.
type Server struct {
	// URL is its endpoint, on a loopback port of its own.
	URL string

	mu          sync.Mutex
	unsupported map[string]bool
}

var (
	running     = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)`)
	unsupported = regexp.MustCompile(`No Moto CloudFormation support for (\S+)`)
)

// Start starts moto's server, or skips the test where it is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	program := os.Getenv(Variable)
	if program == "" {
		t.Skipf("skipped: %s does not name moto_server, as `pip install 'moto[server]==5.2.5'` installs it", Variable)
	}
	cmd := exec.CommandContext(t.Context(), program, "-H", "127.0.0.1", "-p", "0")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s: %v", Variable, err)
	}
	s := &Server{unsupported: map[string]bool{}}
	read := make(chan struct{})
	t.Cleanup(func() { // the test's context has ended by then, which kills it
		<-read
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(log)
	for s.URL == "" && lines.Scan() {
		if m := running.FindStringSubmatch(lines.Text()); m != nil {
			s.URL = m[1]
		}
	}
	go func() { // it logs every request, and must be read or it would block
		defer close(read)
		for lines.Scan() {
			if m := unsupported.FindStringSubmatch(lines.Text()); m != nil {
				s.mu.Lock()
				s.unsupported[m[1]] = true
				s.mu.Unlock()
			}
		}
	}()
	if s.URL == "" {
		t.Fatalf("%s did not start", program)
	}
	return s
}

// Account is the account that every caller is of.
const Account = "123456789012"

// AWS is the configuration of the SDK that reaches it.
func (s *Server) AWS(region string) aws.Config {
	return aws.Config{BaseEndpoint: &s.URL, Region: region, Credentials: credentials.NewStaticCredentialsProvider("moto", "moto", "")}
}

// Code puts code for functions into a bucket, and has functions answer without
// Docker.
func (s *Server) Code(t testing.TB) (bucket, key string) {
	t.Helper()
	bucket, key = "code", "code.zip"
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/moto-api/config", `{"lambda": {"use_docker": false}}`},
		{"PUT", "/" + bucket, ""},
		{"PUT", "/" + bucket + "/" + key, "zip"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, s.URL+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s", r.method, r.path, answer.Status)
		}
	}
	return bucket, key
}

// Environ are the variables for a program that reaches it, and nothing of whoever
// runs the test.
func (s *Server) Environ(region string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	return append(env, "AWS_ENDPOINT_URL="+s.URL, "AWS_ACCESS_KEY_ID=moto", "AWS_SECRET_ACCESS_KEY=moto",
		"AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}

// Unsupported returns the types of CloudFormation resources that were deployed and
// that moto does not know: it makes nothing of them, and says nothing to the
// caller.
func (s *Server) Unsupported() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.unsupported))
}
