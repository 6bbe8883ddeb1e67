package sqsdlq_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/functions/connector"
	"github.com/penstock-dev/penstock/functions/connector/sqsdlq"
)

// sender keeps what was sent, or fails.
type sender struct {
	sent  []*sqs.SendMessageInput
	fault error
}

func (s *sender) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	s.sent = append(s.sent, in)
	return &sqs.SendMessageOutput{}, s.fault
}

func TestALetterHoldsWhatItTakesToCallAgainAndWhy(t *testing.T) {
	for name, message := range map[string][]byte{"text": []byte("<paid>\x01"), "binary": {0xff, 0}, "not of XML": []byte("a\uFFFEb"), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			to := &sender{}
			letter := connector.Letter{
				Topic: "payment", Function: "printer.billing", Message: message, Header: http.Header{"X-A": {"1", "2"}},
				Reason: "function printer answered 500", Status: 500, Attempts: 3, FailedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
			}
			if err := sqsdlq.New(to, "https://queue").Put(t.Context(), letter); err != nil {
				t.Fatal(err)
			}
			in := to.sent[0]
			if *in.QueueUrl != "https://queue" {
				t.Errorf("it went to %s", *in.QueueUrl)
			}
			for attribute, want := range map[string]string{
				"penstock.reason": letter.Reason, "penstock.receives": "3", "penstock.topic": "payment", "penstock.function": "printer.billing",
			} {
				if got := *in.MessageAttributes[attribute].StringValue; got != want {
					t.Errorf("attribute %s is %q, want %q", attribute, got, want)
				}
			}
			if strings.ContainsAny(*in.MessageBody, "\x00\x01\uFFFE") {
				t.Errorf("SQS does not take %q", *in.MessageBody)
			}
			got, err := sqsdlq.Parse([]byte(*in.MessageBody))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, letter) {
				t.Errorf("it reads\n%+v, want\n%+v", got, letter)
			}
		})
	}
}

func TestALetterWithoutATopicAndWithALongReasonIsTaken(t *testing.T) {
	to := &sender{}
	if err := sqsdlq.New(to, "q").Put(t.Context(), connector.Letter{Function: "f", Reason: strings.Repeat("ä", 4000) + "\x00"}); err != nil {
		t.Fatal(err)
	}
	if _, has := to.sent[0].MessageAttributes["penstock.topic"]; has {
		t.Error("it has an empty attribute, which SQS refuses")
	}
	if n := len(*to.sent[0].MessageAttributes["penstock.reason"].StringValue); n > 1024 {
		t.Errorf("the reason has %d bytes", n)
	}
}

func TestWhatSQSDoesNotTakeIsAnError(t *testing.T) {
	to := &sender{}
	err := sqsdlq.New(to, "q").Put(t.Context(), connector.Letter{Function: "f", Message: make([]byte, 1<<20)})
	if err == nil || !strings.Contains(err.Error(), "SQS takes 1048576") || len(to.sent) != 0 {
		t.Errorf("the error is %v, and %d messages were sent", err, len(to.sent))
	}
	to.fault = errors.New("no such queue")
	if err := sqsdlq.New(to, "q").Put(t.Context(), connector.Letter{}); !errors.Is(err, to.fault) {
		t.Errorf("the error is %v", err)
	}
	for _, body := range []string{"[", `{"message": "?", "isBase64Encoded": true}`} {
		if _, err := sqsdlq.Parse([]byte(body)); err == nil {
			t.Errorf("%s is read as a letter", body)
		}
	}
}
