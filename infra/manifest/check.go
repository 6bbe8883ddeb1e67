package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-dev/penstock/functions/connector/topictags"
	"github.com/penstock-dev/penstock/infra/names"
)

// maxEnvironmentBytes is what Lambda takes for all variables of a function
// together ("Lambda quotas").
const maxEnvironmentBytes = 4 << 10

// Check returns every fault that functions have by their names in one
// environment, joined: a composed name that is too long for AWS, two resources
// that would have the same name, environment variables that exceed what Lambda
// takes. CheckEnvironment has those by the environment's settings.
func Check(functions []Function, n names.Names) error {
	var faults []error
	taken := map[string]string{} // resource → the function or subscription that has it
	claim := func(kind, name, owner string) {
		// Case makes no difference, since folders and files bear these names too.
		key := kind + strings.ToLower(name)
		if other, ok := taken[key]; ok {
			faults = append(faults, fmt.Errorf("%s and %s would both have the %s %q: rename one", other, owner, kind, name))
		}
		taken[key] = owner
	}
	for i := range functions {
		f := &functions[i]
		var subs []string
		claim("function", n.Function(f.Name), fmt.Sprintf("function %q", f.Name))
		queues := func(kind, sub string) {
			for _, queue := range n.Queues(f.Name, sub) {
				claim("queue", queue, fmt.Sprintf("%s %q of function %q", kind, sub, f.Name))
			}
		}
		if len(f.Topics) > 0 {
			subs = append(subs, names.Async)
			queues("asynchronous calls", names.Async)
		}
		for _, s := range f.Subscriptions {
			subs = append(subs, s.Name)
			queues("subscription", s.Name)
		}
		for _, t := range f.Tombstones {
			if f.Subscription(t.Name) == nil {
				queues("tombstone", t.Name)
			}
		}
		for _, fault := range split(n.Check(f.Name, subs...)) {
			faults = append(faults, fmt.Errorf("function %q: %w", f.Name, fault))
		}
		size := 0
		for name, value := range f.Environment(n) {
			size += len(name) + len(value)
		}
		if size > maxEnvironmentBytes {
			faults = append(faults, fmt.Errorf("function %q: its variables, with those that Penstock sets, have %d bytes, Lambda takes %d: move the large ones to a secret or a table",
				f.Name, size, maxEnvironmentBytes))
		}
	}
	return errors.Join(faults...)
}

// CheckEnvironment returns every fault that functions have by the settings of an
// environment, joined: one that is to run in a VPC where there is none, one that
// calls by a connection that there is not, one whose URL may not be sent to, and
// one that has too many tags with those of the environment.
func CheckEnvironment(functions []Function, env Environment) error {
	var faults []error
	for i := range functions {
		f := &functions[i]
		if f.VPC && env.VPC == nil && env.Endpoint == "" {
			faults = append(faults, fmt.Errorf(`function %q: "vpc" is true, and environment %q has no "vpc" in %s: add its subnets and security groups there`,
				f.Name, env.Name, EnvironmentsFile))
		}
		faults = append(faults, f.checkConnections(env)...)
		declared := topictags.Declaration{Environment: "-", Function: f.Name, Namespace: f.Namespace, Topics: f.Topics}
		tags, err := declared.Tags()
		if err == nil && len(f.Topics) > 0 && len(tags)+len(env.Tags) > maxTags {
			faults = append(faults, fmt.Errorf("function %q: its topics need %d tags, and environment %q has %d, AWS takes %d: declare fewer topics, or patterns in place of names",
				f.Name, len(tags), env.Name, len(env.Tags), maxTags))
		}
	}
	return errors.Join(append(faults, checkWebhooks(functions, env)...)...)
}

// Environment returns all environment variables that the function is given: its
// own, and those that Penstock sets; but for ConnectionsVariable, which depends on
// the environment's settings.
func (f *Function) Environment(n names.Names) map[string]string {
	env := map[string]string{
		names.VarApp:      n.App,
		names.VarEnv:      n.Env,
		names.VarFunction: f.Name,
	}
	if len(f.Subscriptions) > 0 {
		env[names.VarRetries] = f.retries()
	}
	if f.Kind() == KindPipeline && len(f.Publishes) > 0 {
		env[names.VarBus] = n.Bus()
	}
	if f.Kind() == KindHTTP {
		env[names.VarDeliveriesTable] = n.Table(names.DeliveriesTable)
		env[names.VarStateTable] = n.Table(names.StateTable)
		env[names.VarQueues] = f.queues(n)
	}
	if siblings := f.siblings(n); siblings != "" {
		env[names.VarFunctions] = siblings
	}
	if f.UsesSessions() {
		env[names.VarOutboxTable] = n.Table(names.OutboxTable)
	}
	if f.UsesMarks() {
		env[names.VarIdempotencyTable] = n.Table(names.IdempotencyTable)
	}
	for table := range f.Tables {
		env[names.TableVar(table)] = n.Table(table)
	}
	for name, value := range f.Variables {
		env[name] = value
	}
	return env
}

// queues is the value of names.VarQueues.
func (f *Function) queues(n names.Names) string {
	all := map[string]string{}
	for _, s := range f.Subscriptions {
		all[s.Name] = n.Queue(f.Name, s.Name)
	}
	return jsonOf(all)
}

// retries is the value of names.VarRetries, as package handler reads it.
func (f *Function) retries() string {
	type retries struct {
		MaxReceiveCount int `json:"maxReceiveCount"`
		Retry
	}
	all := map[string]retries{}
	for _, s := range f.Subscriptions {
		all[s.Name] = retries{s.MaxReceiveCount, s.Retry}
	}
	data, err := json.Marshal(all) // sorted by name
	if err != nil {
		panic(err) // numbers are JSON
	}
	return string(data)
}
