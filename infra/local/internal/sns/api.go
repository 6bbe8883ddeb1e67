package sns

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
)

// QueryName is the service in a request's credential scope.
const QueryName = "sns"

// Query is SNS on the wire: it speaks the query protocol alone.
func (s *Service) Query() awswire.QueryService {
	return awswire.QueryService{
		Namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
		Booleans:  []string{"ReturnSubscriptionArn"},
		Maps:      map[string][2]string{"Attributes": {"key", "value"}, "MessageAttributes": {"Name", "Value"}},
		Operations: awswire.Operations{
			"CreateTopic":               awswire.Op(s.createTopic),
			"DeleteTopic":               awswire.Op(s.deleteTopic),
			"GetSubscriptionAttributes": awswire.Op(s.getSubscriptionAttributes),
			"GetTopicAttributes":        awswire.Op(s.getTopicAttributes),
			"ListSubscriptions":         awswire.Op(s.listSubscriptions),
			"ListSubscriptionsByTopic":  awswire.Op(s.listSubscriptionsByTopic),
			"ListTopics":                awswire.Op(s.listTopics),
			"Publish":                   awswire.Op(s.publishMessage),
			"SetTopicAttributes":        awswire.Op(s.setTopicAttributes),
			"Subscribe":                 awswire.Op(s.subscribe),
			"Unsubscribe":               awswire.Op(s.unsubscribe),
		},
	}
}

type none struct{}

type topicARN struct{ TopicArn string }

// authorize asks whether the caller may do an action with a topic.
func (s *Service) authorize(ctx context.Context, action, arn string) error {
	access := awswire.Access{Action: "sns:" + action, Resource: arn}
	if t, err := s.find(arn); err == nil {
		access.Policy = t.policy
	}
	return awswire.Authorize(ctx, access)
}

type tag struct{ Key, Value string }

func (s *Service) createTopic(ctx context.Context, in *struct {
	Name       string
	Attributes map[string]string
	Tags       []tag
}) (*topicARN, error) {
	arn := s.ARN(in.Name)
	if err := s.authorize(ctx, "CreateTopic", arn); err != nil {
		return nil, err
	}
	for name := range in.Attributes {
		if name != "DisplayName" && name != "Policy" {
			return nil, invalid("attribute %s is not supported by the local environment", name)
		}
	}
	if s.Exists(in.Name) { // it is found, and not changed
		return &topicARN{arn}, nil
	}
	if _, err := parsePolicy(in.Attributes["Policy"]); err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		tags[t.Key] = t.Value
	}
	if err := s.EnsureTopic(in.Name, in.Attributes["DisplayName"], tags); err != nil {
		return nil, err
	}
	return &topicARN{arn}, s.SetPolicy(arn, in.Attributes["Policy"])
}

func (s *Service) deleteTopic(ctx context.Context, in *topicARN) (*none, error) {
	if err := s.authorize(ctx, "DeleteTopic", in.TopicArn); err != nil {
		return nil, err
	}
	return &none{}, s.DeleteTopic(strings.TrimPrefix(in.TopicArn, s.ARN("")))
}

type attributes struct{ Attributes map[string]string }

func (s *Service) getTopicAttributes(ctx context.Context, in *topicARN) (*attributes, error) {
	if err := s.authorize(ctx, "GetTopicAttributes", in.TopicArn); err != nil {
		return nil, err
	}
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	out := map[string]string{
		"TopicArn": in.TopicArn, "Owner": s.config.Account, "DisplayName": t.DisplayName,
		"SubscriptionsConfirmed": fmt.Sprint(len(t.Subscriptions)), "SubscriptionsPending": "0", "SubscriptionsDeleted": "0",
	}
	if t.Policy != "" {
		out["Policy"] = t.Policy
	}
	return &attributes{out}, nil
}

func (s *Service) setTopicAttributes(ctx context.Context, in *struct {
	TopicArn       string
	AttributeName  string
	AttributeValue string
}) (*none, error) {
	if err := s.authorize(ctx, "SetTopicAttributes", in.TopicArn); err != nil {
		return nil, err
	}
	switch in.AttributeName {
	case "Policy":
		return &none{}, s.SetPolicy(in.TopicArn, in.AttributeValue)
	case "DisplayName":
		t, err := s.find(in.TopicArn)
		if err != nil {
			return nil, err
		}
		return &none{}, s.EnsureTopic(t.Name, in.AttributeValue, t.Tags)
	}
	return nil, invalid("attribute %s is not supported by the local environment: want Policy or DisplayName", in.AttributeName)
}

// maxListed is how many topics or subscriptions one answer has ("ListTopics").
const maxListed = 100

type listedTopics struct {
	Topics    []topicARN
	NextToken string `json:",omitempty"`
}

