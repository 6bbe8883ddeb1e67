package sns

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
)

const (
	people   = "arn:aws:sns:us-east-1:000000000000:people"
	queue    = "arn:aws:sqs:us-east-1:000000000000:q"
	function = "arn:aws:lambda:us-east-1:000000000000:function:f"
)

// delivered is where messages go, in these tests.
type delivered struct {
	list   []string // "email|queue|function where: what"
	bodies []string
	refuse error
}

func (d *delivered) Send(queueARN, topicARN, body string) error {
	d.list = append(d.list, "queue "+queueARN+" for "+topicARN)
	d.bodies = append(d.bodies, body)
	return d.refuse
}

func (d *delivered) Invoke(functionARN, topicARN string, event []byte) error {
	d.list = append(d.list, "function "+functionARN+" for "+topicARN)
	d.bodies = append(d.bodies, string(event))
	return d.refuse
}

func (d *delivered) mail(address, subject, message string) {
	d.list = append(d.list, "email "+address+": "+subject)
	d.bodies = append(d.bodies, message)
}

func newService(t *testing.T, dir string, d *delivered) (s *Service, end func()) {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err = New(st, Config{Account: "000000000000", Region: "us-east-1", Queues: d, Functions: d, Mail: d.mail, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

func client(t *testing.T, d *delivered) (*awssns.Client, *Service) {
	t.Helper()
	s, end := newService(t, t.TempDir(), d)
	mux := awswire.NewMux(slog.New(slog.DiscardHandler))
	mux.Query(QueryName, s.Query())
	server := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); end() })
	return awssns.New(awssns.Options{BaseEndpoint: &server.URL, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("KEY", "SECRET", "")}), s
}

func TestAMessageReachesEverySubscription(t *testing.T) {
	d := &delivered{}
	c, _ := client(t, d)
	ctx := t.Context()
	created, err := c.CreateTopic(ctx, &awssns.CreateTopicInput{Name: aws.String("people"), Attributes: map[string]string{"DisplayName": "Shop"}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}})
	if err != nil || *created.TopicArn != people {
		t.Fatal(created, err)
	}
	var first string
	for protocol, endpoint := range map[string]string{"email": "ann@example.org", "sqs": queue, "lambda": function} {
		out, err := c.Subscribe(ctx, &awssns.SubscribeInput{TopicArn: created.TopicArn, Protocol: &protocol, Endpoint: &endpoint, ReturnSubscriptionArn: true})
		if err != nil {
			t.Fatal(err)
		}
		if protocol == "email" {
			first = *out.SubscriptionArn
		}
	}
	published, err := c.Publish(ctx, &awssns.PublishInput{TopicArn: created.TopicArn, Subject: aws.String("late"), Message: aws.String(`{"a":"<&>"}`),
		MessageAttributes: map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("test")}}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(d.list)
	if want := []string{"email ann@example.org: late", "function " + function + " for " + people, "queue " + queue + " for " + people}; !slices.Equal(d.list, want) {
		t.Errorf("delivered: %q", d.list)
	}
	for _, body := range d.bodies {
		var event awsevents.SNSEvent
		var entity awsevents.SNSEntity
		switch {
		case json.Unmarshal([]byte(body), &event) == nil && len(event.Records) == 1:
			entity = event.Records[0].SNS
		case json.Unmarshal([]byte(body), &entity) == nil && entity.MessageID != "":
		default:
			if body != `{"a":"<&>"}` {
				t.Errorf("the email is %s", body)
			}
			continue
		}
		if entity.MessageID != *published.MessageId || entity.TopicArn != people || entity.Subject != "late" || entity.Message != `{"a":"<&>"}` || entity.Timestamp.IsZero() || entity.MessageAttributes["kind"] == nil {
			t.Errorf("delivered: %+v of %s", entity, body)
		}
	}

	if _, err := c.Unsubscribe(ctx, &awssns.UnsubscribeInput{SubscriptionArn: &first}); err != nil {
		t.Fatal(err)
	}
	listed, err := c.ListSubscriptionsByTopic(ctx, &awssns.ListSubscriptionsByTopicInput{TopicArn: created.TopicArn})
	if err != nil || len(listed.Subscriptions) != 2 {
		t.Fatal(listed, err)
	}
	attributes, err := c.GetTopicAttributes(ctx, &awssns.GetTopicAttributesInput{TopicArn: created.TopicArn})
	if err != nil || attributes.Attributes["SubscriptionsConfirmed"] != "2" || attributes.Attributes["DisplayName"] != "Shop" {
		t.Errorf("attributes: %v, %v", attributes, err)
	}
	of, err := c.GetSubscriptionAttributes(ctx, &awssns.GetSubscriptionAttributesInput{SubscriptionArn: listed.Subscriptions[0].SubscriptionArn})
	if err != nil || of.Attributes["PendingConfirmation"] != "false" {
		t.Errorf("attributes: %v, %v", of, err)
	}
	if topics, err := c.ListTopics(ctx, &awssns.ListTopicsInput{}); err != nil || len(topics.Topics) != 1 || *topics.Topics[0].TopicArn != people {
		t.Errorf("topics: %v, %v", topics, err)
	}
	if _, err := c.DeleteTopic(ctx, &awssns.DeleteTopicInput{TopicArn: created.TopicArn}); err != nil {
		t.Fatal(err)
	}
	if all, err := c.ListSubscriptions(ctx, &awssns.ListSubscriptionsInput{}); err != nil || len(all.Subscriptions) != 0 {
		t.Errorf("subscriptions: %v, %v", all, err)
	}
	_, err = c.Publish(ctx, &awssns.PublishInput{TopicArn: created.TopicArn, Message: aws.String("m")})
	if gone := (*types.NotFoundException)(nil); !errors.As(err, &gone) {
		t.Errorf("to a deleted topic: %v", err)
	}
}

