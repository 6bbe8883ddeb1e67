package localcrash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
)

// scheduled begins the state of a secret that is scheduled for deletion; what
// follows is its current version.
const scheduled = "scheduled: "

// secretThings are secrets; their state is the id of the current version.
func (l *load) secretThings() *things {
	client := l.secrets
	value := func(version string) *string { return aws.String("the value of " + version) }
	return &things{kind: kindSecrets, load: l, things: named("crash/secret-", 8),
		read: func(ctx context.Context, name string) (string, error) {
			about, err := client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
			if code(err) == "ResourceNotFoundException" {
				return nothing, nil
			}
			if err != nil {
				return "", err
			}
			current := ""
			for version, stages := range about.VersionIdsToStages {
				if slices.Contains(stages, "AWSCURRENT") {
					current = version
				}
			}
			if about.DeletedDate != nil {
				return scheduled + current, nil
			}
			got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
			if err != nil {
				return "", err
			}
			if aws.ToString(got.SecretString) != *value(current) {
				return halved + current, nil
			}
			return current, nil
		},
		change: func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
			defer rest(ctx, 10*time.Millisecond)
			t, err := pick()
			if err != nil {
				return err
			}
			id := uuid.NewString()
			switch draw := random.IntN(4); {
			case t.is == nothing:
				try(t, id)
				_, err = client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &t.name, ClientRequestToken: &id, SecretString: value(id)})
			case strings.HasPrefix(t.is, scheduled) && draw < 3:
				try(t, strings.TrimPrefix(t.is, scheduled))
				_, err = client.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: &t.name})
			case draw == 0 || strings.HasPrefix(t.is, scheduled):
				try(t, nothing)
				_, err = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &t.name, ForceDeleteWithoutRecovery: aws.Bool(true)})
			case draw == 1:
				try(t, scheduled+t.is)
				_, err = client.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &t.name, RecoveryWindowInDays: aws.Int64(7)})
			default:
				try(t, id)
				_, err = client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &t.name, ClientRequestToken: &id, SecretString: value(id)})
			}
			return err
		}}
}

// mappingThings are the event source mapping of the function: enabled or
// disabled, as a person or the breaker would leave it.
func (l *load) mappingThings() *things {
	client := l.lambda
	const enabled, disabled = "Enabled", "Disabled"
	return &things{kind: kindMappings, load: l, things: []*thing{{name: l.names.Function(function), is: enabled}},
		read: func(ctx context.Context, name string) (string, error) {
			for {
				all, err := client.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: &name})
				if err != nil {
					return "", err
				}
				if len(all.EventSourceMappings) != 1 {
					return nothing, nil
				}
				state := aws.ToString(all.EventSourceMappings[0].State)
				if state == enabled || state == disabled {
					return state, nil
				}
				if !rest(ctx, 10*time.Millisecond) { // it is on its way to one of these
					return "", ctx.Err()
				}
			}
		},
		change: func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
			defer rest(ctx, 200*time.Millisecond)
			t, err := pick()
			if err != nil {
				return err
			}
			state := enabled
			if random.IntN(3) == 0 {
				state = disabled
			}
			all, err := client.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: &t.name})
			if err != nil {
				return err
			}
			for _, m := range all.EventSourceMappings {
				try(t, state)
				_, err = client.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: aws.Bool(state == enabled)})
			}
			return err
		}}
}

// enable enables the function's mapping, for the end.
func (l *load) enable(ctx context.Context) error {
	client := l.lambda
	all, err := client.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: aws.String(l.names.Function(function))})
	if err != nil {
		return err
	}
	for _, m := range all.EventSourceMappings {
		if _, err := client.UpdateEventSourceMapping(ctx, &lambda.UpdateEventSourceMappingInput{UUID: m.UUID, Enabled: aws.Bool(true)}); err != nil {
			return err
		}
	}
	return nil
}

// mostQueues is how many queues there are at a time; each lives once, since
// the name of one that was deleted is not free for a minute.
const mostQueues = 10

// queueThings are queues and rules that a client makes, changes and deletes.
// Their state is the visibility timeout, or the description.
func (l *load) queueThings() *things {
	queues, rules := l.sqs, l.events
	bus := aws.String(l.names.Bus())
	isRule := func(name string) bool { return strings.HasPrefix(name, "crash-rule-") }
	url := func(name string) *string { return l.queueURL(name) }
	s := &things{kind: kindQueues, load: l, things: named("crash-rule-", 5)}
	s.read = func(ctx context.Context, name string) (string, error) {
		if isRule(name) {
			out, err := rules.DescribeRule(ctx, &eventbridge.DescribeRuleInput{EventBusName: bus, Name: &name})
			if code(err) == "ResourceNotFoundException" {
				return nothing, nil
			}
			if err != nil {
				return "", err
			}
			return aws.ToString(out.Description), nil
		}
		out, err := queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url(name), AttributeNames: []sqstypes.QueueAttributeName{"VisibilityTimeout"}})
		if gone(err) {
			return nothing, nil
		}
		if err != nil {
			return "", err
		}
		return out.Attributes["VisibilityTimeout"], nil
	}
	s.change = func(ctx context.Context, random *rand.Rand, pick func() (*thing, error), try func(*thing, string)) error {
		defer rest(ctx, 20*time.Millisecond)
		alive := 0
		for _, t := range s.things {
			if t.is != nothing && !isRule(t.name) {
				alive++
			}
		}
		if alive < mostQueues {
			t := &thing{name: fmt.Sprintf("crash-queue-%05d", len(s.things))}
			s.things = append(s.things, t)
			try(t, "30")
			_, err := queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &t.name})
			return err
		}
		t, err := pick()
		if err != nil {
			return err
		}
		switch {
		case isRule(t.name) && random.IntN(3) == 0:
			try(t, nothing)
			_, err = rules.DeleteRule(ctx, &eventbridge.DeleteRuleInput{EventBusName: bus, Name: &t.name})
		case isRule(t.name):
			state := version(random)
			try(t, state)
			_, err = rules.PutRule(ctx, &eventbridge.PutRuleInput{EventBusName: bus, Name: &t.name, Description: &state, EventPattern: aws.String(`{"source": ["nobody"]}`)})
		case t.is == nothing: // deleted, and looked at
		case random.IntN(2) == 0:
			try(t, nothing)
			_, err = queues.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url(t.name)})
		default:
			state := fmt.Sprint(random.IntN(1000))
			try(t, state)
			_, err = queues.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: url(t.name), Attributes: map[string]string{"VisibilityTimeout": state}})
		}
		return err
	}
	return s
}

// gone reports whether an error says that there is no such queue.
func gone(err error) bool {
	c := code(err)
	return c == "AWS.SimpleQueueService.NonExistentQueue" || c == "QueueDoesNotExist"
}

func (l *load) queueURL(name string) *string {
	return aws.String(*l.aws.BaseEndpoint + "/" + account + "/" + name)
}

// account is that of the local environment.
const account = "000000000000"
