package cloudformation

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Resource is what a template says of one resource, with every function in it resolved.
type Resource struct {
	Stack     string // name of the stack
	LogicalID string // name in the template
	Type      string // like AWS::SQS::Queue

	// Properties and Metadata hold strings, json.Number, bool, []any and map[string]any. They are never nil.
	Properties, Metadata map[string]any

	// DeletionPolicy is Delete, Retain, RetainExceptOnCreate, or empty, which means Delete. UpdateReplacePolicy is Delete,
	// Retain or empty ("DeletionPolicy attribute", "UpdateReplacePolicy attribute").
	DeletionPolicy, UpdateReplacePolicy string

	// Unchanged says, in Deploy, that an earlier run has deployed the same. What a person has changed since of something
	// that outlives a run then stays, as it does on AWS when a stack is updated.
	Unchanged bool `json:"-"`
}

// String names the resource in errors and logs: its type, logical id and stack.
func (r Resource) String() string {
	return fmt.Sprintf("%s %q (stack %s)", r.Type, r.LogicalID, r.Stack)
}

// Same reports whether two resources are described alike, but for their policies.
func (r Resource) Same(as Resource) bool {
	return r.Type == as.Type && reflect.DeepEqual(r.Properties, as.Properties) && reflect.DeepEqual(r.Metadata, as.Metadata)
}

// Attributes are what other resources can ask of one that has been created.
type Attributes struct {
	Ref string            // the value of {"Ref": …}: the resource's physical id
	Att map[string]string // the values of {"Fn::GetAtt": […, name]}, by name
}

// Types says how resources are created, changed and removed, by resource type. A type that is not in it is not supported.
type Types map[string]Type

// A Type creates, changes and removes the resources of one type. Only Provide makes one.
type Type struct {
	check  func(Resource) error
	create func(context.Context, Resource) (Attributes, error)

	name       string   // the property that holds a custom name
	identity   []string // the properties that tell one resource of the type from another; nil: name, or the logical id
	replacedBy []string // the properties whose change needs another resource
	protection string   // the property that forbids to remove it
	remove     func(context.Context, Resource) (lost string, err error)
}

// An Option says more about a Type than how its resources are created.
type Option func(*Type)

// Named says which property holds a resource's custom name, by which it is one and the same wherever templates have it.
// A change of the name makes another resource. Without a name, a resource is the one of its stack and logical id.
func Named(property string) Option { return func(t *Type) { t.name = property } }

// IdentifiedBy says by which properties, instead of a name alone, a resource is one and the same.
func IdentifiedBy(properties ...string) Option {
	return func(t *Type) { t.identity = properties }
}

// ReplacedBy names further properties whose change makes another resource: those of which AWS's page of the type says
// "Update requires: Replacement". For a resource whose custom name or identity stays the same that is impossible, and
// refused; one that has neither is changed in place, since nobody can tell.
func ReplacedBy(properties ...string) Option {
	return func(t *Type) { t.replacedBy = properties }
}

// ProtectedBy names the property that, when it is true, forbids to remove a resource.
func ProtectedBy(property string) Option { return func(t *Type) { t.protection = property } }

// RemovedBy says how a resource is removed, by the properties that it was created with. Removing one that is gone already
// is not an error. It returns what else is lost with it, in words such as "12 items", or nothing. Without RemovedBy, a
// resource is no more once it is not created any more.
func RemovedBy[P any](remove func(ctx context.Context, r Resource, properties P) (lost string, err error)) Option {
	return func(t *Type) {
		t.remove = func(ctx context.Context, r Resource) (string, error) {
			var properties P
			if err := r.DecodeProperties(&properties); err != nil {
				return "", err
			}
			return remove(ctx, r, properties)
		}
	}
}

// Provide makes a Type of a function that creates a resource from its properties. They are decoded into a P as
// Resource.DecodeProperties says, which is also how they are checked: what P has no field for is not supported. P may be
// map[string]any, to accept any property.
//
// If *P has a method Validate() error, it is called on the decoded properties, both in the check before anything is
// created and just before create. In the check, what depends on another resource is not known yet: there a string has the
// form "${LogicalID.Attribute}", and a field of any other type has its zero value.
//
// create is also called for a resource that exists: to change it in place, and, whenever the environment starts, to make
// what an earlier run has left ready again.
func Provide[P any](create func(ctx context.Context, r Resource, properties P) (Attributes, error), options ...Option) Type {
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
	t := Type{
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
	for _, option := range options {
		option(&t)
	}
	return t
}

// identity tells whether two descriptions are of one and the same resource.
func (types Types) identity(r Resource) string {
	t := types[r.Type]
	properties := t.identity
	if properties == nil && t.name != "" && r.Properties[t.name] != nil {
		properties = []string{t.name}
	}
	if properties == nil {
		return r.Type + "\x00" + r.Stack + "\x00" + r.LogicalID
	}
	id := []string{r.Type}
	for _, property := range properties {
		id = append(id, fmt.Sprint(r.Properties[property]))
	}
	return strings.Join(id, "\x00")
}

// Find returns the one of resources that is the same as r, however it is described; nil if there is none.
func (types Types) Find(resources []Deployed, r Resource) *Deployed {
	id := types.identity(r)
	for i := range resources {
		if types.identity(resources[i].Resource) == id {
			return &resources[i]
		}
	}
	return nil
}

// PhysicalName names a resource for people: by its custom name, or else by its stack and logical id.
func (types Types) PhysicalName(r Resource) string {
	if name, ok := r.Properties[types[r.Type].name].(string); ok {
		return name
	}
	return r.Stack + "-" + r.LogicalID
}

// replaced returns the properties of which one description differs from another of the same logical id in a way that
// needs another resource.
func (t Type) replaced(before, after Resource) []string {
	properties := t.replacedBy
	if t.name != "" {
		properties = append([]string{t.name}, properties...)
	}
	return slices.DeleteFunc(slices.Clone(properties), func(p string) bool {
		return reflect.DeepEqual(before.Properties[p], after.Properties[p])
	})
}

// protected reports whether a resource must not be removed.
func (t Type) protected(r Resource) bool {
	if t.protection == "" {
		return false
	}
	switch v := r.Properties[t.protection].(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true")
	}
	return false
}

// UnmarshalJSON reads what json.Marshal has written of a resource. Numbers stay json.Number, as templates have them.
func (d *Deployed) UnmarshalJSON(data []byte) error {
	type plain Deployed // without this method
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	return decoder.Decode((*plain)(d))
}
