package local

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/lambda"
	"github.com/penstock-dev/penstock/infra/names"
)

// Function is a deployed function, and what invokes it.
type Function struct {
	Name     string // its short name
	Tags     map[string]string
	Triggers []Trigger
}

// Trigger is what invokes a function.
type Trigger struct {
	Receives string // event types, like savings/SAVINGS_WITHDRAWAL, or what else comes
	From     string // the name of the queue, table, rule or alarm
	// BatchSize and WindowSeconds are those of a mapping; otherwise the size is 0.
	BatchSize, WindowSeconds int
}

// Deployed returns what was deployed, functions in the order of their names.
func (e *Environment) Deployed() []Function {
	events := map[string][]string{} // by the target queue's ARN
	functions := map[string]*Function{}
	for r := range e.resources("AWS::Lambda::Function") {
		short, _ := r.Metadata[names.FunctionMetadata].(string)
		var p functionProperties
		if r.DecodeProperties(&p) != nil {
			continue // it was deployed, so it decodes
		}
		functions[r.Ref] = &Function{Name: short, Tags: p.Tags.values()}
	}
	invokes := func(arn string, t Trigger) {
		if f := functions[arn[strings.LastIndex(arn, ":")+1:]]; f != nil {
			f.Triggers = append(f.Triggers, t)
		}
	}
	for r := range e.resources("AWS::Events::Rule") {
		var p ruleProperties
		if r.DecodeProperties(&p) != nil {
			continue // it was deployed, so it decodes
		}
		for _, t := range p.Targets {
			events[t.Arn] = append(events[t.Arn], eventTypes(p.EventPattern))
			if p.ScheduleExpression != "" {
				invokes(t.Arn, Trigger{Receives: "the schedule " + p.ScheduleExpression, From: p.Name})
			}
		}
	}
	for r := range e.resources("AWS::CloudWatch::Alarm") {
		var p alarmProperties
		if r.DecodeProperties(&p) != nil {
			continue
		}
		for _, action := range p.AlarmActions {
			invokes(action, Trigger{Receives: "an alarm", From: r.Ref})
		}
	}
	apis := map[string]string{} // names, by id
	for r := range e.resources("AWS::ApiGatewayV2::Api") {
		apis[r.Ref] = str(r.Properties["Name"])
	}
	for r := range e.resources("AWS::ApiGatewayV2::Integration") {
		invokes(str(r.Properties["IntegrationUri"]), Trigger{Receives: "HTTP requests", From: apis[str(r.Properties["ApiId"])]})
	}
	for r := range e.resources("AWS::ApiGatewayV2::Authorizer") {
		invokes(authorizerFunction(str(r.Properties["AuthorizerUri"])), Trigger{Receives: "who makes an HTTP request", From: apis[str(r.Properties["ApiId"])]})
	}
	for r := range e.resources("AWS::Lambda::EventSourceMapping") {
		var p mappingProperties
		if r.DecodeProperties(&p) != nil {
			continue
		}
		receives := "changes of a table"
		if types := events[p.EventSourceArn]; types != nil {
			receives = strings.Join(types, ", ")
		}
		invokes(str(r.Properties["FunctionName"]), Trigger{
			Receives: receives, From: lambda.SourceName(p.EventSourceArn), BatchSize: p.BatchSize, WindowSeconds: p.MaximumBatchingWindowInSeconds,
		})
	}
	var out []Function
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		out = append(out, *functions[name])
	}
	return out
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

// deployed returns the stacks as they are now, not to be changed.
func (e *Environment) deployed() []cloudformation.Stack {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stacks
}

func (e *Environment) setDeployed(stacks []cloudformation.Stack) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stacks = stacks
}

// resources yields the deployed resources of a type.
func (e *Environment) resources(kind string) func(yield func(cloudformation.Deployed) bool) {
	return func(yield func(cloudformation.Deployed) bool) {
		for _, stack := range e.deployed() {
			for _, r := range stack.Resources {
				if r.Type == kind && !yield(r) {
					return
				}
			}
		}
	}
}

// eventTypes names the event types that a pattern asks for by source and
// detail-type, as source/NAME; of several with the same beginning that alone, as
// source/BEGINNING*.
func eventTypes(pattern json.RawMessage) string {
	var p struct {
		Source     []any `json:"source"`
		DetailType []any `json:"detail-type"`
	}
	if json.Unmarshal(pattern, &p) != nil {
		return ""
	}
	var out []string
	names := make([]string, len(p.DetailType))
	for i, name := range p.DetailType {
		names[i] = str(name)
	}
	if beginning := commonPrefix(names); len(names) > 1 && beginning != "" {
		names = []string{beginning + "*"}
	}
	for _, source := range p.Source {
		for _, name := range names {
			out = append(out, str(source)+"/"+name)
		}
	}
	return strings.Join(out, ", ")
}

func commonPrefix(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	prefix := texts[0]
	for _, text := range texts[1:] {
		for !strings.HasPrefix(text, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	return prefix
}

// WithoutEffect says, for people, what the templates ask for that is accepted
// here but changes nothing.
func (e *Environment) WithoutEffect() []string {
	var out []string
	for _, kind := range slices.Sorted(maps.Keys(withoutEffect)) {
		for range e.resources(kind) {
			out = append(out, withoutEffect[kind])
			break
		}
	}
	return out
}

// withoutEffect is what WithoutEffect says, by the resource type it is about.
var withoutEffect = map[string]string{
	"AWS::CloudWatch::Dashboard": "dashboards",
	"AWS::SNS::Subscription":     "email (it is shown here, not sent)",
	"AWS::DynamoDB::Table":       "point-in-time recovery and billing mode of tables",
	"AWS::Lambda::Function":      "memory size and processor architecture of functions",
	"AWS::SQS::Queue":            "message groups of queues (fairness between them)",
	"AWS::SSM::Parameter":        "parameters (Systems Manager is not served)",
}
