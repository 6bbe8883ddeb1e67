// Package scenarios holds small pieces of behaviour of the AWS services that
// Penstock uses, each written once against the AWS SDK. The same list runs
// against the local environment, against an independent implementation of the
// APIs, and against AWS itself; what they answer is compared, so that the local
// environment's idea of AWS is not only its own.
//
// A [Scenario] makes what it needs under names of its own, calls the service,
// and removes what it made. It asserts nothing: what was answered is written
// down as a [Transcript], in which ids, times and the like are replaced by what
// stays the same between two runs. Two transcripts of a scenario are the same
// exactly if a program could not have told the two places apart by it.
//
// What the APIs under test cannot make everywhere (tables, functions, log
// groups) is in a stack that is deployed once, from [Template].
package scenarios

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
)

// Target is a place where scenarios run.
type Target struct {
	// Config reaches it. Its credentials may do everything that the scenarios
	// do.
	Config aws.Config
	// Stack is the name of a stack that was deployed from [Template].
	Stack string
	// Prefix begins the names of all that is made: letters, digits and hyphens,
	// at most 20. Runs at the same time have different ones.
	Prefix string
	// OldCloudWatch speaks to CloudWatch in its query protocol, for a place that
	// does not know its newer one.
	OldCloudWatch bool
}

// Scenario is one small piece of behaviour.
type Scenario struct {
	// Service is the service that it is about: sqs, events, dynamodb, secrets,
	// lambda, logs, cloudwatch, cloudformation or sts.
	Service string
	// Name says what happens, and differs from any other of the service.
	Name string

	play func(*run)
}

// All returns every scenario, service by service.
func All() []Scenario {
	return slices.Concat(queues(), messages(), redrives(), eventBuses(), patterns(), deliveries(), archives(), items(), expressions(),
		pages(), batches(), transactions(), secrets(), functions(), groups(), alarms(), stacks(), identities())
}

// scenarios makes the scenarios of a service.
func scenarios(service string, list ...Scenario) []Scenario {
	for i := range list {
		list[i].Service = service
	}
	return list
}

// timeout bounds a scenario; the longest waits for a few timeouts of a second.
const timeout = time.Minute

// Run plays a scenario, removes what it made, and returns what it observed. An
// error means that it could not be played to its end: an answer that is an error
// of the API is an observation, and not an error here.
func (s Scenario) Run(ctx context.Context, target Target) (_ Transcript, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	prefix := target.Prefix + "-" + s.slug()
	r := &run{
		ctx: ctx, target: target, prefix: prefix, transcript: newRecorder(target, prefix),
		sqs:     sqs.NewFromConfig(target.Config),
		events:  eventbridge.NewFromConfig(target.Config),
		db:      dynamodb.NewFromConfig(target.Config),
		secrets: secretsmanager.NewFromConfig(target.Config),
		lambda:  lambda.NewFromConfig(target.Config),
		logs:    cloudwatchlogs.NewFromConfig(target.Config),
		metrics: cloudwatch.NewFromConfig(target.Config, func(o *cloudwatch.Options) {
			if target.OldCloudWatch {
				o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801)
			}
		}),
		stacks: cloudformation.NewFromConfig(target.Config),
		sts:    sts.NewFromConfig(target.Config),
	}
	defer func() {
		if broken := recover(); broken != nil {
			b, ok := broken.(breakdown)
			if !ok {
				panic(broken)
			}
			err = b.err
		}
		// Removing goes on when the time is up.
		r.ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		for _, remove := range slices.Backward(r.cleanups) {
			err = errors.Join(err, remove())
		}
		if err != nil {
			err = fmt.Errorf("scenario %s: %s: %w", s.Service, s.Name, err)
		}
	}()
	s.play(r)
	return r.transcript.lines, nil
}

// slug is a short name made of the scenario's, for the names of what it makes.
func (s Scenario) slug() string {
	sum := fnv.New32a() // the same in every run
	_, _ = sum.Write([]byte(s.Service + s.Name))
	return fmt.Sprintf("%08x", sum.Sum32())
}

// run is a scenario being played.
type run struct {
	ctx        context.Context
	target     Target
	prefix     string
	transcript *recorder
	cleanups   []func() error

	sqs     *sqs.Client
	events  *eventbridge.Client
	db      *dynamodb.Client
	secrets *secretsmanager.Client
	lambda  *lambda.Client
	logs    *cloudwatchlogs.Client
	metrics *cloudwatch.Client
	stacks  *cloudformation.Client
	sts     *sts.Client
}

// breakdown is what a run panics with when it cannot go on, so that a scenario
// reads as a plain list of calls. Run recovers it.
type breakdown struct{ err error }

func (r *run) fail(format string, args ...any) { panic(breakdown{fmt.Errorf(format, args...)}) }

// must ends the scenario unless err is nil: for the calls that only prepare.
func must[T any](out T, err error) T {
	if err != nil {
		panic(breakdown{err})
	}
	return out
}

// see writes down what a call of the SDK answered, under the operation's name.
// It takes the call's two results as they are:
//
//	r.see(r.sqs.GetQueueUrl(r.ctx, in))
func (r *run) see(out any, err error) { r.seeAs(operation(out), out, err) }

// seeAs is see under another name than the operation's.
func (r *run) seeAs(name string, out any, err error) {
	if err := r.transcript.answer(name, out, err); err != nil {
		r.fail("%s: %w", name, err)
	}
}

// note writes down a value under a name.
func (r *run) note(name string, value any) { r.transcript.note(name, value) }

// name is a name that no other scenario uses.
func (r *run) name(suffix string) string { return r.prefix + "-" + suffix }

// later removes something when the scenario is over.
func (r *run) later(remove func() error) { r.cleanups = append(r.cleanups, remove) }

// until asks again and again, until done says that it was answered as awaited.
// The services are eventually consistent, and messages take their time.
func (r *run) until(what string, done func() bool) {
	wait := time.NewTicker(50 * time.Millisecond)
	defer wait.Stop()
	for !done() {
		select {
		case <-wait.C:
		case <-r.ctx.Done():
			r.fail("never: %s: %w", what, r.ctx.Err())
		}
	}
}

func str(s string) *string { return &s }
