package tail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// account is whose resources are made: what their ARNs begin with.
type account struct{ partition, id, region string }

// callerAccount asks AWS for the account that the configuration reaches.
func callerAccount(ctx context.Context, cfg aws.Config) (account, error) {
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return account{}, fmt.Errorf("asking AWS for the caller's account: %w", err)
	}
	caller, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return account{}, fmt.Errorf("the caller's ARN %q: %w", aws.ToString(who.Arn), err)
	}
	return account{caller.Partition, aws.ToString(who.Account), cfg.Region}, nil
}

func (a account) arn(service, resource string) string {
	return arn.ARN{Partition: a.partition, Service: service, Region: a.region, AccountID: a.id, Resource: resource}.String()
}

// ruleARN is the ARN of a rule; the default bus has no part in it.
func (a account) ruleARN(bus, rule string) string {
	if bus != defaultBus {
		rule = bus + "/" + rule
	}
	return a.arn("events", "rule/"+rule)
}

// defaultBus is the account's own bus.
const defaultBus = "default"

// tools are the clients that a tail works with.
type tools struct {
	account account
	events  *eventbridge.Client
	queues  *sqs.Client
	// receiving does not retry: a tail does so itself, and says so.
	receiving *sqs.Client
}

func newTools(cfg aws.Config, account account) *tools {
	return &tools{
		account: account,
		events: eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) {
			// What EventBridge answers while it still works on the last change
			// of the rule; the SDK does not count it as transient.
			o.Retryer = retry.AddWithErrorCodes(retry.NewStandard(), "ConcurrentModificationException")
		}),
		queues:    sqs.NewFromConfig(cfg),
		receiving: sqs.NewFromConfig(cfg, func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }),
	}
}

// pipe is a rule and its queue, of one name.
type pipe struct {
	*tools
	label label
	name  string
	url   string // of the queue, once known
	made  time.Time
}

func (t *tools) pipe(l label, name string) *pipe { return &pipe{tools: t, label: l, name: name} }

// callTimeout bounds the making of a pipe, and the removing of one.
const callTimeout = 10 * time.Second

// targetID is the id of the rule's one target.
const targetID = "tail"

// make makes the queue, the rule, and the rule's target. A step that has begun
// is not cut short when ctx ends: else nobody would know whether it still
// happens, after the removing perhaps.
func (p *pipe) make(ctx context.Context, pattern string) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"making queue " + p.name, p.makeQueue},
		{"making rule " + p.name + " on bus " + p.label.bus, func(ctx context.Context) error { return p.makeRule(ctx, pattern) }},
		{"giving rule " + p.name + " its queue", p.makeTarget},
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
	p.made = time.Now()
	return nil
}

func (p *pipe) makeQueue(ctx context.Context) error {
	out, err := p.queues.CreateQueue(ctx, &sqs.CreateQueueInput{
		QueueName: &p.name,
		Attributes: map[string]string{
			"Policy": p.policy(),
			// Nobody comes back for what was not shown.
			"MessageRetentionPeriod": "3600",
		},
		Tags: p.label.tags(),
	})
	if err == nil {
		p.url = aws.ToString(out.QueueUrl)
	}
	return err
}

// policy admits the rule, and nothing else, to the queue.
func (p *pipe) policy() string {
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect":    "Allow",
			"Principal": map[string]string{"Service": "events.amazonaws.com"},
			"Action":    "sqs:SendMessage",
			"Resource":  p.queueARN(),
			"Condition": map[string]any{"ArnEquals": map[string]string{"aws:SourceArn": p.account.ruleARN(p.label.bus, p.name)}},
		}},
	})
	if err != nil {
		panic(err) // strings only
	}
	return string(policy)
}

func (p *pipe) queueARN() string { return p.account.arn("sqs", p.name) }

