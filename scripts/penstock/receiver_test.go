package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/rogpeppe/go-internal/testscript"
)

// sessionFreePort is the command `freeport NAME`: it sets a variable to a port of
// loopback that nothing listens on.
func sessionFreePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Check(listener.Close())
	ts.Setenv(args[0], port)
}

// sessionReceiver is the command `receiver PORT SECRETFILE`: it runs the sample of an
// endpoint, scripts/receiver, with its output in the file "received" and its log in
// "receiver.log", until the session ends.
func sessionReceiver(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 2 {
			ts.Fatalf("usage: receiver PORT SECRETFILE")
		}
		program := filepath.Join(ts.Getenv("WORK"), "receiver")
		build := exec.Command("go", "build", "-o", program, "./scripts/receiver")
		build.Dir = projectRoot(t)
		if out, err := build.CombinedOutput(); err != nil {
			ts.Fatalf("building the receiver: %v\n%s", err, out)
		}
		out, err := os.Create(ts.MkAbs("received"))
		ts.Check(err)
		defer out.Close()
		logged, err := os.Create(ts.MkAbs("receiver.log"))
		ts.Check(err)
		defer logged.Close()
		cmd := exec.Command(program, "--port", args[0], "--secret-file", ts.MkAbs(args[1]), "--api", dataAPI(ts))
		cmd.Stdout, cmd.Stderr = out, logged
		ts.Check(cmd.Start())
		ts.Defer(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}

// sessionRow is the command `row METHOD USER PLACE [DATA]`: it asks the data API
// about a row, with a token of the test issuer. The answer must be one of success.
func sessionRow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: row METHOD USER PLACE [DATA]")
	}
	answer, err := http.PostForm(ts.Getenv("AWS_ENDPOINT_URL")+"/_oidc/token", url.Values{"user": {args[1]}})
	ts.Check(err)
	defer answer.Body.Close()
	var said struct {
		Token string `json:"access_token"`
	}
	ts.Check(json.NewDecoder(answer.Body).Decode(&said))
	r, err := http.NewRequest(args[0], dataAPI(ts)+"/rows/"+args[2], strings.NewReader(strings.Join(args[3:], "")))
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+said.Token)
	row, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer row.Body.Close()
	if text, _ := io.ReadAll(row.Body); row.StatusCode >= http.StatusMultipleChoices {
		ts.Fatalf("%s %s: %s %s", args[0], args[2], row.Status, text)
	}
}

// dataAPI is the address of the environment's data API.
func dataAPI(ts *testscript.TestScript) string {
	exports := cloudformation.NewFromConfig(aws.Config{
		BaseEndpoint: aws.String(ts.Getenv("AWS_ENDPOINT_URL")), Region: ts.Getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(ts.Getenv("AWS_ACCESS_KEY_ID"), ts.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exports.ListExports(ctx, &cloudformation.ListExportsInput{})
	ts.Check(err)
	for _, e := range out.Exports {
		if strings.HasSuffix(*e.Name, "-storage-url") {
			return *e.Value
		}
	}
	ts.Fatalf("the environment has no data API")
	return ""
}
