package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-dev/penstock/events/penstock"
	"github.com/penstock-dev/penstock/functions/system/breaker/stops"
	"github.com/penstock-dev/penstock/infra/names"
)

type clients struct {
	lambda     *lambda.Client
	events     *eventbridge.Client
	sqs        *sqs.Client
	cloudwatch *cloudwatch.Client
	dynamodb   *dynamodb.Client
}

func newClients(config aws.Config) clients {
	return clients{lambda.NewFromConfig(config), eventbridge.NewFromConfig(config), sqs.NewFromConfig(config), cloudwatch.NewFromConfig(config), dynamodb.NewFromConfig(config)}
}

// The states of a subscription. One that is changing has Lambda's own word for
// it, such as "enabling" or "disabling".
const (
	Enabled     = "enabled"
	Disabled    = "disabled"     // by a person, or by its manifest
	Stopped     = "stopped"      // by the breaker
	NotDeployed = "not deployed" // it has no event source mapping
	Deleted     = "deleted"      // its queue collects events
)

// Live is a subscription as it is in the environment.
type Live struct {
	Subscription
	State   string
	Stop    *Stop    // nil if no record says that it is stopped
	Mapping *Mapping // nil if there is none
	Figures Figures
	Drift   []Difference // in what it differs from the manifest
}

// Stop is who stopped a subscription, and why.
type Stop struct {
	Since   time.Time
	By      string // "breaker", or a person's AWS identity
	Reason  string
	ProbeAt time.Time // when the breaker tries it again; zero: never
}

// Mapping is a subscription's event source mapping.
type Mapping struct {
	UUID           string
	State          string // Lambda's word, in lower case
	BatchSize      int
	WindowSeconds  int
	MaxConcurrency int // 0: no limit
}

// Figures are what waits in a subscription's queues.
type Figures struct {
	Backlog int // in the queue, to be received
	// InFlight is how many the function has, or waits to get again; only Get
	// tells it.
	InFlight  int
	OldestAge time.Duration // of the queue's oldest, to the second; those received three times or more do not count
	DLQ       int
	RuleDLQ   int

	// Exact says that SQS itself was asked for the numbers. OldestAge, and
	// otherwise all of them, are CloudWatch's.
	Exact bool
	// Unknown is why CloudWatch did not tell its figures, which then are 0: a
	// permission that is missing, for example. Nil if it did.
	Unknown error
	// MeasuredAt is the minute of what CloudWatch says; zero where it says
	// nothing, as of queues that nobody has used for six hours.
	MeasuredAt time.Time
}

// List returns the environment's subscriptions as they are: those of the
// manifests in their order, then those that are deployed and in no manifest. The
// figures are CloudWatch's, which has them by the minute, some minutes late.
func (e *Environment) List(ctx context.Context) ([]Live, error) {
	var mappings []types.EventSourceMappingConfiguration
	var rules map[string]eventtypes.Rule
	var records []stops.Record
	group, each := errgroup.WithContext(ctx)
	group.Go(func() (err error) { mappings, err = e.mappings(each, ""); return err })
	group.Go(func() (err error) { rules, err = e.rules(each, e.Names.Bus()+"-"); return err })
	group.Go(func() (err error) { records, err = e.records(each); return err })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(e.Declared, e.orphans(mappings))
	figures := e.measure(ctx, all)
	out := make([]Live, len(all))
	for i, s := range all {
		out[i] = e.live(s, mappings, records)
		out[i].Figures = figures[i]
		out[i].Drift = out[i].drift(rules)
	}
	return out, nil
}

// Get returns a subscription as it is. The numbers of messages are SQS's own, and
// approximate as those are; the age of the oldest is CloudWatch's.
func (e *Environment) Get(ctx context.Context, s Subscription) (Live, error) {
	var mappings []types.EventSourceMappingConfiguration
	var rules map[string]eventtypes.Rule
	var records []stops.Record
	var measured []Figures
	var queues [3]map[string]string
	group, each := errgroup.WithContext(ctx)
	group.Go(func() (err error) { mappings, err = e.mappings(each, s.Lambda); return err })
	group.Go(func() (err error) { rules, err = e.rules(each, s.Rule); return err })
	group.Go(func() (err error) { records, err = e.records(each); return err })
	group.Go(func() error { measured = e.measure(each, []Subscription{s}); return nil })
	for i, queue := range []string{s.Queue, s.DLQ, s.RuleDLQ} {
		group.Go(func() (err error) { queues[i], err = e.queue(each, queue); return err })
	}
	if err := group.Wait(); err != nil {
		return Live{}, err
	}
	out := e.live(s, mappings, records)
	count := func(queue int, attribute sqstypes.QueueAttributeName) int {
		n, _ := strconv.Atoi(queues[queue][string(attribute)]) // a queue that is not there has no messages
		return n
	}
	out.Figures = Figures{
		Backlog:   count(0, sqstypes.QueueAttributeNameApproximateNumberOfMessages),
		InFlight:  count(0, sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		DLQ:       count(1, sqstypes.QueueAttributeNameApproximateNumberOfMessages),
		RuleDLQ:   count(2, sqstypes.QueueAttributeNameApproximateNumberOfMessages),
		OldestAge: measured[0].OldestAge, MeasuredAt: measured[0].MeasuredAt, Unknown: measured[0].Unknown, Exact: true,
	}
	out.Drift = slices.Concat(out.drift(rules), out.queueDrift(queues[0]))
	return out, nil
}

// records returns who stopped which subscription. Without the table that has them,
// nobody has stopped any.
func (e *Environment) records(ctx context.Context) ([]stops.Record, error) {
	records, err := e.Switch().All(ctx)
	if missing := (*ddbtypes.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		return nil, nil
	}
	return records, err
}

// Backlog asks SQS how many events wait in a subscription's queue to be received.
func (e *Environment) Backlog(ctx context.Context, s Subscription) (int, error) {
	attributes, err := e.queue(ctx, s.Queue)
	n, _ := strconv.Atoi(attributes[string(sqstypes.QueueAttributeNameApproximateNumberOfMessages)]) // a queue that is not there has none
	return n, err
}

// mappings returns the event source mappings of a function; those of all where
// none is named. A function that is not deployed has none.
func (e *Environment) mappings(ctx context.Context, function string) ([]types.EventSourceMappingConfiguration, error) {
	in := &lambda.ListEventSourceMappingsInput{MaxItems: aws.Int32(100)}
	if function != "" {
		in.FunctionName = &function
	}
	var all []types.EventSourceMappingConfiguration
	pages := lambda.NewListEventSourceMappingsPaginator(e.clients.lambda, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, page.EventSourceMappings...)
	}
	return all, nil
}