func TestAServicePublishesIfTheTopicsPolicyAllowsIt(t *testing.T) {
	d := &delivered{}
	s, end := newService(t, t.TempDir(), d)
	defer end()
	if err := s.EnsureTopic("people", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Subscribe(people, Subscription{Protocol: "email", Endpoint: "ann@example.org"}); err != nil {
		t.Fatal(err)
	}
	const alarm = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a"
	policy := func(condition string) string {
		return `{"Statement":[{"Effect":"Allow","Principal":{"Service":"cloudwatch.amazonaws.com"},"Action":"sns:Publish","Resource":"` + people + `","Condition":{"ArnLike":{"aws:SourceArn":"` + condition + `"}}}]}`
	}
	for _, c := range []struct {
		name, policy, principal string
		allowed                 bool
	}{
		{"the default policy, CloudWatch", "", "cloudwatch.amazonaws.com", true},
		{"the default policy, another service", "", "events.amazonaws.com", false},
		{"a policy for its alarms", policy("arn:aws:cloudwatch:us-east-1:000000000000:alarm:*"), "cloudwatch.amazonaws.com", true},
		{"a policy for others", policy("arn:aws:cloudwatch:us-east-1:111111111111:alarm:*"), "cloudwatch.amazonaws.com", false},
		{"a policy, another service", policy("*"), "events.amazonaws.com", false},
	} {
		d.list = nil
		if err := s.SetPolicy(people, c.policy); err != nil {
			t.Fatal(err)
		}
		err := s.PublishFromService(c.principal, alarm, people, Message{Subject: "s", Text: "m", Email: "for people"})
		refused := (*awswire.Error)(nil)
		if c.allowed != (err == nil) || c.allowed != (len(d.list) == 1) || c.allowed && d.bodies[len(d.bodies)-1] != "for people" || !c.allowed && (!errors.As(err, &refused) || refused.QueryCode != "AuthorizationError") {
			t.Errorf("%s: %v, delivered %v", c.name, err, d.list)
		}
	}
}

func TestTopicsAndSubscriptionsOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	d := &delivered{}
	s, end := newService(t, dir, d)
	if err := s.EnsureTopic("people", "Shop", nil); err != nil {
		t.Fatal(err)
	}
	sub := Subscription{Protocol: "sqs", Endpoint: queue}
	arn, err := s.Subscribe(people, sub)
	if err != nil {
		t.Fatal(err)
	}
	end()
	s, end = newService(t, dir, d)
	defer end()
	sub.Raw = true // the same subscription, changed
	if again, err := s.Subscribe(people, sub); err != nil || again != arn {
		t.Errorf("subscribed again as %s, %v; was %s", again, err, arn)
	}
	defer func() {
		for range 2 {
			if err := s.UnsubscribeEndpoint(people, "sqs", queue); err != nil || len(s.topics["people"].Subscriptions) != 0 {
				t.Errorf("unsubscribed: %v", err)
			}
		}
	}()
	d.refuse = errors.New("the queue is gone") // which keeps the message from nobody else
	if _, err := s.publish(s.topics["people"], Message{Text: "m"}); err != nil || !slices.Equal(d.bodies, []string{"m"}) {
		t.Errorf("published: %v, %q", err, d.bodies)
	}
}

