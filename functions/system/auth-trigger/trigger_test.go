package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/penstock-dev/penstock/events"
	"github.com/penstock-dev/penstock/events/auth"
)

// services is a bus and a queue, each of which may hang or refuse.
type services struct {
	busHangs, queueHangs bool
	refuse               string // an error code of the bus; empty: it accepts
	queueErr             error

	published []bustypes.PutEventsRequestEntry
	queued    []string // bodies
}

func (s *services) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	if s.busHangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out := &eventbridge.PutEventsOutput{}
	for _, e := range in.Entries {
		if s.refuse != "" {
			out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{ErrorCode: &s.refuse})
			continue
		}
		s.published = append(s.published, e)
		out.Entries = append(out.Entries, bustypes.PutEventsResultEntry{EventId: aws.String("e")})
	}
	return out, nil
}

func (s *services) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	if s.queueHangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.queueErr != nil {
		return nil, s.queueErr
	}
	s.queued = append(s.queued, *in.MessageBody)
	return &sqs.SendMessageOutput{}, nil
}

// signIn is a call of Cognito's, with what the page "Post authentication Lambda
// trigger" has, and a field that this program knows nothing of.
const signIn = `{"version": "1", "triggerSource": "PostAuthentication_Authentication", "region": "eu-west-1", "userPoolId": "eu-west-1_pool",
 "userName": "7d9a", "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "app"},
 "request": {"userAttributes": {"sub": "7d9a", "email": "ada@example.com", "email_verified": "true"}, "newDeviceUsed": false, "clientMetadata": {"lang": "de-CH"}},
 "response": {}, "unknown": [1, 2]}`

func calledBy(source string) string { return strings.Replace(signIn, sourceLogin, source, 1) }

// announce has the program called, and returns what it wrote to its log.
func (s *services) announce(t *testing.T, payload string) (answer, logged string) {
	t.Helper()
	var out bytes.Buffer
	settings := map[string]string{"PENSTOCK_APP": "shop", "PENSTOCK_ENV": "prod", "PENSTOCK_BUS": "shop-prod", "PENSTOCK_UNSENT_QUEUE": "https://queue"}
	trigger, err := newTrigger(s, s, func(name string) string { return settings[name] }, slog.New(slog.NewJSONHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := lambda.NewHandler(trigger.handle).Invoke(t.Context(), []byte(payload))
	if err != nil {
		t.Fatalf("a person is turned away: %v", err)
	}
	return string(data), out.String()
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y bytes.Buffer
	if json.Compact(&x, []byte(a)) != nil || json.Compact(&y, []byte(b)) != nil {
		return false
	}
	return x.String() == y.String()
}

// published is the one event that was published, decoded.
func (s *services) one(t *testing.T) (typ string, m events.Metadata, data json.RawMessage) {
	t.Helper()
	if len(s.published) != 1 {
		t.Fatalf("%d events were published, want 1", len(s.published))
	}
	e := s.published[0]
	var detail struct {
		Metadata events.Metadata
		Data     json.RawMessage
	}
	if err := json.Unmarshal([]byte(*e.Detail), &detail); err != nil {
		t.Fatal(err)
	}
	return *e.Source + "/" + *e.DetailType, detail.Metadata, detail.Data
}

func TestASignInIsAnnouncedAndAnsweredUnchanged(t *testing.T) {
	s := &services{}
	answer, logged := s.announce(t, signIn)
	if !sameJSON(t, answer, signIn) {
		t.Errorf("answered %s", answer)
	}
	typ, m, data := s.one(t)
	want, _ := json.Marshal(auth.Login{UserID: "7d9a", Email: "ada@example.com"})
	if typ != "auth/AUTH_LOGIN" || m.Code != auth.CodeLogin || m.UserID != "7d9a" || m.CorrelationID != m.ID || string(data) != string(want) {
		t.Errorf("announced %s %+v %s", typ, m, data)
	}
	if !strings.Contains(logged, `"AuthEventsSent":1`) || strings.Contains(logged, "ada@example.com") {
		t.Errorf("logged %s", logged)
	}
}

func TestOnlyASignUpIsARegistration(t *testing.T) {
	s := &services{}
	if answer, _ := s.announce(t, calledBy("PostConfirmation_ConfirmForgotPassword")); !sameJSON(t, answer, calledBy("PostConfirmation_ConfirmForgotPassword")) || len(s.published) > 0 {
		t.Errorf("answered %s, published %v", answer, s.published)
	}
	for _, c := range []struct{ what, payload, lang string }{
		{"the application says the language", calledBy(sourceSignUp), "de-CH"},
		{"the pool knows it", strings.Replace(calledBy(sourceSignUp), `"email_verified"`, `"locale": "fr-CH", "email_verified"`, 1), "fr-CH"},
		{"nobody says it", strings.Replace(calledBy(sourceSignUp), `"lang"`, `"other"`, 1), "und"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := &services{}
			s.announce(t, c.payload)
			typ, m, data := s.one(t)
			want, _ := json.Marshal(auth.Register{UserID: "7d9a", Email: "ada@example.com", Lang: c.lang})
			if typ != "auth/AUTH_REGISTER" || m.Code != auth.CodeRegister || string(data) != string(want) {
				t.Errorf("announced %s %+v %s", typ, m, data)
			}
		})
	}
}

func TestRepeatedCallsAreOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight, UTC
		ids := map[string]bool{}
		for range 3 {
			s := &services{}
			s.announce(t, signIn)
			_, m, _ := s.one(t)
			ids[m.ID] = true
			time.Sleep(5 * time.Second)
		}
		if len(ids) != 1 {
			t.Errorf("three calls, 5 s apart, are the events %v", ids)
		}
		time.Sleep(sameSignIn)
		for what, payload := range map[string]string{
			"a sign-in half a minute later": signIn,
			"another person":                strings.Replace(signIn, `"userName": "7d9a"`, `"userName": "81ce"`, 1),
			"another application":           strings.Replace(signIn, `"clientId": "app"`, `"clientId": "web"`, 1),
			"a registration":                calledBy(sourceSignUp),
		} {
			s := &services{}
			s.announce(t, payload)
			_, m, _ := s.one(t)
			if ids[m.ID] {
				t.Errorf("%s is the same event", what)
			}
			ids[m.ID] = true
		}
	})
}

