// Package sns is Amazon SNS as far as notifications need it: standard topics
// with their policies, and subscriptions by email, SQS queue and Lambda function.
// FIFO topics, filter policies, other protocols and message structures are
// refused by name.
//
// A published message is handed to every subscription before its publishing is
// acknowledged: to a queue or function durably, and an email is shown to whoever
// runs the environment, since none is sent. So nobody confirms subscriptions
// either: they are confirmed when they are made. Messages are not signed.
package sns

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/infra/local/internal/awswire"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
	"github.com/penstock-dev/penstock/infra/local/internal/store"
	"github.com/penstock-dev/penstock/infra/local/meter"
)

// Queues is what topics need of SQS.
type Queues interface {
	// Send sends a message on behalf of a topic, as sns.amazonaws.com. It is
	// durable when Send returns without an error.
	Send(queueARN, topicARN, body string) error
}

// Functions is what topics need of Lambda.
type Functions interface {
	// Invoke invokes a function asynchronously on behalf of a topic, as
	// sns.amazonaws.com.
	Invoke(functionARN, topicARN string, event []byte) error
}

// Config says where a service's topics are, and where their messages go.
type Config struct {
	Account   string
	Region    string
	Queues    Queues
	Functions Functions
	// Mail is given what AWS would send by email.
	Mail   func(address, subject, message string)
	Meter  *meter.Meter // where what is billed is counted; nil: nowhere
	Logger *slog.Logger
}

// Service holds the topics of one account and region. It is safe for concurrent
// use. The zero value is not usable: call [New].
type Service struct {
	config Config
	store  *store.Store

	mu     sync.Mutex
	topics map[string]*Topic // by name; a topic is replaced, never changed
}

// Topic is a topic with its subscriptions.
type Topic struct {
	Name          string
	DisplayName   string // the sender's name in emails
	Policy        string // JSON; empty: the default one
	Tags          map[string]string
	Subscriptions []Subscription

	policy *policy.Policy
}

// Subscription is where a topic's messages go.
type Subscription struct {
	ARN      string
	Protocol string // email, sqs or lambda
	Endpoint string // an address, or an ARN
	// Raw says that a queue gets the message by itself, without what SNS tells
	// of it.
	Raw bool `json:",omitempty"`
}

// New returns the service with the topics that the store holds.
func New(st *store.Store, config Config) (*Service, error) {
	s := &Service{config: config, store: st, topics: map[string]*Topic{}}
	for e, err := range st.Scan(store.Prefix(topicKey())) {
		if err != nil {
			return nil, err
		}
		t := &Topic{}
		if err := json.Unmarshal(e.Value, t); err != nil {
			return nil, fmt.Errorf("sns: a topic in the store: %w", err)
		}
		if t.policy, err = parsePolicy(t.Policy); err != nil {
			return nil, fmt.Errorf("sns: topic %q in the store: %w", t.Name, err)
		}
		s.topics[t.Name] = t
	}
	return s, nil
}

func topicKey() store.Key { return store.NewKey("sns.topic") }

