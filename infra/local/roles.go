package local

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/infra/local/internal/cloudformation"
	"github.com/penstock-dev/penstock/infra/local/internal/iam"
	"github.com/penstock-dev/penstock/infra/local/internal/policy"
)

type roleProperties struct {
	RoleName                 string
	Description              string
	AssumeRolePolicyDocument json.RawMessage
	Policies                 []struct {
		PolicyName     string
		PolicyDocument json.RawMessage
	}
	ManagedPolicyArns  []string
	MaxSessionDuration int // seconds
	Tags               tags
}

func (p *roleProperties) role(name string) iam.Role {
	out := iam.Role{Name: name, Trust: p.AssumeRolePolicyDocument, Managed: p.ManagedPolicyArns, MaxSession: seconds(p.MaxSessionDuration)}
	for _, one := range p.Policies {
		out.Inline = append(out.Inline, iam.Document{Name: one.PolicyName, Text: one.PolicyDocument})
	}
	return out
}

func (p *roleProperties) Validate() error { return p.role(p.RoleName).Check() }

func (e *Environment) role(_ context.Context, r cloudformation.Resource, p roleProperties) (cloudformation.Attributes, error) {
	name := nameOr(p.RoleName, r)
	if err := e.iam.EnsureRole(p.role(name)); err != nil {
		return cloudformation.Attributes{}, err
	}
	return cloudformation.Attributes{Ref: name, Att: map[string]string{"Arn": e.iam.RoleARN(name)}}, nil
}

// nameOr returns a name, or the one that a resource without a name gets. On AWS
// that has a random part, too.
func nameOr(name string, r cloudformation.Resource) string {
	if name != "" {
		return name
	}
	return r.Stack + "-" + r.LogicalID
}

// rolePolicyProperties are those of an inline policy that is a resource of its
// own.
type rolePolicyProperties struct {
	PolicyName     string
	PolicyDocument json.RawMessage
	Roles          []string
}

func (p *rolePolicyProperties) Validate() error {
	if len(p.Roles) == 0 {
		return fmt.Errorf("property Roles is missing: only policies of roles are supported by the local environment")
	}
	_, err := policy.ParseIdentity(p.PolicyDocument)
	return err
}

func (e *Environment) rolePolicy(_ context.Context, r cloudformation.Resource, p rolePolicyProperties) (cloudformation.Attributes, error) {
	id := rolePolicyID(r)
	err := e.iam.EnsurePolicy(iam.Policy{ID: id, Document: iam.Document{Name: p.PolicyName, Text: p.PolicyDocument}, Roles: p.Roles})
	return cloudformation.Attributes{Ref: id, Att: map[string]string{"Id": id}}, err
}

func rolePolicyID(r cloudformation.Resource) string { return r.Stack + "-" + r.LogicalID }

type managedPolicyProperties struct {
	ManagedPolicyName string
	Description       string
	Path              string
	PolicyDocument    json.RawMessage
	Roles             []string
}

func (p *managedPolicyProperties) Validate() error {
	if p.Path != "" && p.Path != "/" {
		return fmt.Errorf("property Path: %q is not supported by the local environment: want /", p.Path)
	}
	_, err := policy.ParseIdentity(p.PolicyDocument)
	return err
}

func (e *Environment) managedPolicy(_ context.Context, r cloudformation.Resource, p managedPolicyProperties) (cloudformation.Attributes, error) {
	name := nameOr(p.ManagedPolicyName, r)
	arn := e.iam.PolicyARN(name)
	err := e.iam.EnsurePolicy(iam.Policy{ID: arn, Document: iam.Document{Name: name, Text: p.PolicyDocument}, Roles: p.Roles})
	return cloudformation.Attributes{Ref: arn, Att: map[string]string{"PolicyArn": arn}}, err
}

// Grant is one action on one resource that the policies of a role allow.
type Grant = iam.Grant

// Grants returns what the policies of all roles allow, in the order of the roles,
// and whether it was ever used since the data directory was made.
func (e *Environment) Grants() []Grant { return e.iam.Grants() }
