package queue_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-dev/penstock/functions/handler/queue"
)

// answering answers every call alike.
type answering []byte

func (a answering) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(bytes.NewReader(a))}, nil
}

// FuzzAnswer: whatever SQS answers, a message counts as accepted only if its id
// is among the successful ones and not among the failed ones.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"Successful":[{"Id":"0"},{"Id":"2"}],"Failed":[{"Id":"1","Code":"InternalError"}]}`))
	f.Add([]byte(`{"Successful":[{"Id":"0"}],"Failed":[{"Id":"0"}]}`))
	f.Add([]byte(`{"Successful":[{"Id":"-1"},{"Id":"3"},{"Id":"+1"},{"Id":""},null]}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		q := queue.New(aws.Config{Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), HTTPClient: answering(answer)})
		errs := q.Send(t.Context(), queueARN, messages("a", "b", "c"))
		if len(errs) != 3 {
			t.Fatalf("%d answers", len(errs))
		}
		var said struct{ Successful, Failed []struct{ Id string } }
		valid := json.Unmarshal(answer, &said) == nil
		for i, err := range errs {
			is := func(e struct{ Id string }) bool { return e.Id == strconv.Itoa(i) }
			accepted := valid && slices.ContainsFunc(said.Successful, is) && !slices.ContainsFunc(said.Failed, is)
			if accepted != (err == nil) {
				t.Errorf("message %d: %v", i, err)
			}
		}
	})
}
