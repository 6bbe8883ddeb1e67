// Package names holds the name of every resource, in one place.
//
// An application and an environment name everything: what belongs to all
// functions is `<app>-<env>-…`, a function is `<app>-<env>-<function>`, and its
// subscription's queue is `<app>-<env>-<function>-<subscription>`. Stacks,
// the command and the local environment refer to each other's resources by
// these names alone, so a name is composed here and nowhere else.
//
// The package is a leaf: it imports the standard library and no more.
package names

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

// The stacks that an environment has besides one a function. No function may
// bear their names, nor those of Penstock's own programs; see Reserved.
const (
	BusStack        = "bus"
	DataStack       = "data"
	OperationsStack = "operations"
	SchemasStack    = "schemas"
	AccessStack     = "access"
	UserPoolStack   = "user-pool"
	StorageStack    = "storage"
)

// OutboxRelay is the program that moves committed events from the outbox table
// to the bus, as a function's short name.
const OutboxRelay = "outbox-relay"

// Breaker is the program that stops subscriptions which fail, as a function's
// short name.
const Breaker = "breaker"

// Callback is the program that sends the results of asynchronous calls, as a
// function's short name.
const Callback = "callback"

// CallbackSecret is the secret that results are signed by.
const CallbackSecret = "callback-signing"

// CallbackResults is the subscription by which the callback program receives
// results.
const CallbackResults = "results"

// Async stands in the place of a subscription in the names of what becomes of
// asynchronous calls: DLQ(fn, Async) is where those go that have failed for good.
const Async = "async"

// AuthTrigger is the program that announces what people do in the user pool, as a
// function's short name.
const AuthTrigger = "auth-trigger"

// The programs of the data API, as functions' short names.
const (
	StorageAPI        = "storage-api"
	StorageAuthorizer = "storage-authorizer"
	StorageTrigger    = "storage-trigger" // announces changes of rows
)

// Programs are Penstock's own, which every environment has, by their short names,
// sorted.
var Programs = []string{Breaker, OutboxRelay}

// OptionalPrograms are those of Penstock's own that an environment has if it asks
// for what they are part of, or a function has topics (Callback), by their short
// names, sorted.
var OptionalPrograms = []string{AuthTrigger, Callback, StorageAPI, StorageAuthorizer, StorageTrigger}

// PipelineRunner is the program that runs the functions that are pipelines.
const PipelineRunner = "pipeline"

// WebhookRunner is the program that runs the functions on HTTP.
const WebhookRunner = "webhook"

// Runners are the programs of Penstock's own that run functions without code,
// each under its own short name, sorted.
var Runners = []string{PipelineRunner, WebhookRunner}

// The tables that Penstock itself keeps, as Names.Table takes them. No table
// of tables.json may bear their names.
const (
	OutboxTable      = "outbox"      // events that are committed and not yet on the bus
	IdempotencyTable = "idempotency" // marks of what was already done
	StateTable       = "state"       // which subscriptions were stopped, by whom and why
	StorageTable     = "storage"     // the rows of the data API
	SessionsTable    = "sessions"    // function sessions that were revoked
	DeliveriesTable  = "deliveries"  // the log of what was delivered to functions on HTTP
)

// Tables are those that Penstock itself keeps.
var Tables = []string{OutboxTable, IdempotencyTable, StateTable, StorageTable, SessionsTable, DeliveriesTable}

// Names composes the names of one environment's resources. The zero value
// names nothing; use New.
type Names struct {
	App string // the application, such as "penstock"
	Env string // the environment, such as "local" or "prod"
}

// New returns the names of application app in environment env.
func New(app, env string) Names { return Names{App: app, Env: env} }

// Bus is the event bus.
func (n Names) Bus() string { return n.App + "-" + n.Env }

// BusDLQ is where an event goes that the bus could not encrypt or decrypt.
func (n Names) BusDLQ() string { return n.Bus() + "-bus-dlq" }

// BusLogGroup is where the bus logs what becomes of events. Log groups that a
// service of AWS delivers to begin with /aws/vendedlogs ("Logs sent to
// CloudWatch Logs").
func (n Names) BusLogGroup() string { return "/aws/vendedlogs/events/event-bus/" + n.Bus() }

// Archive keeps every event of the bus, to be replayed.
func (n Names) Archive() string { return n.Bus() }

// KeyAlias is the alias of the key that everything is encrypted with, where the
// bus stack makes one.
func (n Names) KeyAlias() string { return "alias/" + n.Bus() }

// UserPool is the pool of the people who sign in.
func (n Names) UserPool() string { return n.Bus() }

// Registry is the registry of event schemas.
func (n Names) Registry() string { return n.Bus() }

// PublishPolicy is the managed policy of those who publish the events of a
// source.
func (n Names) PublishPolicy(source string) string { return n.Bus() + "-publish-" + source }

// OperatePolicy is the managed policy of those who use the command.
func (n Names) OperatePolicy() string { return n.Bus() + "-operate" }

// ConnectPolicy is the managed policy of connectors.
func (n Names) ConnectPolicy() string { return n.Bus() + "-connect" }

// TailPrefix begins the names of the rules and queues that a tail makes.
func (n Names) TailPrefix() string { return n.Bus() + "-tail-" }

// ReplayPrefix begins the names of replays, and of the rule and queue that one of
// them may have.
func (n Names) ReplayPrefix() string { return n.Bus() + "-replay-" }

// Stack is the stack of a part: BusStack, DataStack, OperationsStack,
// SchemasStack, AccessStack, StorageStack, or a function's short name.
func (n Names) Stack(part string) string { return n.Bus() + "-" + part }

// Function is a Lambda function, by its short name.
func (n Names) Function(fn string) string { return n.Bus() + "-" + fn }

