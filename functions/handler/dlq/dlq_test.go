package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/penstock-dev/penstock/functions/handler"
	"github.com/penstock-dev/penstock/functions/handler/dlq"
	"github.com/penstock-dev/penstock/infra/names"
)

var (
	queue    = names.New("shop", "test").Queue("fee", "withdrawals")
	queueARN = "arn:aws:sqs:eu-west-1:123456789012:" + queue
)

// service is SQS, which fails as it is told.
type service struct {
	lookup, send error
	refuse       string // the body of a message
	silent       string // the body of a message that is not answered for

	lookups int
	calls   [][]types.SendMessageBatchRequestEntry
}

func (s *service) GetQueueUrl(_ context.Context, in *sqs.GetQueueUrlInput, _ ...func(*sqs.Options)) (*sqs.GetQueueUrlOutput, error) {
	s.lookups++
	if s.lookup != nil {
		return nil, s.lookup
	}
	return &sqs.GetQueueUrlOutput{QueueUrl: aws.String("https://sqs/" + *in.QueueOwnerAWSAccountId + "/" + *in.QueueName)}, nil
}

func (s *service) SendMessageBatch(_ context.Context, in *sqs.SendMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	if want := "https://sqs/123456789012/" + names.New("shop", "test").DLQ("fee", "withdrawals"); *in.QueueUrl != want {
		return nil, fmt.Errorf("sent to %s, want %s", *in.QueueUrl, want)
	}
	s.calls = append(s.calls, in.Entries)
	if s.send != nil {
		return nil, s.send
	}
	out := &sqs.SendMessageBatchOutput{}
	for _, e := range in.Entries {
		switch *e.MessageBody {
		case s.refuse:
			out.Failed = append(out.Failed, types.BatchResultErrorEntry{Id: e.Id, Code: aws.String("InternalError"), Message: aws.String("try again")})
		case s.silent:
		default:
			out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id})
		}
	}
	return out, nil
}

func letters(bodies ...string) []handler.DeadLetter {
	var all []handler.DeadLetter
	for i, body := range bodies {
		all = append(all, handler.DeadLetter{MessageID: fmt.Sprint(i), Body: body, Reason: "amount must be positive"})
	}
	return all
}

func TestALetterKeepsItsBodyAndSaysWhyAndWhence(t *testing.T) {
	client := &service{}
	sender := dlq.New(client)
	for range 2 {
		if errs := sender.Send(t.Context(), queueARN, letters(`{"a":1}`)); len(errs) != 1 || errs[0] != nil {
			t.Fatal(errs)
		}
	}
	if client.lookups != 1 {
		t.Errorf("%d look-ups, want 1", client.lookups)
	}
	sent := client.calls[0][0]
	if *sent.MessageBody != `{"a":1}` || len(sent.MessageAttributes) != 2 {
		t.Errorf("sent %v", sent)
	}
	for name, want := range map[string]string{dlq.Reason: "amount must be positive", dlq.Source: queueARN} {
		if got := sent.MessageAttributes[name]; *got.DataType != "String" || *got.StringValue != want {
			t.Errorf("%s is %v, want %q", name, *got.StringValue, want)
		}
	}
}

func TestACallTakesTenLettersAndOneMebibyte(t *testing.T) {
	client := &service{}
	big := strings.Repeat("x", 600<<10)
	bodies := append([]string{big, big}, strings.Split("abcdefghijklm", "")...)
	for i, err := range dlq.New(client).Send(t.Context(), queueARN, letters(bodies...)) {
		if err != nil {
			t.Errorf("letter %d: %v", i, err)
		}
	}
	var sizes []int
	var sent []string
	for _, call := range client.calls {
		sizes = append(sizes, len(call))
		for _, e := range call {
			sent = append(sent, *e.MessageBody)
		}
	}
	if fmt.Sprint(sizes) != "[1 10 4]" || strings.Join(sent, "") != strings.Join(bodies, "") {
		t.Errorf("calls of %v", sizes)
	}
}

func TestEachLetterThatWasNotAcceptedHasAnError(t *testing.T) {
	errs := dlq.New(&service{refuse: "b", silent: "c"}).Send(t.Context(), queueARN, letters("a", "b", "c", "d"))
	for i, want := range []string{"", "dlq: InternalError: try again", "did not answer", ""} {
		if errs[i] == nil != (want == "") || errs[i] != nil && !strings.Contains(errs[i].Error(), want) {
			t.Errorf("letter %d: got %v, want %q", i, errs[i], want)
		}
	}
	down := errors.New("down")
	for what, client := range map[string]*service{"the look-up": {lookup: down}, "the call": {send: down}} {
		for i, err := range dlq.New(client).Send(t.Context(), queueARN, letters("a", "b")) {
			if !errors.Is(err, down) {
				t.Errorf("%s fails: letter %d: %v", what, i, err)
			}
		}
	}
	if errs := dlq.New(&service{}).Send(t.Context(), "no ARN", letters("a")); errs[0] == nil {
		t.Error("sent to a queue that has no ARN")
	}
}

func TestAReasonIsWhatSQSTakes(t *testing.T) {
	client := &service{}
	for _, reason := range []string{"", "a\x00b\nc", strings.Repeat("ü", 2000), "bad \xff utf-8"} {
		_ = dlq.New(client).Send(t.Context(), queueARN, []handler.DeadLetter{{Body: "x", Reason: reason}})
	}
	var got []string
	for _, call := range client.calls {
		got = append(got, *call[0].MessageAttributes[dlq.Reason].StringValue)
	}
	if got[0] != "unknown" || got[1] != "a\uFFFDb\nc" || got[3] != "bad \uFFFD utf-8" {
		t.Errorf("got %q", got)
	}
	if len(got[2]) > 1024 || !strings.HasSuffix(got[2], "ü…") {
		t.Errorf("a long reason has %d bytes and ends in %q", len(got[2]), got[2][len(got[2])-5:])
	}
}