func (p *pipe) makeRule(ctx context.Context, pattern string) error {
	tags := []eventbridgetypes.Tag{}
	for k, v := range p.label.tags() {
		tags = append(tags, eventbridgetypes.Tag{Key: &k, Value: &v})
	}
	_, err := p.events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &p.name, EventBusName: &p.label.bus, EventPattern: &pattern,
		// The tags again, since ListRules gives the description and no tags.
		Description: aws.String(p.label.describe()),
		Tags:        tags,
	})
	return err
}

func (p *pipe) makeTarget(ctx context.Context) error {
	out, err := p.events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		Rule: &p.name, EventBusName: &p.label.bus,
		Targets: []eventbridgetypes.Target{{Id: aws.String(targetID), Arn: aws.String(p.queueARN())}},
	})
	if err == nil && out.FailedEntryCount > 0 {
		failed := out.FailedEntries[0]
		return fmt.Errorf("%s: %s", aws.ToString(failed.ErrorCode), aws.ToString(failed.ErrorMessage))
	}
	return err
}

// remove removes what there is of the pipe; what there is not, is no error. The
// queue goes last, and only once the rule is gone: so where a rule is left, its
// queue is left too, and tells the next start of it.
func (p *pipe) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var noRule *eventbridgetypes.ResourceNotFoundException
	_, err := p.events.RemoveTargets(ctx, &eventbridge.RemoveTargetsInput{Rule: &p.name, EventBusName: &p.label.bus, Ids: []string{targetID}})
	if err != nil && !errors.As(err, &noRule) {
		return err
	}
	_, err = p.events.DeleteRule(ctx, &eventbridge.DeleteRuleInput{Name: &p.name, EventBusName: &p.label.bus})
	if err != nil && !errors.As(err, &noRule) {
		return err
	}
	var noQueue *sqstypes.QueueDoesNotExist
	if p.url == "" {
		found, err := p.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &p.name})
		if errors.As(err, &noQueue) {
			return nil
		}
		if err != nil {
			return err
		}
		p.url = aws.ToString(found.QueueUrl)
	}
	_, err = p.queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &p.url})
	if err != nil && !errors.As(err, &noQueue) {
		return err
	}
	return nil
}

// label says whose a pipe is, and until when.
type label struct {
	owner   string // user@host
	process string // as processID gives it
	bus     string
	expires time.Time
}

// What the tags are called.
const (
	tagOwner   = "penstock:owner"
	tagProcess = "penstock:process"
	tagBus     = "penstock:bus"
	tagExpires = "penstock:expires"
)

func newLabel(me identity, bus string, now time.Time) label {
	return label{owner: me.owner, process: me.process, bus: bus, expires: now.Add(MaxAge).UTC().Truncate(time.Second)}
}

func (l label) tags() map[string]string {
	return map[string]string{tagOwner: l.owner, tagProcess: l.process, tagBus: l.bus, tagExpires: l.expires.Format(time.RFC3339)}
}

// describe is the label as one line. People read it, and readDescription.
func (l label) describe() string {
	text, err := json.Marshal(l.tags())
	if err != nil {
		panic(err) // strings only
	}
	return descriptionPrefix + string(text)
}

const descriptionPrefix = "A temporary rule of penstock tail: "

// readTags reads a label from tags. What has not all of them is not a tail's.
func readTags(tags map[string]string) (label, bool) {
	l := label{owner: tags[tagOwner], process: tags[tagProcess], bus: tags[tagBus]}
	var err error
	l.expires, err = time.Parse(time.RFC3339, tags[tagExpires])
	return l, err == nil && l.owner != "" && l.process != "" && l.bus != ""
}

// readDescription reads a label from a rule's description.
func readDescription(text string) (label, bool) {
	text, ok := strings.CutPrefix(text, descriptionPrefix)
	if !ok {
		return label{}, false
	}
	var tags map[string]string
	if json.Unmarshal([]byte(text), &tags) != nil {
		return label{}, false
	}
	return readTags(tags)
}