// LogGroup is where Lambda writes what a function prints.
func (n Names) LogGroup(fn string) string { return "/aws/lambda/" + n.Function(fn) }

// Rule is the EventBridge rule of a subscription.
func (n Names) Rule(fn, sub string) string { return n.Function(fn) + "-" + sub }

// Queue is where a subscription's events wait for their function.
func (n Names) Queue(fn, sub string) string { return n.Function(fn) + "-" + sub }

// DLQ is where an event goes that a function failed to handle too often.
func (n Names) DLQ(fn, sub string) string { return n.Queue(fn, sub) + "-dlq" }

// RuleDLQ is where an event goes that EventBridge could not put into the queue.
func (n Names) RuleDLQ(fn, sub string) string { return n.Queue(fn, sub) + "-rule-dlq" }

// Queues are all queues of a subscription.
func (n Names) Queues(fn, sub string) []string {
	return []string{n.Queue(fn, sub), n.DLQ(fn, sub), n.RuleDLQ(fn, sub)}
}

// Table is a DynamoDB table: one of Tables, or one of tables.json.
func (n Names) Table(name string) string { return n.Bus() + "-" + name }

// Topic is where alarms and the breaker tell people.
func (n Names) Topic() string { return n.Bus() + "-alarms" }

// Dashboard is CloudWatch's page about the environment, or its part-th one, from
// 1, where there are too many subscriptions for one.
func (n Names) Dashboard(part int) string {
	if part == 1 {
		return n.Bus()
	}
	return fmt.Sprintf("%s-%d", n.Bus(), part)
}

// BreakerAlarm is the alarm that makes the breaker stop a subscription.
const BreakerAlarm = "breaker"

// Alarm is an alarm about a subscription; about is what it watches, such as
// BreakerAlarm. The slash, which no other name has, keeps the alarms of a
// subscription "a" apart from those of a subscription "a-dlq".
func (n Names) Alarm(fn, sub, about string) string { return n.Queue(fn, sub) + "/" + about }

// FunctionAlarm is an alarm about a function, or a program of Penstock's own.
func (n Names) FunctionAlarm(fn, about string) string { return n.Function(fn) + "/" + about }

// Secret is a secret's name in Secrets Manager.
func (n Names) Secret(name string) string { return n.App + "/" + n.Env + "/" + name }

// SessionKeys is the secret with the keys of function sessions. It is none of
// those that Secret names: neither people nor functions' manifests name it.
func (n Names) SessionKeys() string { return n.Bus() + "/function-session-keys" }

// StorageAPI is the HTTP API of the data API.
func (n Names) StorageAPI() string { return n.Bus() + "-storage" }

// StorageLogGroup is where API Gateway logs the requests to the data API. Log
// groups that a service of AWS delivers to begin with /aws/vendedlogs ("Logs sent
// to CloudWatch Logs").
func (n Names) StorageLogGroup() string { return "/aws/vendedlogs/apis/" + n.StorageAPI() }

// Parameter is a parameter in Systems Manager; path is "bus/name", "bus/arn" or
// "key/arn".
func (n Names) Parameter(path string) string { return "/" + n.App + "/" + n.Env + "/" + path }

// Export is the name under which a stack exports a value to other teams'
// stacks; value is "bus-name" or "bus-arn".
func (n Names) Export(value string) string { return n.Bus() + "-" + value }

// Reserved reports whether fn names a stack or a program of Penstock's own, so
// that no function may bear it.
func Reserved(fn string) bool {
	switch fn {
	case BusStack, DataStack, OperationsStack, SchemasStack, AccessStack, UserPoolStack, StorageStack:
		return true
	}
	return slices.Contains(Programs, fn) || slices.Contains(OptionalPrograms, fn) || slices.Contains(Runners, fn)
}

// Both become parts of names that must be lower case, and of each other's.
var part = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// Validate returns what is wrong with the application's and the environment's
// names, joined: each is lower-case letters, digits and hyphens, begins with a
// letter and does not end with a hyphen.
func (n Names) Validate() error {
	var faults []error
	check := func(kind, name string) {
		if !part.MatchString(name) {
			faults = append(faults, fmt.Errorf("%s name %q must be lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen", kind, name))
		}
	}
	check("application", n.App)
	check("environment", n.Env)
	// Of the names that are made of these two, the one with the least room.
	if len(n.Archive()) > maxArchive {
		faults = append(faults, fmt.Errorf("archive name %q has %d characters, AWS takes %d: shorten the name of the application or environment",
			n.Archive(), len(n.Archive()), maxArchive))
	}
	return errors.Join(faults...)
}

// The longest names that AWS takes, in characters.
const (
	maxFunction = 64 // Lambda, CreateFunction
	maxRule     = 64 // EventBridge, PutRule
	maxQueue    = 80 // SQS, CreateQueue
	maxArchive  = 48 // EventBridge, CreateArchive
)

// Check returns an error for each name of function fn and its subscriptions
// that is longer than AWS takes, joined; nil if all fit.
func (n Names) Check(fn string, subs ...string) error {
	var faults []error
	check := func(kind, name string, limit int) {
		if len(name) > limit {
			faults = append(faults, fmt.Errorf("%s name %q has %d characters, AWS takes %d: shorten the name of the application, environment, function or subscription",
				kind, name, len(name), limit))
		}
	}
	check("Lambda function", n.Function(fn), maxFunction)
	for _, sub := range subs {
		check("rule", n.Rule(fn, sub), maxRule)
		// The longest of a subscription's three queues stands for all.
		check("queue", n.RuleDLQ(fn, sub), maxQueue)
	}
	return errors.Join(faults...)
}
