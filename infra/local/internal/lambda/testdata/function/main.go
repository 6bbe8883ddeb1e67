// A function for the tests: it does what the event asks for, and is built with
// aws-lambda-go as any function is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type request struct {
	Do      string
	Text    string
	N       int
	Records []awsevents.SQSMessage
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Println("cannot start")
		os.Exit(4)
	case "report":
		reportInit("Config.Missing", `{"errorType":"Config.Missing","errorMessage":"no configuration"}`)
		os.Exit(1)
	case "hang":
		forever()
	case "hang once":
		if _, err := os.Stat(os.Getenv("FILE")); err != nil {
			if err := os.WriteFile(os.Getenv("FILE"), nil, 0o600); err != nil {
				panic(err)
			}
			forever()
		}
	}
	lambda.Start(handle)
}

// reportInit posts an error of Init.
func reportInit(kind, body string) {
	request, err := http.NewRequest(http.MethodPost, "http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/init/error", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Lambda-Runtime-Function-Error-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	_ = response.Body.Close()
}

func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func handle(ctx context.Context, raw json.RawMessage) (any, error) {
	var in request
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	if in.Records != nil {
		return batch(in.Records)
	}
	switch in.Do {
	case "echo":
		return raw, nil
	case "describe":
		deadline, _ := ctx.Deadline()
		lc, _ := lambdacontext.FromContext(ctx)
		directory, _ := os.Getwd()
		variables := map[string]string{}
		for _, v := range os.Environ() {
			name, value, _ := strings.Cut(v, "=")
			variables[name] = value
		}
		return map[string]any{"variables": variables, "deadline": deadline.UnixMilli(), "requestId": lc.AwsRequestID,
			"arn": lc.InvokedFunctionArn, "pid": os.Getpid(), "directory": directory}, nil
	case "error":
		return nil, errors.New(in.Text)
	case "panic":
		panic(in.Text)
	case "exit":
		os.Exit(in.N)
	case "hang":
		forever()
	case "print":
		for i := range in.N {
			fmt.Println("line", i)
			fmt.Fprintln(os.Stderr, "error line", i)
		}
		fmt.Print("not finished")
	case "large":
		return strings.Repeat("x", in.N), nil
	case "answer": // as it is, JSON or not
		return &stream{Reader: strings.NewReader(in.Text)}, nil
	case "break off":
		return &stream{Reader: io.MultiReader(strings.NewReader("{"), broken{})}, nil
	case "connect", "connect and hang", "connect twice and hang":
		conn, err := net.Dial("tcp", in.Text)
		if err != nil {
			return nil, err
		}
		if in.Do == "connect twice and hang" { // the connection is held by a child as well
			file, err := conn.(*net.TCPConn).File()
			if err != nil {
				return nil, err
			}
			child := exec.Command("sleep", "3600")
			child.Stdin = file
			if err := child.Start(); err != nil {
				return nil, err
			}
		}
		fmt.Fprintln(conn, "connected")
		if in.Do != "connect" {
			forever()
		}
	default:
		return nil, fmt.Errorf("do what? %s", raw)
	}
	return nil, nil
}

// stream is an answer that is not made into JSON.
type stream struct {
	io.Reader
	NoJSON func()
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the source broke off") }

// batch fails the messages whose body says so.
func batch(messages []awsevents.SQSMessage) (any, error) {
	var response awsevents.SQSEventResponse
	for _, m := range messages {
		switch {
		case m.Body == "exit":
			os.Exit(1)
		case m.Body == "malformed":
			return &stream{Reader: strings.NewReader(`{"batchItemFailures":[`)}, nil
		case strings.Contains(m.Body, "fail"):
			response.BatchItemFailures = append(response.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return response, nil
}