func TestWhatSNSRefusesIsRefused(t *testing.T) {
	c, s := client(t, &delivered{})
	ctx := t.Context()
	if err := s.EnsureTopic("people", "", nil); err != nil {
		t.Fatal(err)
	}
	topic := aws.String(people)
	subscribe := func(protocol, endpoint string, attributes map[string]string) error {
		_, err := c.Subscribe(ctx, &awssns.SubscribeInput{TopicArn: topic, Protocol: &protocol, Endpoint: &endpoint, Attributes: attributes})
		return err
	}
	publish := func(in awssns.PublishInput) error {
		in.TopicArn = topic
		_, err := c.Publish(ctx, &in)
		return err
	}
	create := func(in awssns.CreateTopicInput) error {
		_, err := c.CreateTopic(ctx, &in)
		return err
	}
	for _, r := range []struct {
		code, want string
		err        error
	}{
		{"InvalidParameter", "FIFO topics are not supported", create(awssns.CreateTopicInput{Name: aws.String("x.fifo")})},
		{"InvalidParameter", "attribute KmsMasterKeyId is not supported", create(awssns.CreateTopicInput{Name: aws.String("x"), Attributes: map[string]string{"KmsMasterKeyId": "k"}})},
		{"InvalidParameter", "Policy", create(awssns.CreateTopicInput{Name: aws.String("x"), Attributes: map[string]string{"Policy": "{"}})},
		{"InvalidParameter", `Protocol "sms" is not supported`, subscribe("sms", "+123", nil)},
		{"InvalidParameter", `Endpoint "nobody"`, subscribe("email", "nobody", nil)},
		{"InvalidParameter", "attribute FilterPolicy is not supported", subscribe("sqs", queue, map[string]string{"FilterPolicy": "{}"})},
		{"InvalidParameter", "RawMessageDelivery is of protocol sqs", subscribe("lambda", function, map[string]string{"RawMessageDelivery": "true"})},
		{"InvalidParameter", "Empty message", publish(awssns.PublishInput{Message: aws.String("")})},
		{"InvalidParameter", "too long", publish(awssns.PublishInput{Message: aws.String(strings.Repeat("x", 256<<10+1))})},
		{"InvalidParameter", "Subject", publish(awssns.PublishInput{Message: aws.String("m"), Subject: aws.String("a\nb")})},
		{"InvalidParameter", `type "Binary" is not supported`, publish(awssns.PublishInput{Message: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"b": {DataType: aws.String("Binary"), StringValue: aws.String("x")}}})},
		{"ValidationException", "parameter MessageStructure is not supported", publish(awssns.PublishInput{Message: aws.String("m"), MessageStructure: aws.String("json")})},
	} {
		var api smithy.APIError
		if !errors.As(r.err, &api) || api.ErrorCode() != r.code || !strings.Contains(r.err.Error(), r.want) {
			t.Errorf("got %v, want %s: %s", r.err, r.code, r.want)
		}
	}
}
