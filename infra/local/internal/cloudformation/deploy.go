package cloudformation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// An Environment is where templates are deployed: the values of pseudo parameters, and of parameters.
type Environment struct {
	AccountID  string            // AWS::AccountId
	Region     string            // AWS::Region
	Partition  string            // AWS::Partition, "aws" if empty
	URLSuffix  string            // AWS::URLSuffix, "amazonaws.com" if empty
	Parameters map[string]string // values of parameters, for every template that has one of the name

	// Creating, if set, is told of every resource that is not there yet, before it is created, so that it can be removed
	// should the process die before the deployment is done. An error ends the deployment.
	Creating func(Resource) error
}

// pseudoParameters are the names that Ref knows in every template ("Pseudo parameters reference").
var pseudoParameters = []string{
	"AWS::AccountId", "AWS::NoValue", "AWS::Partition", "AWS::Region", "AWS::StackId", "AWS::StackName", "AWS::URLSuffix",
}

// A Stack is a deployed template.
type Stack struct {
	Name        string
	ID          string     // its ARN; the same in every deployment of the name to the same account and region
	Description string     // the template's
	Resources   []Deployed // in the order in which they were created
	Outputs     []Output   // by name
	Template    []byte     // as it was parsed; not to be changed
	DeployedAt  time.Time

	template *Template
}

// Deployed is a resource that has been created.
type Deployed struct {
	Resource
	Attributes
}

// An Output is a value that a stack shows.
type Output struct {
	Name, Description, Value string
	Export                   string // the name under which other stacks import it, or empty
}

// Deploy deploys templates where nothing is at work yet, in the order given: a stack that imports a value comes after the
// one that exports it. before are the resources that an earlier run has left, nil if there are none. Every resource of the
// templates is created, one after the other, also one that was left unchanged. What the templates no longer have is not
// removed: see Types.Obsolete.
//
// The error is Check's or says what CloudFormation would refuse, and then nothing has been created; or it is that of the
// first resource that could not be created, and then those before it have been.
func Deploy(ctx context.Context, env Environment, types Types, before []Deployed, templates ...*Template) ([]Stack, error) {
	if err := plan(env, types, before, templates); err != nil {
		return nil, err
	}
	d := newDeployment(env, templates)
	existing := byID(before)
	d.provision = func(r Resource) (Attributes, error) {
		old, ok := existing[r.id()]
		if r.Unchanged = ok && old.Same(r); !r.Unchanged {
			if err := d.creating(types, old, r, ok); err != nil {
				return Attributes{}, err
			}
		}
		return types.create(ctx, r)
	}
	if d.run(templates); len(d.faults) > 0 {
		return nil, errors.Join(d.faults...)
	}
	return d.stacks, nil
}

// creating tells of a resource that is not there yet.
func (d *deployment) creating(types Types, old Deployed, r Resource, existed bool) error {
	if d.env.Creating == nil || existed && types.identity(old.Resource) == types.identity(r) {
		return nil
	}
	return d.env.Creating(r)
}

func (types Types) create(ctx context.Context, r Resource) (Attributes, error) {
	if err := ctx.Err(); err != nil {
		return Attributes{}, fmt.Errorf("creating %s: %w", r, err)
	}
	return types[r.Type].create(ctx, r)
}

// Check goes through all of a deployment without creating anything. The error joins everything that is wrong or not
// supported in any template: resource types, properties, values, parameters, imports.
func Check(env Environment, types Types, templates ...*Template) error {
	return plan(env, types, nil, templates)
}

// A deployment is a run through templates: a real one, which ends at the first fault, or a check, which collects them all
// and in which the attributes of resources that are not there yet are unknown.
type deployment struct {
	env       Environment
	checking  bool
	provision func(Resource) (Attributes, error)
	exports   map[string]any // string or unknown
	stacks    []Stack
	faults    []error
}

func newDeployment(env Environment, templates []*Template) *deployment {
	env.Partition = cmp.Or(env.Partition, "aws")
	env.URLSuffix = cmp.Or(env.URLSuffix, "amazonaws.com")
	d := &deployment{env: env, exports: map[string]any{}}
	for _, name := range slices.Sorted(maps.Keys(env.Parameters)) {
		if !slices.ContainsFunc(templates, func(t *Template) bool { _, ok := t.parameters[name]; return ok }) {
			d.fail(fmt.Errorf("parameter %q has a value, but no template has a parameter of the name", name))
		}
	}
	return d
}

func (d *deployment) fail(err error) { d.faults = append(d.faults, err) }

// ended reports whether there is nothing more to do.
func (d *deployment) ended() bool { return len(d.faults) > 0 && !d.checking }

func (d *deployment) run(templates []*Template) {
	for _, t := range templates {
		if d.ended() {
			return
		}
		if slices.ContainsFunc(d.stacks, func(s Stack) bool { return s.Name == t.stack }) {
			d.fail(fmt.Errorf("stack %s: there are two templates of this name", t.stack))
			continue
		}
		d.deployStack(t)
	}
}

