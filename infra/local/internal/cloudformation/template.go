// Package cloudformation runs CloudFormation templates: it reads them, checks that all of what they ask for is supported,
// puts their resources in order, resolves their properties, and has each resource created by a function of its caller.
// It creates nothing itself and knows no service. Templates deployed over earlier ones change what is there as
// CloudFormation does: see Update.
//
// A deployment goes like this:
//
//  1. Parse reads each template. What the local environment does not support of the template language is an error there.
//  2. The caller makes a Types: for each resource type a function that creates one, from properties in a Go struct, one that
//     removes it, and what AWS says of changing it.
//  3. Deploy checks all templates against the Types, and reports everything that is unsupported at once; nothing has been
//     created by then.
//  4. Deploy goes through the stacks in the caller's order and through the resources of each in the order of their
//     dependencies. It resolves the properties with what earlier resources have become, decodes them into the struct, and
//     calls the function.
//  5. The caller removes what was there before and is in no template any more: Types.Obsolete.
//
// The scope is what templates of the CDK app use. Sections: Description, Parameters (with a default, or supplied),
// Resources, Outputs. Functions: Ref, Fn::GetAtt, Fn::ImportValue, Fn::Join, Fn::Select, Fn::Split, Fn::Sub. Everything
// else is an error that names it.
package cloudformation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A Template is a parsed template, together with the name of its stack. It is immutable, and safe for concurrent use.
type Template struct {
	stack       string
	description string
	body        []byte // as it was parsed
	parameters  map[string]parameter
	resources   []*resource // in the order of their dependencies
	outputs     []output    // by name
}

type parameter struct {
	kind         string // String or Number
	defaultValue any    // nil if there is none
}

type resource struct {
	Resource   // without Properties and Metadata
	properties expression
	metadata   expression
	dependsOn  []string
}

type output struct {
	name, description string
	value             expression
	export            expression // nil if it has none
}

// Stack returns the name of the template's stack.
func (t *Template) Stack() string { return t.stack }

var logicalID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Parse reads the template of a stack, in JSON. The error joins everything that is wrong or not supported, each naming the
// stack, the resource and the place in it.
func Parse(stack string, data []byte) (*Template, error) {
	p := &parser{stack: stack}
	t := p.template(data)
	if len(p.faults) > 0 {
		return nil, errors.Join(p.faults...)
	}
	return t, nil
}

// A parser collects the faults of one template.
type parser struct {
	stack  string
	names  map[string]bool // of the template's parameters and resources; true for a resource
	faults []error
}

// fail records a fault; at is where in the template, like `resource "Queue", Properties.QueueName`.
func (p *parser) fail(at, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("stack %s: %s: %w", p.stack, at, fmt.Errorf(format, args...)))
}

// only records a fault for each key of an object that is not supported.
func (p *parser) only(at, what string, o map[string]json.RawMessage, supported ...string) {
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(supported, key) {
			p.fail(at, "%s %s is not supported by the local environment", what, key)
		}
	}
}

// decode reads JSON into a Go value and reports whether it could. An absent value is left alone.
func (p *parser) decode(at string, data json.RawMessage, into any) bool {
	if data == nil {
		return true
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			err = fmt.Errorf("must not be of JSON type %s", kind.Value)
		}
		p.fail(at, "%w", err)
		return false
	}
	return true
}

func (p *parser) template(data []byte) *Template {
	var sections map[string]json.RawMessage
	if err := json.Unmarshal(data, &sections); err != nil {
		p.fail("template", "not a JSON object: %w", err)
		return nil
	}
	p.only("template", "section", sections, "AWSTemplateFormatVersion", "Description", "Parameters", "Resources", "Outputs")

	var parameters, resources, outputs map[string]map[string]json.RawMessage
	ok := p.decode("Parameters", sections["Parameters"], &parameters)
	ok = p.decode("Resources", sections["Resources"], &resources) && ok
	ok = p.decode("Outputs", sections["Outputs"], &outputs) && ok
	if !ok {
		return nil
	}
	if len(resources) == 0 {
		p.fail("template", "has no Resources")
		return nil
	}

	p.names = map[string]bool{}
	t := &Template{stack: p.stack, body: bytes.Clone(data), parameters: map[string]parameter{}}
	p.decode("Description", sections["Description"], &t.description)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		p.names[name] = false
		t.parameters[name] = p.parameter(name, parameters[name])
	}
	ids := keys(sections["Resources"])
	for _, id := range ids {
		if _, taken := p.names[id]; taken {
			p.fail(fmt.Sprintf("resource %q", id), "the name is taken by a parameter, or by another resource")
		}
		p.names[id] = true
	}
	for _, id := range ids {
		t.resources = append(t.resources, p.resource(id, resources[id]))
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		t.outputs = append(t.outputs, p.output(name, outputs[name]))
	}
	if len(p.faults) == 0 {
		p.sort(t)
	}
	return t
}

