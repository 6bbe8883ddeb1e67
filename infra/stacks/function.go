package stacks

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/infra/names"
)

// Function is the stack of one function. An adopter extends it like any other
// construct: add resources to Stack, a statement to Role, a variable to Lambda.
type Function struct {
	*Program

	Stack         awscdk.Stack
	Manifest      *manifest.Function
	Subscriptions map[string]*Subscription // by name

	// Deleted are those whose tombstones are in the manifest, by name: they
	// collect events, and have no Mapping.
	Deleted map[string]*Subscription

	// Async is what becomes of asynchronous calls; nil for a function without
	// topics.
	Async *Async
}

func newFunction(p *project, m *manifest.Function) *Function {
	f := &Function{
		Stack:         p.newStack(m.Name),
		Manifest:      m,
		Subscriptions: map[string]*Subscription{},
		Deleted:       map[string]*Subscription{},
	}
	f.Program = newProgram(p, f.Stack, "Function", program{
		name:           m.Name,
		description:    m.Description,
		code:           m.Code(),
		files:          m.Files(),
		memoryMB:       m.MemoryMB,
		timeoutSeconds: m.TimeoutSeconds,
		environment:    environment(p, m),
		policy:         slices.Concat(permissions(p.names, m), calls(p, m), webhooks(p, m)),
		vpc:            m.VPC,
	})
	if m.HTTP != nil {
		suppress(f.Role.Node().DefaultChild().(awscdk.CfnResource), "AwsSolutions-IAM5",
			"Lambda names the streams of the log group itself; the mappings that are disabled when the endpoint is gone have no ids before they are made, and by a condition they are the function's own.",
			`^Resource::.*:log-group:.*:\*$`, `^Resource::\*$`, `^Resource::.*:event-source-mapping:\*$`)
	}
	f.declareTopics(p)
	if len(m.Topics) > 0 {
		f.Async = newAsync(p, f)
	}
	for i := range m.Subscriptions {
		s := newSubscription(p, f, &m.Subscriptions[i])
		s.deliver(f)
		s.alarms(p, f)
		f.Subscriptions[s.Manifest.Name] = s
	}
	f.throttles(p)
	for _, t := range m.Deleted(p.now) {
		f.Deleted[t.Name] = newSubscription(p, f, &t.Subscription)
	}
	return f
}

func environment(p *project, m *manifest.Function) map[string]string {
	variables := m.Environment(p.names)
	if connections := m.ConnectionsVariable(p.props.Env); connections != "" {
		variables[names.VarConnections] = connections
	}
	if m.Kind() == manifest.KindHTTP {
		maps.Copy(variables, webhookVariables(p, m))
	}
	return variables
}

// What a function may do with a table, by the access in its manifest.
var (
	readActions  = []string{"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
	writeActions = []string{"dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}
)

// permissions derives a function's policy from its manifest: nothing that the
// manifest does not name, and no action or resource "*".
func permissions(n names.Names, m *manifest.Function) []statement {
	var policy []statement
	if len(m.Subscriptions) > 0 {
		var queues, dlqs []*string
		for _, s := range m.Subscriptions {
			queues = append(queues, queueARN(n.Queue(m.Name, s.Name)))
			dlqs = append(dlqs, queueARN(n.DLQ(m.Name, s.Name)))
		}
		// Lambda, "Configuring an execution role" for Amazon SQS; and what the
		// function itself does to failed messages: it sets when they come back,
		// and sends afresh what it had no time for.
		policy = append(policy, statement{
			actions:   []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"},
			resources: queues,
		})
		// An event that fails permanently is sent to the DLQ by the function.
		policy = append(policy, statement{actions: []string{"sqs:SendMessage"}, resources: dlqs})
	}
	switch {
	case len(m.Publishes) == 0:
	case m.UsesSessions():
		policy = append(policy, enqueueEvents(n, m.Publishes))
	default:
		for _, s := range bySource(m.Publishes) {
			policy = append(policy, putEvents(n, s))
		}
	}
	if m.UsesMarks() {
		// Marks are event keys, which begin with the function's name: it cannot
		// keep another from handling its events.
		policy = append(policy, statement{
			actions:    []string{"dynamodb:PutItem"},
			resources:  []*string{tableARN(n.Table(names.IdempotencyTable))},
			conditions: map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": []string{m.Name + "/*"}}},
		})
	}
	for _, table := range slices.Sorted(maps.Keys(m.Tables)) {
		actions := readActions
		if m.Tables[table] == manifest.ReadWrite {
			actions = slices.Sorted(slices.Values(slices.Concat(readActions, writeActions)))
		}
		policy = append(policy, statement{actions: actions, resources: []*string{tableARN(n.Table(table))}})
	}
	if len(m.Topics) > 0 {
		policy = append(policy, putResults(n))
	}
	if len(m.Secrets) > 0 {
		var secrets []*string
		for _, secret := range m.Secrets {
			secrets = append(secrets, secretARN(n.Secret(secret)))
		}
		// The caching client looks up the current version before it reads it.
		policy = append(policy, statement{actions: []string{"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}, resources: secrets})
	}
	return policy
}