// rules returns the rules of the environment's bus whose names begin with a
// prefix, by name. A bus that is not deployed has none.
func (e *Environment) rules(ctx context.Context, prefix string) (map[string]eventtypes.Rule, error) {
	all := map[string]eventtypes.Rule{}
	in := &eventbridge.ListRulesInput{EventBusName: aws.String(e.Names.Bus()), NamePrefix: &prefix, Limit: aws.Int32(100)}
	for {
		page, err := e.clients.events.ListRules(ctx, in)
		if missing := (*eventtypes.ResourceNotFoundException)(nil); errors.As(err, &missing) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, r := range page.Rules {
			all[aws.ToString(r.Name)] = r
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}

// queue returns the attributes of a queue; none of one that is not there.
func (e *Environment) queue(ctx context.Context, queue string) (map[string]string, error) {
	at, err := e.clients.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &queue})
	if err == nil {
		var out *sqs.GetQueueAttributesOutput
		out, err = e.clients.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: at.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
		if err == nil {
			return out.Attributes, nil
		}
	}
	if missing := (*sqstypes.QueueDoesNotExist)(nil); errors.As(err, &missing) {
		return nil, nil
	}
	return nil, fmt.Errorf("queue %s: %w", queue, err)
}

// live is what mappings and records tell of a subscription.
func (e *Environment) live(s Subscription, mappings []types.EventSourceMappingConfiguration, records []stops.Record) Live {
	out := Live{Subscription: s, State: NotDeployed}
	for i := range mappings {
		if fn, queue := ends(&mappings[i]); fn == s.Lambda && queue == s.Queue {
			out.Mapping = mapping(&mappings[i])
			out.State = out.Mapping.State
		}
	}
	if out.Mapping == nil {
		if s.Deleted() {
			out.State = Deleted
		}
		return out
	}
	i := slices.IndexFunc(records, func(r stops.Record) bool { return r.Stopped && r.String() == s.String() })
	if i < 0 {
		return out
	}
	r := records[i]
	out.State, out.Stop = Disabled, &Stop{Since: r.Since, By: r.Person, Reason: r.Reason, ProbeAt: r.ProbeAt}
	if r.By == penstock.ActorBreaker {
		out.State, out.Stop.By = Stopped, names.Breaker
	}
	return out
}

// ends are the names of the function and the queue that a mapping connects.
func ends(m *types.EventSourceMappingConfiguration) (function, queue string) {
	fn, source := strings.Split(aws.ToString(m.FunctionArn), ":"), aws.ToString(m.EventSourceArn)
	if len(fn) < 7 || !strings.Contains(source, ":sqs:") { // arn:aws:lambda:REGION:ACCOUNT:function:NAME[:VERSION]
		return "", ""
	}
	return fn[6], source[strings.LastIndexByte(source, ':')+1:]
}

func mapping(m *types.EventSourceMappingConfiguration) *Mapping {
	out := &Mapping{
		UUID: aws.ToString(m.UUID), State: strings.ToLower(aws.ToString(m.State)),
		BatchSize: int(aws.ToInt32(m.BatchSize)), WindowSeconds: int(aws.ToInt32(m.MaximumBatchingWindowInSeconds)),
	}
	if m.ScalingConfig != nil {
		out.MaxConcurrency = int(aws.ToInt32(m.ScalingConfig.MaximumConcurrency))
	}
	return out
}

// orphans are the subscriptions that mappings of the environment's functions are
// of, and that no manifest has. The programs of Penstock's own have none.
func (e *Environment) orphans(mappings []types.EventSourceMappingConfiguration) []Subscription {
	var found []Subscription
	for i := range mappings {
		function, queue := ends(&mappings[i])
		fn, ours := strings.CutPrefix(function, e.Names.Function(""))
		sub, also := strings.CutPrefix(queue, function+"-")
		if !ours || !also || names.Reserved(fn) || slices.ContainsFunc(e.Declared, func(s Subscription) bool { return s.Lambda == function && s.Queue == queue }) {
			continue
		}
		found = append(found, name(e.Names, fn, sub))
	}
	slices.SortFunc(found, func(a, b Subscription) int { return strings.Compare(a.String(), b.String()) })
	return found
}