func (s *Service) listTopics(ctx context.Context, in *struct{ NextToken string }) (*listedTopics, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "sns:ListTopics", Resource: "*"}); err != nil {
		return nil, err
	}
	page, next, err := awswire.Page(s.all(), func(t *Topic) string { return t.Name }, in.NextToken, nil, maxListed)
	if err != nil {
		return nil, err
	}
	out := &listedTopics{Topics: []topicARN{}, NextToken: next}
	for _, t := range page {
		out.Topics = append(out.Topics, topicARN{s.ARN(t.Name)})
	}
	return out, nil
}

type subscription struct {
	SubscriptionArn string
	Owner           string
	Protocol        string
	Endpoint        string
	TopicArn        string
}

type listedSubscriptions struct {
	Subscriptions []subscription
	NextToken     string `json:",omitempty"`
}

func (s *Service) listed(topics []*Topic, token string) (*listedSubscriptions, error) {
	var all []subscription
	for _, t := range topics {
		for _, sub := range t.Subscriptions {
			all = append(all, subscription{sub.ARN, s.config.Account, sub.Protocol, sub.Endpoint, s.ARN(t.Name)})
		}
	}
	page, next, err := awswire.Page(all, func(sub subscription) string { return sub.SubscriptionArn }, token, nil, maxListed)
	if err != nil {
		return nil, err
	}
	return &listedSubscriptions{append([]subscription{}, page...), next}, nil
}

func (s *Service) listSubscriptions(ctx context.Context, in *struct{ NextToken string }) (*listedSubscriptions, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "sns:ListSubscriptions", Resource: "*"}); err != nil {
		return nil, err
	}
	return s.listed(s.all(), in.NextToken)
}

func (s *Service) listSubscriptionsByTopic(ctx context.Context, in *struct{ TopicArn, NextToken string }) (*listedSubscriptions, error) {
	if err := s.authorize(ctx, "ListSubscriptionsByTopic", in.TopicArn); err != nil {
		return nil, err
	}
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	return s.listed([]*Topic{t}, in.NextToken)
}

func (s *Service) subscribe(ctx context.Context, in *struct {
	TopicArn, Protocol, Endpoint string
	Attributes                   map[string]string
	ReturnSubscriptionArn        bool
}) (*struct{ SubscriptionArn string }, error) {
	if err := s.authorize(ctx, "Subscribe", in.TopicArn); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if name != "RawMessageDelivery" {
			return nil, invalid("attribute %s is not supported by the local environment", name)
		}
	}
	arn, err := s.Subscribe(in.TopicArn, Subscription{Protocol: in.Protocol, Endpoint: in.Endpoint, Raw: in.Attributes["RawMessageDelivery"] == "true"})
	return &struct{ SubscriptionArn string }{arn}, err
}

type subscriptionARN struct{ SubscriptionArn string }

func (s *Service) unsubscribe(ctx context.Context, in *subscriptionARN) (*none, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "sns:Unsubscribe", Resource: in.SubscriptionArn}); err != nil {
		return nil, err
	}
	return &none{}, s.Unsubscribe(in.SubscriptionArn)
}

func (s *Service) getSubscriptionAttributes(ctx context.Context, in *subscriptionARN) (*attributes, error) {
	if err := awswire.Authorize(ctx, awswire.Access{Action: "sns:GetSubscriptionAttributes", Resource: in.SubscriptionArn}); err != nil {
		return nil, err
	}
	for _, t := range s.all() {
		for _, sub := range t.Subscriptions {
			if sub.ARN == in.SubscriptionArn {
				return &attributes{map[string]string{
					"SubscriptionArn": sub.ARN, "TopicArn": s.ARN(t.Name), "Owner": s.config.Account, "Protocol": sub.Protocol, "Endpoint": sub.Endpoint,
					"PendingConfirmation": "false", "ConfirmationWasAuthenticated": "true", "RawMessageDelivery": fmt.Sprint(sub.Raw),
				}}, nil
			}
		}
	}
	return nil, &awswire.Error{Code: "NotFoundException", QueryCode: "NotFound", Status: 404, Message: "Subscription does not exist"}
}

func (s *Service) publishMessage(ctx context.Context, in *struct {
	TopicArn          string
	Subject           string
	Message           string
	MessageAttributes map[string]Attribute
}) (*struct{ MessageId string }, error) { //nolint:revive // the API's spelling
	if err := s.authorize(ctx, "Publish", in.TopicArn); err != nil {
		return nil, err
	}
	t, err := s.find(in.TopicArn)
	if err != nil {
		return nil, err
	}
	for name, a := range in.MessageAttributes {
		if a.DataType != "String" && a.DataType != "Number" {
			return nil, invalid("message attribute %s: type %q is not supported by the local environment: want String or Number", name, a.DataType)
		}
	}
	id, err := s.publish(t, Message{Subject: in.Subject, Text: in.Message, Attributes: in.MessageAttributes})
	return &struct{ MessageId string }{id}, err //nolint:revive // the API's spelling
}