// ARN returns the ARN of the topic with the given name.
func (s *Service) ARN(name string) string {
	return fmt.Sprintf("arn:aws:sns:%s:%s:%s", s.config.Region, s.config.Account, name)
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func invalid(format string, args ...any) *awswire.Error {
	e := awswire.Errorf("InvalidParameterException", "Invalid parameter: "+format, args...)
	e.QueryCode = "InvalidParameter"
	return e
}

func noSuchTopic(arn string) error {
	return &awswire.Error{Code: "NotFoundException", QueryCode: "NotFound", Status: 404, Message: fmt.Sprintf("Topic %s does not exist", arn)}
}

func parsePolicy(document string) (*policy.Policy, error) {
	if document == "" {
		return nil, nil
	}
	p, err := policy.Parse([]byte(document))
	if err != nil {
		return nil, invalid("Policy: %v", err)
	}
	return p, nil
}

// EnsureTopic makes a topic, or gives an existing one this display name and these
// tags.
func (s *Service) EnsureTopic(name, displayName string, tags map[string]string) error {
	if !validName.MatchString(name) || strings.HasSuffix(name, ".fifo") {
		return invalid("Topic Name %q: want 1 to 256 letters, digits, hyphens and underscores (FIFO topics are not supported by the local environment)", name)
	}
	if len(displayName) > 100 {
		return invalid("DisplayName: 100 characters at most (got %d)", len(displayName))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := Topic{Name: name}
	if is := s.topics[name]; is != nil {
		next = *is
	}
	next.DisplayName, next.Tags = displayName, tags
	return s.save(&next)
}

// Exists reports whether there is a topic with the given name.
func (s *Service) Exists(name string) bool {
	_, err := s.find(s.ARN(name))
	return err == nil
}

// DeleteTopic removes a topic and its subscriptions. One that does not exist is
// not an error.
func (s *Service) DeleteTopic(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.store.NewBatch()
	b.Delete(topicKey().String(name))
	if err := b.Commit(); err != nil {
		return err
	}
	delete(s.topics, name)
	return nil
}

// SetPolicy gives a topic a policy; an empty one is the default.
func (s *Service) SetPolicy(topicARN, document string) error {
	parsed, err := parsePolicy(document)
	if err != nil {
		return err
	}
	return s.change(topicARN, func(t *Topic) error {
		t.Policy, t.policy = document, parsed
		return nil
	})
}

// Subscribe adds a subscription, or finds the one of the same protocol and
// endpoint, and returns its ARN.
func (s *Service) Subscribe(topicARN string, sub Subscription) (string, error) {
	switch {
	case sub.Protocol == "email" && strings.Contains(sub.Endpoint, "@"):
	case sub.Protocol == "sqs" && strings.HasPrefix(sub.Endpoint, "arn:aws:sqs:"):
	case sub.Protocol == "lambda" && strings.HasPrefix(sub.Endpoint, "arn:aws:lambda:"):
	case !slices.Contains([]string{"email", "sqs", "lambda"}, sub.Protocol):
		return "", invalid("Protocol %q is not supported by the local environment: want email, sqs or lambda", sub.Protocol)
	default:
		return "", invalid("Endpoint %q is not one of protocol %s", sub.Endpoint, sub.Protocol)
	}
	if sub.Raw && sub.Protocol != "sqs" {
		return "", invalid("RawMessageDelivery is of protocol sqs only (got %s)", sub.Protocol)
	}
	err := s.change(topicARN, func(t *Topic) error {
		i := slices.IndexFunc(t.Subscriptions, func(is Subscription) bool { return is.Protocol == sub.Protocol && is.Endpoint == sub.Endpoint })
		if i >= 0 {
			sub.ARN = t.Subscriptions[i].ARN
			t.Subscriptions[i] = sub
			return nil
		}
		sub.ARN = topicARN + ":" + uuid.NewString()
		t.Subscriptions = append(t.Subscriptions, sub)
		return nil
	})
	return sub.ARN, err
}

// Unsubscribe removes a subscription. One that does not exist is not an error.
func (s *Service) Unsubscribe(subscriptionARN string) error {
	topicARN := subscriptionARN[:max(0, strings.LastIndex(subscriptionARN, ":"))]
	err := s.change(topicARN, func(t *Topic) error {
		t.Subscriptions = slices.DeleteFunc(t.Subscriptions, func(sub Subscription) bool { return sub.ARN == subscriptionARN })
		return nil
	})
	if refused := (*awswire.Error)(nil); errors.As(err, &refused) && refused.Status == 404 {
		return nil
	}
	return err
}

// UnsubscribeEndpoint removes the subscription of a protocol and endpoint. One
// that does not exist is not an error.
func (s *Service) UnsubscribeEndpoint(topicARN, protocol, endpoint string) error {
	t, err := s.find(topicARN)
	if err != nil {
		return nil //nolint:nilerr // it went with its topic
	}
	for _, sub := range t.Subscriptions {
		if sub.Protocol == protocol && sub.Endpoint == endpoint {
			return s.Unsubscribe(sub.ARN)
		}
	}
	return nil
}

// change replaces a topic by what edit makes of a copy of it.
func (s *Service) change(topicARN string, edit func(*Topic) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	is, err := s.lookup(topicARN)
	if err != nil {
		return err
	}
	next := *is
	next.Subscriptions = slices.Clone(is.Subscriptions)
	if err := edit(&next); err != nil {
		return err
	}
	return s.save(&next)
}

// save makes a topic durable, and puts it in place. The caller holds mu.
func (s *Service) save(t *Topic) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	b := s.store.NewBatch()
	b.Set(topicKey().String(t.Name), text)
	if err := b.Commit(); err != nil {
		return err
	}
	s.topics[t.Name] = t
	return nil
}

func (s *Service) find(topicARN string) (*Topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lookup(topicARN)
}

// lookup is find for a caller that holds mu.
func (s *Service) lookup(topicARN string) (*Topic, error) {
	name, ok := strings.CutPrefix(topicARN, s.ARN(""))
	if t := s.topics[name]; ok && t != nil {
		return t, nil
	}
	return nil, noSuchTopic(topicARN)
}

// all returns the topics in the order of their names.
func (s *Service) all() []*Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.topics), func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
}

// timestamp is how SNS writes times.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