// keys returns the keys of a valid JSON object as they stand in it, repeated ones too.
func keys(object json.RawMessage) []string {
	var keys []string
	decoder := json.NewDecoder(bytes.NewReader(object))
	_, err := decoder.Token() // the opening brace
	for err == nil && decoder.More() {
		var key json.Token
		if key, err = decoder.Token(); err == nil {
			keys = append(keys, key.(string))
			err = decoder.Decode(new(json.RawMessage))
		}
	}
	return keys
}

func (p *parser) parameter(name string, o map[string]json.RawMessage) parameter {
	at := fmt.Sprintf("parameter %q", name)
	p.only(at, "attribute", o, "Type", "Default", "Description")
	var result parameter
	p.decode(at+", Type", o["Type"], &result.kind)
	p.decode(at+", Default", o["Default"], &result.defaultValue)
	if result.kind != "String" && result.kind != "Number" {
		p.fail(at, "type %q is not supported by the local environment: String or Number", result.kind)
	}
	switch result.defaultValue.(type) {
	case nil, string, json.Number:
	default:
		p.fail(at+", Default", "must be a string or a number")
	}
	return result
}

func (p *parser) resource(id string, o map[string]json.RawMessage) *resource {
	r := &resource{Resource: Resource{Stack: p.stack, LogicalID: id}}
	at := fmt.Sprintf("resource %q", id)
	p.decode(at+", Type", o["Type"], &r.Type)
	if r.Type == "" {
		p.fail(at, "has no Type")
	} else {
		at += " (" + r.Type + ")"
	}
	if !logicalID.MatchString(id) {
		p.fail(at, "a logical id has letters and digits only")
	}
	p.only(at, "attribute", o, "Type", "Properties", "DependsOn", "Metadata", "DeletionPolicy", "UpdateReplacePolicy")
	r.DeletionPolicy = p.policy(at, "DeletionPolicy", o, "Delete", "Retain", "RetainExceptOnCreate")
	r.UpdateReplacePolicy = p.policy(at, "UpdateReplacePolicy", o, "Delete", "Retain")
	r.properties = p.object(at+", Properties", o["Properties"])
	r.metadata = p.object(at+", Metadata", o["Metadata"])

	if dependsOn := o["DependsOn"]; len(dependsOn) > 0 && dependsOn[0] == '"' {
		r.dependsOn = make([]string, 1)
		p.decode(at+", DependsOn", dependsOn, &r.dependsOn[0])
	} else {
		p.decode(at+", DependsOn", dependsOn, &r.dependsOn)
	}
	for _, name := range r.dependsOn {
		if !p.names[name] {
			p.fail(at+", DependsOn", "the template has no resource %q", name)
		}
	}
	return r
}

// policy reads what becomes of a resource that is removed or replaced.
func (p *parser) policy(at, attribute string, o map[string]json.RawMessage, supported ...string) (policy string) {
	p.decode(at+", "+attribute, o[attribute], &policy)
	if policy != "" && !slices.Contains(supported, policy) {
		p.fail(at, "%s %q is not supported by the local environment: %s", attribute, policy, strings.Join(supported, " or "))
	}
	return policy
}

func (p *parser) output(name string, o map[string]json.RawMessage) output {
	at := fmt.Sprintf("output %q", name)
	p.only(at, "attribute", o, "Description", "Value", "Export")
	result := output{name: name}
	p.decode(at+", Description", o["Description"], &result.description)
	if o["Value"] == nil {
		p.fail(at, "has no Value")
	}
	result.value = p.value(at+", Value", o["Value"])
	if o["Export"] != nil {
		var export map[string]json.RawMessage
		p.decode(at+", Export", o["Export"], &export)
		p.only(at+", Export", "attribute", export, "Name")
		if export["Name"] == nil {
			p.fail(at+", Export", "has no Name")
		}
		result.export = p.value(at+", Export.Name", export["Name"])
	}
	return result
}

// object compiles a JSON object that may hold functions but is not one. An absent object is an empty one.
func (p *parser) object(at string, data json.RawMessage) expression {
	var o map[string]any
	p.decode(at, data, &o)
	return p.compileObject(at, o)
}

// value compiles any JSON value.
func (p *parser) value(at string, data json.RawMessage) expression {
	var v any
	if data == nil || !p.decode(at, data, &v) {
		return literal{""}
	}
	return p.compile(at, v)
}