func TestNobodyWaitsForLongerThanASecondForEachWay(t *testing.T) {
	for _, c := range []struct {
		what   string
		s      services
		wait   time.Duration
		metric string
	}{
		{"the bus hangs", services{busHangs: true}, time.Second, metricQueued},
		{"the bus refuses", services{refuse: "NotAuthorizedForDetailTypeException"}, 0, metricQueued},
		{"bus and queue hang", services{busHangs: true, queueHangs: true}, 2 * time.Second, metricLost},
		{"the bus hangs and the queue refuses", services{busHangs: true, queueErr: errors.New("access denied")}, time.Second, metricLost},
	} {
		t.Run(c.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				answer, logged := c.s.announce(t, signIn)
				if !sameJSON(t, answer, signIn) {
					t.Errorf("answered %s", answer)
				}
				if took := time.Since(start); took != c.wait {
					t.Errorf("a person waits %v, want %v", took, c.wait)
				}
				if !strings.Contains(logged, `"`+c.metric+`":1`) || strings.Contains(logged, "ada@example.com") {
					t.Errorf("logged %s", logged)
				}
				if queued := len(c.s.queued); (c.metric == metricQueued) != (queued == 1) {
					t.Errorf("%d messages are in the queue", queued)
				}
			})
		})
	}
	t.Run("the bus throttles", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // its waits are random
			start := time.Now()
			s := &services{refuse: "ThrottlingException"}
			s.announce(t, signIn)
			if took := time.Since(start); took > time.Second || len(s.queued) != 1 {
				t.Errorf("a person waits %v, and %d messages are in the queue", took, len(s.queued))
			}
		})
	})
}

func TestAnUnreadableCallTurnsNobodyAway(t *testing.T) {
	s := &services{}
	payload := strings.Replace(signIn, `{"sub": "7d9a"`, `{"sub": {}`, 1)
	if answer, logged := s.announce(t, payload); !sameJSON(t, answer, payload) || !strings.Contains(logged, `"AuthEventsLost":1`) {
		t.Errorf("answered %s, logged %s", answer, logged)
	}
}

func TestWhatWasQueuedIsTheSameEventOnTheBus(t *testing.T) {
	s := &services{refuse: "InternalFailure"}
	synctest.Test(t, func(t *testing.T) { s.announce(t, signIn) })
	if len(s.queued) != 1 {
		t.Fatalf("%d messages are in the queue", len(s.queued))
	}
	s.refuse = ""
	body, _ := json.Marshal(s.queued[0])
	answer, _ := s.announce(t, fmt.Sprintf(`{"Records": [{"messageId": "bad", "body": "{}"}, {"messageId": "good", "body": %s}]}`, body))
	if want := `{"batchItemFailures":[{"itemIdentifier":"bad"}]}`; answer != want {
		t.Errorf("answered %s, want %s", answer, want)
	}
	typ, m, data := s.one(t)
	if typ != "auth/AUTH_LOGIN" || m.UserID != "7d9a" || !strings.Contains(string(data), "ada@example.com") {
		t.Errorf("announced %s %+v %s", typ, m, data)
	}
}

func TestItSaysWhenSomethingElseInvokesIt(t *testing.T) {
	s := &services{}
	settings := func(string) string { return "set" }
	trigger, err := newTrigger(s, s, settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewHandler(trigger.handle).Invoke(t.Context(), []byte(`{"detail-type": "Scheduled Event"}`)); err == nil {
		t.Error("nothing is said")
	}
}

func TestAMissingSettingIsNamed(t *testing.T) {
	_, err := newTrigger(&services{}, &services{}, func(name string) string { return strings.TrimPrefix(name, "PENSTOCK_UNSENT_QUEUE") }, slog.Default())
	if err == nil || !strings.Contains(err.Error(), "PENSTOCK_UNSENT_QUEUE is not set") {
		t.Errorf("got %v", err)
	}
}