// A scope is what the expressions of one template can see.
type scope struct {
	*deployment
	stack      Stack
	parameters map[string]any
	created    map[string]Attributes
}

func (d *deployment) deployStack(t *Template) {
	s := &scope{deployment: d, parameters: map[string]any{}, created: map[string]Attributes{}}
	s.stack = Stack{Name: t.stack, ID: d.stackID(t.stack), Description: t.description, Template: t.body, DeployedAt: time.Now(), template: t}
	defer func() { d.stacks = append(d.stacks, s.stack) }() // at a fault as well: with what there is then
	for _, name := range slices.Sorted(maps.Keys(t.parameters)) {
		if supplied, ok := d.env.Parameters[name]; ok {
			s.parameters[name] = supplied
		} else if s.parameters[name] = t.parameters[name].defaultValue; s.parameters[name] == nil {
			d.fail(fmt.Errorf("stack %s: parameter %q has neither a default nor a value", t.stack, name))
			s.parameters[name] = unknown("${" + name + "}")
		}
	}
	for _, r := range t.resources {
		if d.ended() {
			return
		}
		if err := s.deploy(r); err != nil {
			d.fail(err)
		}
	}
	for _, o := range t.outputs {
		if d.ended() {
			return
		}
		if err := s.output(o); err != nil {
			d.fail(fmt.Errorf("stack %s: %w", t.stack, err))
		}
	}
}

// stackID is the ARN of a stack. In place of the random part it has one made of the rest, so that it stays the same.
func (d *deployment) stackID(name string) string {
	arn := fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/", d.env.Partition, d.env.Region, d.env.AccountID, name)
	return arn + uuid.NewSHA1(uuid.NameSpaceURL, []byte(arn)).String()
}

func (s *scope) deploy(r *resource) error {
	resolved := r.Resource
	properties, err := r.properties.evaluate(s)
	if err != nil {
		return fmt.Errorf("stack %s: %w", s.stack.Name, err)
	}
	metadata, err := r.metadata.evaluate(s)
	if err != nil {
		return fmt.Errorf("stack %s: %w", s.stack.Name, err)
	}
	resolved.Properties = properties.(map[string]any)
	resolved.Metadata = metadata.(map[string]any)
	attributes, err := s.provision(resolved)
	if err != nil {
		return err
	}
	s.created[r.LogicalID] = attributes
	s.stack.Resources = append(s.stack.Resources, Deployed{resolved, attributes})
	return nil
}

func (s *scope) output(o output) error {
	at := fmt.Sprintf("output %q", o.name)
	value, err := evaluateText(s, at, "Value", o.value)
	if err != nil {
		return err
	}
	result := Output{Name: o.name, Description: o.description}
	result.Value, _ = value.(string)
	if o.export != nil {
		name, err := evaluateText(s, at, "Export", o.export)
		if err != nil {
			return err
		}
		var ok bool
		if result.Export, ok = name.(string); !ok {
			return fmt.Errorf("%s: the name of an export cannot depend on a resource", at)
		}
		if _, ok := s.exports[result.Export]; ok {
			return fmt.Errorf("%s: a stack exports %q already", at, result.Export)
		}
		s.exports[result.Export] = value
	}
	s.stack.Outputs = append(s.stack.Outputs, result)
	return nil
}

// ref returns the value of {"Ref": name}. Parse has checked that the name is a known one.
func (s *scope) ref(name string) (any, error) {
	switch name {
	case "AWS::AccountId":
		return s.env.AccountID, nil
	case "AWS::NoValue":
		return noValue{}, nil
	case "AWS::Partition":
		return s.env.Partition, nil
	case "AWS::Region":
		return s.env.Region, nil
	case "AWS::StackId":
		return s.stack.ID, nil
	case "AWS::StackName":
		return s.stack.Name, nil
	case "AWS::URLSuffix":
		return s.env.URLSuffix, nil
	}
	if v, ok := s.parameters[name]; ok {
		return v, nil
	}
	v := s.created[name].Ref
	if v == "" && s.checking {
		return unknown("${" + name + "}"), nil
	}
	if v == "" {
		return nil, fmt.Errorf("resource %q has no Ref in the local environment", name)
	}
	return v, nil
}

// attribute returns the value of {"Fn::GetAtt": [id, name]}.
func (s *scope) attribute(id, name string) (any, error) {
	v, ok := s.created[id].Att[name]
	if !ok && s.checking {
		return unknown("${" + id + "." + name + "}"), nil
	}
	if !ok {
		return nil, fmt.Errorf("resource %q has no attribute %s in the local environment (it has %q)", id, name,
			slices.Sorted(maps.Keys(s.created[id].Att)))
	}
	return v, nil
}
