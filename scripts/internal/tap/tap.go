// Package tap listens to a bus for a while. A bus can only be listened to by a
// rule, so a tap is a temporary rule, and an SQS queue of the same name as its
// target.
//
// A tap says whose it is and when it expires, in the tags of its queue and in
// the description of its rule: whatever ends the program that made it, what is
// left is found by its name, and a later program can tell whether anybody still
// wants it.
package tap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Account is whose resources are made: what their ARNs begin with.
type Account struct{ Partition, ID, Region string }

// callerAccount asks AWS for the account that the configuration reaches.
func callerAccount(ctx context.Context, cfg aws.Config) (Account, error) {
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Account{}, fmt.Errorf("asking AWS for the caller's account: %w", err)
	}
	caller, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return Account{}, fmt.Errorf("the caller's ARN %q: %w", aws.ToString(who.Arn), err)
	}
	return Account{caller.Partition, aws.ToString(who.Account), cfg.Region}, nil
}

// ARN composes the ARN of a resource of the account.
func (a Account) ARN(service, resource string) string {
	return arn.ARN{Partition: a.Partition, Service: service, Region: a.Region, AccountID: a.ID, Resource: resource}.String()
}

// RuleARN is the ARN of a rule; the default bus has no part in it.
func (a Account) RuleARN(bus, rule string) string {
	if bus != DefaultBus {
		rule = bus + "/" + rule
	}
	return a.ARN("events", "rule/"+rule)
}

// DefaultBus is the account's own bus.
const DefaultBus = "default"

// Client makes taps, and finds those that are left. It is safe for concurrent
// use.
type Client struct {
	Account Account
	Events  *eventbridge.Client
	Queues  *sqs.Client
}

// NewClient asks AWS whose account it works in.
func NewClient(ctx context.Context, cfg aws.Config) (*Client, error) {
	account, err := callerAccount(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Client{
		Account: account,
		Events: eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) {
			// What EventBridge answers while it still works on the last change
			// of the rule; the SDK does not count it as transient.
			o.Retryer = retry.AddWithErrorCodes(retry.NewStandard(), "ConcurrentModificationException")
		}),
		Queues: sqs.NewFromConfig(cfg),
	}, nil
}

// Tap is a rule and its queue, of one name.
type Tap struct {
	*Client
	Label Label
	Name  string
	URL   string    // of the queue, once known
	Made  time.Time // when Make had made it
	// Tags are all of the queue's, of a tap that was found.
	Tags map[string]string
}

// Tap is a tap of that name, which may not exist yet.
func (c *Client) Tap(l Label, name string) *Tap { return &Tap{Client: c, Label: l, Name: name} }

// Spec says what a tap is to bring.
type Spec struct {
	Pattern string // the rule's event pattern
	// Retention is how long an event waits in the queue: 1 minute to 14 days
	// ("CreateQueue", Amazon SQS API reference).
	Retention time.Duration
	// Form is a target whose input transformation the rule's own has too; nil: the
	// events as they are.
	Form *eventbridgetypes.Target
	// Tags are what the queue is tagged with besides its label.
	Tags map[string]string
}

// callTimeout bounds the making of a tap, and the removing of one.
const callTimeout = 10 * time.Second

// targetID is the id of the rule's one target.
const targetID = "tap"

// Make makes the queue, the rule, and the rule's target; what is there already,
// in this form, stays. A step that has begun is not cut short when ctx ends: else
// nobody would know whether it still happens, after the removing perhaps.
func (t *Tap) Make(ctx context.Context, spec Spec) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"making queue " + t.Name, func(ctx context.Context) error { return t.makeQueue(ctx, spec) }},
		{"making rule " + t.Name + " on bus " + t.Label.Bus, func(ctx context.Context) error { return t.makeRule(ctx, spec.Pattern) }},
		{"giving rule " + t.Name + " its queue", func(ctx context.Context) error { return t.makeTarget(ctx, spec.Form) }},
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		err := step.do(bounded)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	t.Made = time.Now()
	return nil
}

func (t *Tap) makeQueue(ctx context.Context, spec Spec) error {
	tags := t.Label.tags()
	maps.Copy(tags, spec.Tags)
	out, err := t.Queues.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &t.Name,
		Attributes: map[string]string{
			"Policy":                 t.policy(),
			"MessageRetentionPeriod": strconv.Itoa(int(spec.Retention.Seconds())),
		},
		Tags: tags,
	})
	if err == nil {
		t.URL = aws.ToString(out.QueueUrl)
	}
	return err
}

// policy admits the rule, and nothing else, to the queue.
func (t *Tap) policy() string {
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect":    "Allow",
			"Principal": map[string]string{"Service": "events.amazonaws.com"},
			"Action":    "sqs:SendMessage",
			"Resource":  t.queueARN(),
			"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": t.RuleARN()}},
		}},
	})
	if err != nil {
		panic(err) // strings only
	}
	return string(policy)
}

func (t *Tap) queueARN() string { return t.Account.ARN("sqs", t.Name) }

// RuleARN is the ARN of the tap's rule.
func (t *Tap) RuleARN() string { return t.Account.RuleARN(t.Label.Bus, t.Name) }

func (t *Tap) makeRule(ctx context.Context, pattern string) error {
	tags := []eventbridgetypes.Tag{}
	for k, v := range t.Label.tags() {
		tags = append(tags, eventbridgetypes.Tag{Key: &k, Value: &v})
	}
	_, err := t.Events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &t.Name, EventBusName: &t.Label.Bus, EventPattern: &pattern,
		// The tags again, since ListRules gives the description and no tags.
		Description: aws.String(t.Label.describe()),
		Tags:        tags,
	})
	return err
}

func (t *Tap) makeTarget(ctx context.Context, form *eventbridgetypes.Target) error {
	target := eventbridgetypes.Target{Id: aws.String(targetID), Arn: aws.String(t.queueARN())}
	if form != nil {
		target.Input, target.InputPath, target.InputTransformer = form.Input, form.InputPath, form.InputTransformer
	}
	out, err := t.Events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: &t.Name, EventBusName: &t.Label.Bus,
		Targets: []eventbridgetypes.Target{target},
	})
	if err == nil && out.FailedEntryCount > 0 {
		failed := out.FailedEntries[0]
		return fmt.Errorf("%s: %s", aws.ToString(failed.ErrorCode), aws.ToString(failed.ErrorMessage))
	}
	return err
}

// Remove removes what there is of the tap; what there is not, is no error. The
// queue goes last, and only once the rule is gone: so where a rule is left, its
// queue is left too, and tells the next start of it.
func (t *Tap) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var noRule *eventbridgetypes.ResourceNotFoundException
	_, err := t.Events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &t.Name, EventBusName: &t.Label.Bus, Ids: []string{targetID}})
	if err != nil && !errors.As(err, &noRule) {
		return err
	}
	_, err = t.Events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &t.Name, EventBusName: &t.Label.Bus})
	if err != nil && !errors.As(err, &noRule) {
		return err
	}
	var noQueue *sqstypes.QueueDoesNotExist
	if t.URL == "" {
		found, err := t.Queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &t.Name})
		if errors.As(err, &noQueue) {
			return nil
		}
		if err != nil {
			return err
		}
		t.URL = aws.ToString(found.QueueUrl)
	}
	_, err = t.Queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &t.URL})
	if err != nil && !errors.As(err, &noQueue) {
		return err
	}
	return nil
}
