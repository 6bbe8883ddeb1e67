package cloudformation

import (
	"context"
	"fmt"
)

// A Resource is what a template says of one resource, with every function in it resolved.
type Resource struct {
	Stack     string // name of the stack
	LogicalID string // name in the template
	Type      string // like AWS::SQS::Queue

	// Properties and Metadata hold strings, json.Number, bool, []any and map[string]any. They are never nil.
	Properties, Metadata map[string]any

	// DeletionPolicy and UpdateReplacePolicy are Delete, Retain, or empty, which means Delete.
	DeletionPolicy, UpdateReplacePolicy string
}

// String names the resource in errors and logs: its type, logical id and stack.
func (r Resource) String() string {
	return fmt.Sprintf("%s %q (stack %s)", r.Type, r.LogicalID, r.Stack)
}

// Attributes are what other resources can ask of one that has been created.
type Attributes struct {
	Ref string            // the value of {"Ref": …}: the resource's physical id
	Att map[string]string // the values of {"Fn::GetAtt": […, name]}, by name
}

// Types says how resources are created, by resource type. A type that is not in it is not supported.
type Types map[string]Type

// A Type creates the resources of one type. Only Provide makes one.
type Type struct {
	check  func(Resource) error
	create func(context.Context, Resource) (Attributes, error)
}

// Provide makes a Type of a function that creates a resource from its properties. They are decoded into a P as
// Resource.DecodeProperties says, which is also how they are checked: what P has no field for is not supported. P may be
// map[string]any, to accept any property.
//
// If *P has a method Validate() error, it is called on the decoded properties, both in the check before anything is
// created and just before create. In the check, what depends on another resource is not known yet: there a string has the
// form "${LogicalID.Attribute}", and a field of any other type has its zero value.
//
// create must be safe to call again for the same resource: a deployment is repeated whenever the environment starts.
func Provide[P any](create func(ctx context.Context, r Resource, properties P) (Attributes, error)) Type {
	decode := func(r Resource) (properties P, err error) {
		if err := r.DecodeProperties(&properties); err != nil {
			return properties, err
		}
		if v, ok := any(&properties).(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return properties, fmt.Errorf("%s: %w", r, err)
			}
		}
		return properties, nil
	}
	return Type{
		check: func(r Resource) error {
			_, err := decode(r)
			return err
		},
		create: func(ctx context.Context, r Resource) (Attributes, error) {
			properties, err := decode(r)
			if err != nil {
				return Attributes{}, err
			}
			attributes, err := create(ctx, r, properties)
			if err != nil {
				return Attributes{}, fmt.Errorf("creating %s: %w", r, err)
			}
			return attributes, nil
		},
	}
}
